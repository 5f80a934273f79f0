#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/units.h"
#include "proto/client_messages.h"
#include "proto/raft_messages.h"
#include "proto/storage_messages.h"

namespace bedrock::proto {

// One ZeroMQ message between any two processes is one frame (after the routing id that a ROUTER
// sees). A frame carries all that its sender had for that receiver in one turn of its event loop:
//
//   [ protocol, cluster, group, node, boot, [ message, … ] ]
//   message = [ kind, request id, timeout ms, [ field, … ] ]
//
// proto/README.md lists the kinds and their fields. All integers are msgpack unsigned integers,
// strings of bytes are bin, texts are str, an error that is none is nil. Unknown trailing elements
// of any array are ignored, but inside a command (command.h).

inline constexpr std::uint64_t kProtocolVersion = 1;
inline constexpr std::size_t kFrameBytesMax = 16 * kMiB;
inline constexpr std::size_t kFrameMessagesMax = 65'536;
/// Entries, items and members in all messages of a frame together. A sender that keeps to
/// kFrameBytesTarget cannot reach it: none takes less than five bytes.
inline constexpr std::size_t kFrameElementsMax = 262'144;
/// Senders close a frame when it holds this much and begin another (one larger message travels
/// alone).
inline constexpr std::size_t kFrameBytesTarget = 1 * kMiB;

/// What a message of a kind that this version does not know is read as. Whoever asked is answered
/// with a Refusal of kUnsupportedProtocol; nobody can send one.
struct UnknownKind {
  std::uint64_t kind = 0;

  friend bool operator==(const UnknownKind&, const UnknownKind&) = default;
};

/// A request that its receiver cannot even try: malformed, of another cluster or protocol version,
/// or of a kind it does not serve.
struct Refusal {
  Error error;

  friend bool operator==(const Refusal&, const Refusal&) = default;
};

/// The number of a message on the wire is given in fields.h and drawn in proto/README.md, not by
/// its position here.
using Message = std::variant<
    UnknownKind, Refusal, raft::VoteRequest, raft::VoteReply, raft::AppendRequest,
    raft::AppendReply, raft::Heartbeat, raft::HeartbeatReply, raft::ReadIndexRequest,
    raft::ReadIndexReply, raft::TimeoutNow, raft::SnapshotOffer, raft::SnapshotOfferReply,
    raft::LogClaim, raft::LogVerdict, Propose, ProposeRefused, ReadIndexQuery, ReadIndexAnswer,
    RaftStatusQuery, RaftStatus, TransferLeadership, TransferLeadershipReply, ChangeMembers,
    ChangeMembersReply, Apply, ApplyProgress, Get, GetReply, CommandReply, StorageStatusQuery,
    StorageStatus, Query, QueryReply, Lock, LockReply, Unlock, ClientGet, ClientGetReply,
    ClientWrite, ClientWriteReply, ClientQuery, ClientQueryReply, ClientTransaction,
    ClientTransactionReply, FetchSnapshot, FetchProgress, SnapshotOpen, SnapshotManifest,
    SnapshotRead, SnapshotChunk, SnapshotClose, raft::StateChecks, raft::StateVerdict, Quarantine>;

struct FrameHeader {
  std::uint64_t protocol = kProtocolVersion;
  ClusterId
      cluster;  ///< 0 from a client that does not know it; a process refuses any other but its own.
  GroupId group;
  NodeId node;  ///< The sender's; 0 for clients.
  BootId boot;  ///< The sender's; answers repeat nothing of it.

  friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

struct Packet {
  RequestId request;             ///< 0 where no answer is expected.
  std::uint32_t timeout_ms = 0;  ///< What is left of the sender's patience; 0: none stated.
  Message message;

  friend bool operator==(const Packet&, const Packet&) = default;
};

struct Frame {
  FrameHeader header;
  std::vector<Packet> packets;

  friend bool operator==(const Frame&, const Frame&) = default;
};

}  // namespace bedrock::proto
