#include "raftd/server/check_ledger.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <vector>

#include "common/env/random.h"
#include "raftd/core/quorum.h"

namespace bedrock::raft {
namespace {

using Kind = StateCheck::Kind;
using Verdict = StateVerdict::Kind;
using Finding = CheckLedger::Finding;

constexpr std::uint64_t kRight = 0xA;
constexpr std::uint64_t kWrong = 0xB;

StateCheck Hash(std::uint64_t index, std::uint64_t hash) {
  return {LogIndex(index), Kind::kHash, hash};
}
StateCheck Damage(std::uint64_t index) { return {LogIndex(index), Kind::kDamaged, 0}; }
StateCheck Unknown(std::uint64_t index) { return {LogIndex(index), Kind::kUnknown, 0}; }

class CheckLedgerTest : public testing::Test {
 protected:
  static std::vector<NodeId> Ids(const std::vector<std::uint64_t>& numbers) {
    return {numbers.begin(), numbers.end()};
  }
  void Voters(const std::vector<std::uint64_t>& numbers) { members_.voters = Ids(numbers); }
  void Add(std::uint64_t member, const StateCheck& check) { ledger_.Add(NodeId(member), check); }
  std::vector<Finding> Judge() { return ledger_.Judge(members_); }
  static Finding Agreed(std::uint64_t member, const StateCheck& check) {
    return {NodeId(member), check, Verdict::kAgreed};
  }
  static Finding Diverged(std::uint64_t member, const StateCheck& check) {
    return {NodeId(member), check, Verdict::kDiverged};
  }

  CheckLedgerTest() { Voters({1, 2, 3}); }

  Membership members_;
  CheckLedger ledger_;
};

TEST_F(CheckLedgerTest, AMajorityWithOneHashAgrees) {
  Add(1, Hash(5, kRight));
  EXPECT_TRUE(Judge().empty());
  Add(3, Hash(5, kRight));
  EXPECT_EQ(Judge(), (std::vector{Agreed(1, Hash(5, kRight)), Agreed(3, Hash(5, kRight))}));
  EXPECT_EQ(ledger_.agreed(), LogIndex(5));
  EXPECT_FALSE(ledger_.differing());
}

TEST_F(CheckLedgerTest, WhoHasAnotherHashThanTheMajorityDivergedWheneverItSaysSo) {
  Add(2, Hash(5, kWrong));
  Add(1, Hash(5, kRight));
  EXPECT_TRUE(Judge().empty());
  EXPECT_EQ(ledger_.differing(), LogIndex(5));
  Add(3, Hash(5, kRight));
  EXPECT_EQ(Judge(), (std::vector{Agreed(1, Hash(5, kRight)), Diverged(2, Hash(5, kWrong)),
                                  Agreed(3, Hash(5, kRight))}));
  EXPECT_FALSE(ledger_.differing());

  Add(1, Hash(9, kRight));
  Add(3, Hash(9, kRight));
  Judge();
  Add(2, Hash(9, kWrong));
  EXPECT_EQ(Judge(), (std::vector{Diverged(2, Hash(9, kWrong))}));
}

TEST_F(CheckLedgerTest, NobodyIsWrongWithoutAMajorityForAnotherHash) {
  Voters({1, 2});
  Add(1, Hash(5, kRight));
  Add(2, Hash(5, kWrong));
  EXPECT_TRUE(Judge().empty());
  EXPECT_EQ(ledger_.differing(), LogIndex(5));
  EXPECT_FALSE(ledger_.agreed());
}

TEST_F(CheckLedgerTest, TwoAgainstTwoIsNoMajority) {
  Voters({1, 2, 3, 4});
  for (const std::uint64_t member : {1U, 2U}) Add(member, Hash(5, kRight));
  for (const std::uint64_t member : {3U, 4U}) Add(member, Hash(5, kWrong));
  EXPECT_TRUE(Judge().empty());
  EXPECT_EQ(ledger_.differing(), LogIndex(5));
}

TEST_F(CheckLedgerTest, ThreeHashesOfThreeAreNoMajority) {
  Add(1, Hash(5, 1));
  Add(2, Hash(5, 2));
  Add(3, Hash(5, 3));
  EXPECT_TRUE(Judge().empty());
  EXPECT_EQ(ledger_.differing(), LogIndex(5));
}

TEST_F(CheckLedgerTest, LearnersAreComparedAndDecideNothing) {
  members_.learners = Ids({4, 5, 6});
  for (const std::uint64_t member : {4U, 5U, 6U}) Add(member, Hash(5, kWrong));
  Add(1, Hash(5, kRight));
  EXPECT_TRUE(Judge().empty());
  Add(2, Hash(5, kRight));
  EXPECT_EQ(Judge(), (std::vector{Agreed(1, Hash(5, kRight)), Agreed(2, Hash(5, kRight)),
                                  Diverged(4, Hash(5, kWrong)), Diverged(5, Hash(5, kWrong)),
                                  Diverged(6, Hash(5, kWrong))}));
}

TEST_F(CheckLedgerTest, BothSetsOfVotersHaveToAgreeWhileTheyChange) {
  Voters({3, 4, 5});
  members_.outgoing = Ids({1, 2, 3});
  for (const std::uint64_t member : {3U, 4U, 5U}) Add(member, Hash(5, kRight));
  EXPECT_TRUE(Judge().empty());
  Add(1, Hash(5, kRight));
  EXPECT_EQ(Judge().size(), 4u);
}

TEST_F(CheckLedgerTest, DamageIsNoHashThatCouldBeAgreedOn) {
  Add(1, Damage(5));
  Add(2, Damage(5));
  EXPECT_TRUE(Judge().empty());
  EXPECT_EQ(ledger_.differing(), LogIndex(5));
  Add(3, Hash(5, 0));
  EXPECT_TRUE(Judge().empty());
}

TEST_F(CheckLedgerTest, WhoMetDamageDivergedFromAMajority) {
  Add(1, Hash(5, kRight));
  Add(2, Damage(5));
  Add(3, Hash(5, kRight));
  EXPECT_EQ(Judge(), (std::vector{Agreed(1, Hash(5, kRight)), Diverged(2, Damage(5)),
                                  Agreed(3, Hash(5, kRight))}));
}

TEST_F(CheckLedgerTest, WhatIsUnknownIsComparedWithNothing) {
  Add(1, Unknown(5));
  Add(2, Hash(5, kRight));
  EXPECT_TRUE(Judge().empty());
  EXPECT_FALSE(ledger_.differing());
  Add(3, Hash(5, kRight));
  EXPECT_EQ(Judge(), (std::vector{Agreed(2, Hash(5, kRight)), Agreed(3, Hash(5, kRight))}));
}

TEST_F(CheckLedgerTest, WhoIsNoMemberIsNotHeard) {
  Add(7, Hash(5, kRight));
  Add(8, Hash(5, kRight));
  Add(1, Hash(5, kWrong));
  EXPECT_TRUE(Judge().empty());
  Add(2, Hash(5, kWrong));
  EXPECT_EQ(Judge(), (std::vector{Agreed(1, Hash(5, kWrong)), Agreed(2, Hash(5, kWrong))}));
}

TEST_F(CheckLedgerTest, AMemberThatWasRemovedCountsNoMore) {
  Add(1, Hash(5, kWrong));
  Add(2, Hash(5, kRight));
  Judge();
  Voters({2, 3});
  members_.removed = Ids({1});
  Add(3, Hash(5, kRight));
  EXPECT_EQ(Judge(), (std::vector{Agreed(2, Hash(5, kRight)), Agreed(3, Hash(5, kRight))}));
}

TEST_F(CheckLedgerTest, EachIsJudgedOnceAndAgainWhenItSaysItAgain) {
  for (const std::uint64_t member : {1U, 2U}) Add(member, Hash(5, kRight));
  EXPECT_EQ(Judge().size(), 2u);
  EXPECT_TRUE(Judge().empty());
  Add(2, Hash(5, kRight));
  EXPECT_EQ(Judge(), (std::vector{Agreed(2, Hash(5, kRight))}));
}

TEST_F(CheckLedgerTest, WhatDifferedBeforeReplicasAgreedAgainIsOver) {
  Voters({1, 2});
  Add(1, Hash(5, kRight));
  Add(2, Hash(5, kWrong));
  Judge();
  for (const std::uint64_t member : {1U, 2U}) Add(member, Hash(9, kRight));
  Judge();
  EXPECT_EQ(ledger_.agreed(), LogIndex(9));
  EXPECT_FALSE(ledger_.differing());
}

TEST_F(CheckLedgerTest, RemembersTheNewestChecksAlone) {
  const std::uint64_t count = CheckLedger::kEntriesMax;
  for (std::uint64_t index = 10; index < 10 + count; ++index) Add(1, Hash(index, kRight));
  Add(1, Hash(9, kRight));  // too old
  Add(2, Hash(9, kRight));
  EXPECT_TRUE(Judge().empty());
  Add(1, Hash(10 + count, kRight));  // in place of the oldest
  Add(2, Hash(10, kRight));
  EXPECT_TRUE(Judge().empty());
  Add(2, Hash(11, kRight));
  EXPECT_EQ(Judge().size(), 2u);
}

// Whatever is said in which order: nobody is called wrong without a quorum for one other hash, and
// who holds that hash is never called wrong.
TEST_F(CheckLedgerTest, HoldsItsRuleForAnythingThatIsSaid) {
  for (std::uint64_t seed = 0; seed < 2'000; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    CheckLedger ledger;
    Membership members;
    const std::uint64_t voters = 1 + random.Below(5);
    for (std::uint64_t id = 1; id <= voters; ++id) members.voters.emplace_back(id);
    for (std::uint64_t id = voters + 1; id <= voters + random.Below(3); ++id) {
      members.learners.emplace_back(id);
    }
    std::map<NodeId, StateCheck> said;
    for (int step = 0; step < 12; ++step) {
      const NodeId member(1 + random.Below(voters + 3));
      const StateCheck check{LogIndex(5), static_cast<Kind>(random.Below(3)), random.Below(2)};
      ledger.Add(member, check);
      said[member] = check;
      const auto hash_has_quorum = [&](std::uint64_t hash) {
        return HasQuorum(members, [&](NodeId voter) {
          const auto found = said.find(voter);
          return found != said.end() && found->second.kind == Kind::kHash &&
                 found->second.hash == hash;
        });
      };
      for (const Finding& finding : ledger.Judge(members)) {
        ASSERT_TRUE(IsMember(members, finding.member));
        ASSERT_EQ(finding.check, said[finding.member]);
        const bool own = finding.check.kind == Kind::kHash && hash_has_quorum(finding.check.hash);
        ASSERT_TRUE(hash_has_quorum(0) || hash_has_quorum(1));
        ASSERT_EQ(finding.verdict, own ? Verdict::kAgreed : Verdict::kDiverged);
        ASSERT_NE(finding.check.kind, Kind::kUnknown);
      }
    }
  }
}

}  // namespace
}  // namespace bedrock::raft
