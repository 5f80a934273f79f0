#include "raftd/core/quorum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <vector>

#include "common/env/random.h"

namespace bedrock::raft {
namespace {

constexpr std::uint64_t kAny = std::numeric_limits<std::uint64_t>::max();

std::vector<NodeId> SomeNodes(Random& random, std::size_t count_max) {
  std::vector<NodeId> nodes;
  for (std::uint64_t id = 1; id <= 9 && nodes.size() < count_max; ++id) {
    if (random.Chance(1, 2)) nodes.emplace_back(id);
  }
  return nodes;
}

Membership SomeMembership(Random& random) {
  Membership membership;
  do {
    membership.voters = SomeNodes(random, 7);
  } while (membership.voters.empty());
  if (random.Chance(1, 2)) membership.outgoing = SomeNodes(random, 7);
  return membership;
}

// Straight from the definition: the highest value such that more than half of the voters reach it.
std::uint64_t NaiveMajority(const std::vector<NodeId>& voters,
                            std::map<NodeId, std::uint64_t>& values) {
  std::uint64_t best = voters.empty() ? kAny : 0;
  for (NodeId candidate : voters) {
    const std::uint64_t value = values[candidate];
    const auto reached =
        std::count_if(voters.begin(), voters.end(), [&](NodeId v) { return values[v] >= value; });
    if (2 * static_cast<std::size_t>(reached) > voters.size()) best = std::max(best, value);
  }
  return best;
}

TEST(MajorityValueTest, IsWhatMoreThanHalfReach) {
  EXPECT_EQ(MajorityValue({5}), 5U);
  EXPECT_EQ(MajorityValue({5, 9}), 5U);
  EXPECT_EQ(MajorityValue({1, 9, 5}), 5U);
  EXPECT_EQ(MajorityValue({9, 9, 1, 0}), 1U);
  EXPECT_EQ(MajorityValue({0, 9, 9, 9, 1}), 9U);
}

TEST(MajorityValueTest, TheEmptySetDecidesNothing) { EXPECT_EQ(MajorityValue({}), kAny); }

TEST(QuorumValueTest, AgreesWithTheDefinitionForSingleAndJointSets) {
  Random random(1);
  for (int i = 0; i < 20'000; ++i) {
    const Membership membership = SomeMembership(random);
    std::map<NodeId, std::uint64_t> values;
    for (std::uint64_t id = 1; id <= 9; ++id) values[NodeId(id)] = random.Below(6);
    const std::uint64_t expected = std::min(NaiveMajority(membership.voters, values),
                                            NaiveMajority(membership.outgoing, values));
    ASSERT_EQ(QuorumValue(membership, [&](NodeId v) { return values[v]; }), expected);
  }
}

// R41
TEST(QuorumValueTest, AJointMembershipNeedsBothMajorities) {
  Membership joint;
  joint.voters = {NodeId(1), NodeId(2), NodeId(3)};
  joint.outgoing = {NodeId(3), NodeId(4), NodeId(5)};
  std::map<NodeId, std::uint64_t> values = {{NodeId(1), 9}, {NodeId(2), 9}, {NodeId(3), 9}};
  const auto value_of = [&](NodeId v) { return values[v]; };
  EXPECT_EQ(QuorumValue(joint, value_of), 0U);
  values[NodeId(4)] = 4;
  EXPECT_EQ(QuorumValue(joint, value_of), 4U);
}

Tally NaiveTally(const std::vector<NodeId>& voters, std::map<NodeId, int>& said) {
  std::size_t yes = 0;
  std::size_t no = 0;
  for (NodeId voter : voters) {
    if (said[voter] > 0) ++yes;
    if (said[voter] < 0) ++no;
  }
  if (voters.empty() || 2 * yes > voters.size()) return Tally::kWon;
  return 2 * no >= voters.size() ? Tally::kLost : Tally::kPending;
}

TEST(BallotTest, AgreesWithTheDefinitionForSingleAndJointSets) {
  Random random(2);
  for (int i = 0; i < 20'000; ++i) {
    const Membership membership = SomeMembership(random);
    std::map<NodeId, int> said;
    Ballot ballot;
    for (std::uint64_t id = 1; id <= 9; ++id) {
      if (random.Chance(1, 3)) continue;
      const bool granted = random.Chance(1, 2);
      said[NodeId(id)] = granted ? 1 : -1;
      ballot.Add(NodeId(id), granted);
    }
    const Tally a = NaiveTally(membership.voters, said);
    const Tally b = NaiveTally(membership.outgoing, said);
    Tally expected = Tally::kPending;
    if (a == Tally::kWon && b == Tally::kWon) expected = Tally::kWon;
    if (a == Tally::kLost || b == Tally::kLost) expected = Tally::kLost;
    ASSERT_EQ(ballot.Count(membership), expected);
  }
}

// R1
TEST(BallotTest, AVoterCountsOnceAndItsFirstWordStands) {
  Membership membership;
  membership.voters = {NodeId(1), NodeId(2), NodeId(3)};
  Ballot ballot;
  EXPECT_TRUE(ballot.Add(NodeId(1), true));
  EXPECT_FALSE(ballot.Add(NodeId(1), true));
  EXPECT_EQ(ballot.Count(membership), Tally::kPending);
  EXPECT_TRUE(ballot.Add(NodeId(2), false));
  EXPECT_FALSE(ballot.Add(NodeId(2), true));
  EXPECT_EQ(ballot.Count(membership), Tally::kPending);
}

TEST(MembersTest, EveryMemberIsListedOnceInOrder) {
  Membership membership;
  membership.voters = {NodeId(2), NodeId(5)};
  membership.outgoing = {NodeId(1), NodeId(2)};
  membership.learners = {NodeId(4)};
  EXPECT_EQ(AllMembers(membership),
            (std::vector<NodeId>{NodeId(1), NodeId(2), NodeId(4), NodeId(5)}));
  EXPECT_TRUE(IsVoter(membership, NodeId(1)));
  EXPECT_FALSE(IsVoter(membership, NodeId(4)));
  EXPECT_TRUE(IsMember(membership, NodeId(4)));
  EXPECT_FALSE(IsMember(membership, NodeId(3)));
}

}  // namespace
}  // namespace bedrock::raft
