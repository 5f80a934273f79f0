#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "raftd/core/types.h"

namespace bedrock::raft {

// The arithmetic of majorities, for one set of voters and for two (joint consensus, thesis 4.3:
// both have to agree). Pure functions.

/// The highest value that more than half of `values` reach. The empty set decides nothing and
/// answers with the highest number there is, so that the minimum with another set's is that set's.
std::uint64_t MajorityValue(std::vector<std::uint64_t> values);

/// The highest value that a quorum of `membership` reaches, where `value_of(NodeId)` tells each
/// voter's. Of match indexes: what may commit. Of acknowledged rounds: which reads are confirmed.
template <typename ValueOf>
std::uint64_t QuorumValue(const Membership& membership, const ValueOf& value_of) {
  const auto of_set = [&value_of](const std::vector<NodeId>& voters) {
    std::vector<std::uint64_t> values;
    values.reserve(voters.size());
    for (NodeId voter : voters) values.push_back(value_of(voter));
    return MajorityValue(std::move(values));
  };
  if (membership.voters.empty()) return 0;  // nobody can decide yet
  return std::min(of_set(membership.voters), of_set(membership.outgoing));
}

/// Whether the voters for whom `has(NodeId)` is true are a quorum of `membership`.
template <typename Has>
bool HasQuorum(const Membership& membership, const Has& has) {
  return QuorumValue(membership, [&has](NodeId voter) { return has(voter) ? 1U : 0U; }) > 0;
}

enum class Tally : std::uint8_t { kPending, kWon, kLost };

/// The votes of one election, one a sender: what it said first stands (R1).
class Ballot {
 public:
  /// True where this is the sender's first vote.
  bool Add(NodeId voter, bool granted);
  /// Won when a quorum granted, lost when the voters left cannot make one. A vote counts only in
  /// the sets that hold its sender (R41).
  Tally Count(const Membership& membership) const;

 private:
  enum class Said : std::uint8_t { kNothing, kYes, kNo };
  Said SaidBy(NodeId voter) const;

  std::vector<std::pair<NodeId, bool>> votes_;
};

/// A voter of either set.
bool IsVoter(const Membership& membership, NodeId node);
/// Every voter and learner once, ascending.
std::vector<NodeId> AllMembers(const Membership& membership);
bool IsMember(const Membership& membership, NodeId node);

}  // namespace bedrock::raft
