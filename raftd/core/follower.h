#pragma once

#include <cstdint>

#include "common/base/ids.h"
#include "proto/raft_messages.h"
#include "raftd/core/node.h"
#include "raftd/core/read_index.h"

namespace bedrock::raft {

/// Follows a leader, or waits for one. Lives as long as the role lasts in one term; `leader` is set
/// once. Paper 5.2 and 5.3.
class Follower {
 public:
  NodeId leader() const { return leader_; }
  /// A leader was heard less than the shortest election timeout ago: nobody else gets a vote.
  bool LeaderAlive(const Node& node) const;
  /// The leader of this term spoke (R5). False: another one than was known, which can't be.
  bool HearLeader(Node& node, NodeId from);

  void OnAppend(Node& node, const AppendRequest& request);
  void OnHeartbeat(Node& node, const Heartbeat& heartbeat);
  void OnSnapshotOffer(Node& node, const SnapshotOffer& offer);

  void Read(Node& node, Ticket ticket);
  void OnReadIndexReply(Node& node, const ReadIndexReply& reply);
  void OnLinkReset(NodeId member);
  /// Sends what is due.
  void Prepare(Node& node);
  /// Fails the readers that wait.
  void FailReads(Node& node);

 private:
  /// Takes the entries over and gives the index up to which the log is now the leader's.
  LogIndex Accept(Node& node, const AppendRequest& request);
  /// The log is the leader's up to `index`, durably when this leaves.
  void Acknowledge(Node& node, LogIndex index, std::uint64_t read_round) const;
  void Refuse(Node& node, const AppendRequest& request) const;
  void Proved(Node& node, LogIndex index);
  void AdvanceCommit(Node& node, LogIndex leader_commit, LogIndex proved) const;

  NodeId leader_;
  std::uint64_t heard_at_ = 0;
  FollowerReads reads_;
};

/// A request that no correct leader could send is not answered (R24).
bool IsWellFormed(const AppendRequest& request);

}  // namespace bedrock::raft
