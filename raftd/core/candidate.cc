#include "raftd/core/candidate.h"

namespace bedrock::raft {

namespace {

/// Calls `send(NodeId)` for every voter but this node.
template <typename SendTo>
void AskVoters(const Node& node, const SendTo& send) {
  for (NodeId member : AllMembers(node.membership())) {
    if (member != node.self && IsVoter(node.membership(), member)) send(member);
  }
}

VoteRequest RequestFor(const Node& node, Term term, PreVote pre_vote, HandOver hand_over) {
  const LogPosition last = node.LastForVotes();
  return {.pre_vote = pre_vote,
          .term = term,
          .last_index = last.index,
          .last_term = last.term,
          .hand_over = hand_over};
}

}  // namespace

Candidate Candidate::Sound(Node& node) {
  Candidate candidate(PreVote::kYes);
  node.ResetTimer();
  const VoteRequest request = RequestFor(node, node.term().Next(), PreVote::kYes, HandOver::kNo);
  AskVoters(node, [&](NodeId voter) { node.out.Send(voter, request); });
  candidate.ballot_.Add(node.self, true);
  return candidate;
}

Candidate Candidate::Run(Node& node, HandOver hand_over) {
  Candidate candidate(PreVote::kNo);
  node.SetVote({node.term().Next(), node.self});
  node.ResetTimer();
  candidate.own_vote_ = node.writes.covering();
  const VoteRequest request = RequestFor(node, node.term(), PreVote::kNo, hand_over);
  AskVoters(node, [&](NodeId voter) { node.out.Hold(candidate.own_vote_, voter, request); });
  return candidate;
}

void Candidate::OnVoteReply(NodeId voter, const VoteReply& reply) {
  // The two kinds of replies never mix, though their terms may be equal (R7).
  if (reply.pre_vote == pre_vote_) ballot_.Add(voter, reply.granted);
}

void Candidate::OnDurable(const Node& node) {
  if (!pre_vote_ && node.writes.completed() >= own_vote_) ballot_.Add(node.self, true);
}

}  // namespace bedrock::raft
