#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/config/node_config.h"
#include "proto/frame.h"
#include "raftd/core/types.h"
#include "raftd/server/outgoing_frames.h"

namespace bedrock::raft {

/// The other raftds: a link to each member, as the membership changes, and the way back to whoever
/// speaks without being one that this node knows. Such strangers have to be heard: a node that lags
/// behind, or waits to be taken in, does not know who was taken in since, and may hear it from a
/// leader it does not know, or be asked for the one vote that is missing (thesis 4.2.3). They are
/// answered over the connection they came by. What they may do is the core's to know.
///
/// One thread. Borrows all it is given. Remembers at most kStrangersMax strangers.
class Peers {
 public:
  static constexpr std::size_t kStrangersMax = 64;

  Peers(const config::NodeConfig& node, Transport& transport, OutgoingFrames& frames)
      : node_(node), transport_(transport), frames_(frames) {}

  /// Links and names are those of the members from now on; where the membership has none yet, of
  /// the nodes that the flags name.
  void Follow(const Membership& membership);
  /// Every node of the membership followed, this one included, by id: as the entry that took it in
  /// describes it, or else the flags; the id alone where neither does.
  const std::vector<config::Member>& known() const { return known_; }
  /// Those that Follow made links to.
  const std::map<NodeId, std::string>& links() const { return links_; }

  enum class Hearing : std::uint8_t { kRefused, kHeard, kRestarted };
  /// A message of `peer`, of life `boot`, came in at the listener from `routing_id`. kRefused: that
  /// is no raftd of that node, or it is this node itself, or one that was removed. kRestarted: it
  /// is to be heard, and what it had been sent before may be lost.
  Hearing Hear(NodeId peer, BootId boot, std::string_view routing_id);
  /// The same over the link to `peer`, which names it.
  Hearing HearOverLink(NodeId peer, BootId boot);
  /// Whether the membership followed says that it was a member once.
  bool WasRemoved(NodeId peer) const;

  /// Dropped where there is no way to it.
  void Send(NodeId to, const proto::Message& message);

 private:
  config::Member Describe(const Membership& membership, NodeId id) const;

  const config::NodeConfig& node_;
  Transport& transport_;
  OutgoingFrames& frames_;
  std::vector<config::Member> known_;
  std::map<NodeId, std::string> links_;  // endpoints
  std::vector<NodeId> removed_;
  std::map<NodeId, BootId> boots_;           // of those with a link
  std::map<NodeId, std::string> strangers_;  // routing ids
};

}  // namespace bedrock::raft
