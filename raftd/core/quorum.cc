#include "raftd/core/quorum.h"

#include <cstddef>
#include <functional>
#include <limits>

namespace bedrock::raft {

namespace {

bool Contains(const std::vector<NodeId>& sorted, NodeId node) {
  return std::binary_search(sorted.begin(), sorted.end(), node);
}

}  // namespace

std::uint64_t MajorityValue(std::vector<std::uint64_t> values) {
  if (values.empty()) return std::numeric_limits<std::uint64_t>::max();
  // In descending order, the value at place n/2 is reached by n/2 + 1 voters: a majority.
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), nth, values.end(), std::greater<>());
  return *nth;
}

bool Ballot::Add(NodeId voter, bool granted) {
  if (SaidBy(voter) != Said::kNothing) return false;
  votes_.emplace_back(voter, granted);
  return true;
}

Ballot::Said Ballot::SaidBy(NodeId voter) const {
  for (const auto& [node, granted] : votes_) {
    if (node == voter) return granted ? Said::kYes : Said::kNo;
  }
  return Said::kNothing;
}

Tally Ballot::Count(const Membership& membership) const {
  if (HasQuorum(membership, [this](NodeId v) { return SaidBy(v) == Said::kYes; })) {
    return Tally::kWon;
  }
  const bool can_win = HasQuorum(membership, [this](NodeId v) { return SaidBy(v) != Said::kNo; });
  return can_win ? Tally::kPending : Tally::kLost;
}

bool IsVoter(const Membership& membership, NodeId node) {
  return Contains(membership.voters, node) || Contains(membership.outgoing, node);
}

std::vector<NodeId> AllMembers(const Membership& membership) {
  std::vector<NodeId> all = membership.voters;
  all.insert(all.end(), membership.outgoing.begin(), membership.outgoing.end());
  all.insert(all.end(), membership.learners.begin(), membership.learners.end());
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

bool IsMember(const Membership& membership, NodeId node) {
  return IsVoter(membership, node) || Contains(membership.learners, node);
}

}  // namespace bedrock::raft
