#pragma once

#include "common/base/ids.h"
#include "proto/raft_messages.h"
#include "raftd/core/node.h"
#include "raftd/core/quorum.h"

namespace bedrock::raft {

/// Runs for office: first asks whether it would win (pre-vote, thesis 9.6), which changes nobody's
/// term, then in earnest (paper 5.2). A value for one election.
class Candidate {
 public:
  /// Asks all voters whether they would vote for this node in the next term.
  static Candidate Sound(Node& node);
  /// Moves to the next term, votes for itself and asks for votes. Neither the requests nor the own
  /// vote count before that is durable (R2, R85). `hand_over`: at the leader's wish.
  static Candidate Run(Node& node, HandOver hand_over);

  PreVote pre_vote() const { return pre_vote_; }
  void OnVoteReply(NodeId voter, const VoteReply& reply);
  void OnDurable(const Node& node);
  Tally Count(const Node& node) const { return ballot_.Count(node.membership()); }

 private:
  explicit Candidate(PreVote pre_vote) : pre_vote_(pre_vote) {}

  PreVote pre_vote_;
  Ballot ballot_;
  WriteSeq own_vote_;  ///< The write that holds it; 0: no promise to wait for.
};

}  // namespace bedrock::raft
