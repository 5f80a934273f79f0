#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "proto/peer_frames.h"

namespace bedrock::raft {

/// Where frames go. Every call gives false where the frame was dropped: nobody is connected, or the
/// queue is full. Implemented over sockets by the server, and by tests.
class Transport {
 public:
  virtual ~Transport() = default;
  /// Opens, moves or, where `endpoint` is empty, closes the link to a peer.
  virtual void SetPeer(NodeId peer, const std::string& endpoint) = 0;
  virtual bool SendToPeer(NodeId peer, std::string frame) = 0;
  virtual bool SendToStorage(std::string frame) = 0;
  /// To whoever came to this process under routing id `to`: routers, mostly.
  virtual bool SendToCaller(std::string_view to, std::string frame) = 0;
};

/// Gathers what one turn has for each receiver into one frame each; frames that are full leave at
/// once. Keeps the order per receiver. One thread.
class OutgoingFrames {
 public:
  /// What a dropped frame means.
  struct Callbacks {
    std::function<void(NodeId peer)> on_peer_reset;  ///< The link broke, or came back.
    std::function<void()> on_storage_lost;
  };

  OutgoingFrames(const proto::FrameHeader& header, Transport& transport, Callbacks callbacks);

  void ToPeer(NodeId peer, const proto::Message& message);
  void ToStorage(RequestId request, const proto::Message& message);
  void ToCaller(const std::string& to, RequestId request, const proto::Message& message);

  /// Nothing goes to this peer any more, nor what is gathered for it. Not from within a callback.
  void Forget(NodeId peer) { peers_.erase(peer); }

  /// Sends what is gathered. The callbacks run at its end and may add more, for the next Flush.
  void Flush();

  /// Everything from here on is dropped, also what is gathered (the process is about to end).
  void Close() { closed_ = true; }

 private:
  struct Peer {
    proto::FrameWriter writer;
    bool up = true;
  };

  void FinishPeer(NodeId id, Peer& peer);
  void FinishStorage();

  proto::FrameHeader header_;
  Transport& transport_;
  Callbacks callbacks_;
  std::map<NodeId, Peer> peers_;
  proto::FrameWriter storage_;
  proto::PeerFrames callers_;
  std::vector<NodeId> peers_reset_;
  bool storage_lost_ = false;
  bool closed_ = false;
};

}  // namespace bedrock::raft
