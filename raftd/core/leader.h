#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "proto/raft_messages.h"
#include "raftd/core/node.h"
#include "raftd/core/progress.h"
#include "raftd/core/read_index.h"

namespace bedrock::raft {

/// Whether time made a leap since the last tick: the process was paused.
using Jumped = TypedBool<struct JumpedTag>;

/// Leads for one term: takes proposals, replicates, commits, confirms reads. Paper 5.3 and 5.4;
/// thesis 3.10 (transfer), 6.2 (check quorum) and 6.4 (reads); 10.2.1 (writes its own disk in
/// parallel).
class Leader {
 public:
  /// Appends the entry that lets this term commit (R16).
  explicit Leader(Node& node);

  Proposed Propose(Node& node, std::span<const Bytes> payloads, std::uint64_t time_ms);
  Transferring Transfer(Node& node, NodeId to);
  NodeId handing_over_to() const { return hand_over_ ? hand_over_->to : NodeId(); }
  /// Heartbeats where they are due. False: a quorum was not heard for an election timeout, or the
  /// process slept through it, and this node must step down.
  bool Tick(Node& node, Jumped jumped);

  void OnAppendReply(Node& node, NodeId from, const AppendReply& reply);
  void OnHeartbeatReply(Node& node, NodeId from, const HeartbeatReply& reply);
  void OnReadIndexRequest(Node& node, NodeId from, const ReadIndexRequest& request);
  void OnFetched(Node& node, NodeId follower, std::vector<Entry> entries);
  void OnLinkReset(NodeId member);
  void OnDurable(Node& node) { AdvanceCommit(node); }

  void Read(Node& node, Ticket ticket);
  /// Sends what is due: read rounds, entries, the commit index.
  void Prepare(Node& node);
  /// Fails the readers that wait.
  void FailReads(Node& node);

  std::vector<MemberProgress> Members() const;

 private:
  struct Peer {
    NodeId id;
    Progress progress;
  };

  /// Leadership on its way to a voter: first it is brought up to the last entry, then told to
  /// stand.
  struct HandingOver {
    NodeId to;
    std::uint64_t deadline = 0;  ///< In ticks.
    bool told = false;
  };

  Progress* Find(NodeId member);
  NodeId FurthestVoter(const Node& node) const;
  /// Tells the target to stand where it has come far enough.
  void MoveOn(Node& node);
  void SendTimeoutNow(Node& node) const;
  void GiveUpHandingOver(Node& node);
  void AppendNoop(Node& node);
  /// What is in common of every answer of this term; null where the sender is no member or tells of
  /// rounds that never were.
  Progress* Heard(const Node& node, NodeId from, std::uint64_t read_round);
  bool QuorumActive(const Node& node) const;

  void AdvanceCommit(Node& node);
  bool TermCommitted(const Node& node) const { return node.commit >= noop_; }

  void AddRead(Node& node, Reader reader);
  void Answer(Node& node, const Reader& reader, std::optional<LogIndex> index) const;
  void ConfirmReads(Node& node);

  void SendHeartbeats(Node& node);
  void SendAppends(Node& node, Peer& peer);
  /// False where the next entries have to be fetched first.
  bool SendNext(Node& node, Peer& peer);
  void SendAppend(Node& node, Peer& peer, std::vector<Entry> entries);
  void AdvanceTrim(Node& node) const;

  std::vector<Peer> peers_;  ///< All members but this one, ascending.
  LeaderReads reads_;
  LogIndex noop_;
  std::uint64_t heartbeat_at_;
  std::uint64_t quorum_check_at_;
  bool check_postponed_ = false;
  std::optional<HandingOver> hand_over_;
};

}  // namespace bedrock::raft
