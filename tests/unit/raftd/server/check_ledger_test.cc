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

  void ExpectDifferenceAt(std::uint64_t index) {
    EXPECT_EQ(ledger_.differing(), LogIndex(index));
    EXPECT_FALSE(ledger_.split());
  }
  void ExpectSplitAt(std::uint64_t index) {
    EXPECT_EQ(ledger_.differing(), LogIndex(index));
    EXPECT_TRUE(ledger_.split());
  }
  /// Of a cluster with two voters from now on.
  void SplitAt(std::uint64_t index) {
    Voters({1, 2});
    Add(1, Hash(index, kRight));
    Add(2, Hash(index, kWrong));
    Judge();
  }
  void AgreeAt(std::uint64_t index) {
    for (const std::uint64_t member : {1U, 2U}) Add(member, Hash(index, kRight));
    Judge();
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
  EXPECT_FALSE(ledger_.split());
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
  ExpectSplitAt(5);
  EXPECT_FALSE(ledger_.agreed());
}

TEST_F(CheckLedgerTest, TwoAgainstTwoIsNoMajority) {
  Voters({1, 2, 3, 4});
  for (const std::uint64_t member : {1U, 2U}) Add(member, Hash(5, kRight));
  Add(3, Hash(5, kWrong));
  EXPECT_TRUE(Judge().empty());
  ExpectDifferenceAt(5);
  Add(4, Hash(5, kWrong));
  EXPECT_TRUE(Judge().empty());
  ExpectSplitAt(5);
}

TEST_F(CheckLedgerTest, ThreeHashesOfThreeAreNoMajority) {
  Add(1, Hash(5, 1));
  Add(2, Hash(5, 2));
  EXPECT_TRUE(Judge().empty());
  ExpectDifferenceAt(5);
  Add(3, Hash(5, 3));
  EXPECT_TRUE(Judge().empty());
  ExpectSplitAt(5);
}

TEST_F(CheckLedgerTest, TwoAndTwoAndOneOfFiveAreNoMajority) {
  Voters({1, 2, 3, 4, 5});
  for (const std::uint64_t member : {1U, 2U}) Add(member, Hash(5, 1));
  for (const std::uint64_t member : {3U, 4U}) Add(member, Hash(5, 2));
  Judge();
  ExpectDifferenceAt(5);  // the fifth may decide it
  Add(5, Hash(5, 3));
  EXPECT_TRUE(Judge().empty());
  ExpectSplitAt(5);
}

TEST_F(CheckLedgerTest, ASplitNeedsNobodyWhoCouldNotDecideIt) {
  Voters({1, 2, 3, 4, 5});
  members_.learners = Ids({6});
  for (const std::uint64_t member : {1U, 2U, 3U}) Add(member, Hash(5, member));
  Judge();
  ExpectDifferenceAt(5);  // one of them and two more are three
  Add(4, Hash(5, 4));
  Judge();
  ExpectSplitAt(5);
  Add(6, Hash(5, 4));
  Judge();
  ExpectSplitAt(5);
}

TEST_F(CheckLedgerTest, NoSplitWhileAVoterThatKnowsNothingYetMayDecideIt) {
  Add(1, Hash(5, kRight));
  Add(2, Hash(5, kWrong));
  Add(3, Unknown(5));
  Judge();
  ExpectDifferenceAt(5);
  Voters({1, 3});
  Add(1, Hash(6, kRight));
  Add(3, Unknown(6));
  Judge();
  ExpectDifferenceAt(5);
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

TEST_F(CheckLedgerTest, ASplitOfEitherSetOfVotersIsOneWhileTheyChange) {
  Voters({3, 4, 5});
  members_.outgoing = Ids({1, 2});
  for (const std::uint64_t member : {3U, 4U, 5U, 1U}) Add(member, Hash(5, kRight));
  EXPECT_TRUE(Judge().empty());
  EXPECT_FALSE(ledger_.differing());
  Add(2, Hash(5, kWrong));
  EXPECT_TRUE(Judge().empty());
  ExpectSplitAt(5);

  for (const std::uint64_t member : {1U, 2U}) Add(member, Hash(9, kRight));
  Add(3, Hash(9, kWrong));
  Judge();
  EXPECT_EQ(ledger_.differing(), LogIndex(9));
  Add(4, Hash(9, kRight));
  Add(5, Hash(9, kRight));
  EXPECT_EQ(Judge().size(), 5u);
  ExpectSplitAt(5);

  members_.outgoing.clear();
  members_.removed = Ids({1, 2});
  Judge();
  EXPECT_FALSE(ledger_.differing());  // the others agreed at it
}

TEST_F(CheckLedgerTest, DamageIsNoHashThatCouldBeAgreedOn) {
  Add(1, Damage(5));
  EXPECT_TRUE(Judge().empty());
  ExpectDifferenceAt(5);
  Add(2, Damage(5));
  EXPECT_TRUE(Judge().empty());
  ExpectSplitAt(5);
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

// ---- When a difference is over

TEST_F(CheckLedgerTest, ThatOtherSlicesAreTheSameEndsNoDifference) {
  SplitAt(5);
  for (std::uint64_t index = 6; index < 20; ++index) {
    AgreeAt(index);
    EXPECT_EQ(ledger_.agreed(), LogIndex(index));
    ExpectSplitAt(5);
  }
}

TEST_F(CheckLedgerTest, TheEndOfAPassAtWhichAQuorumAgreesEndsWhateverWasBefore) {
  SplitAt(5);
  SplitAt(7);
  AgreeAt(9);
  ledger_.Cover(Hash(9, kRight), LogIndex());
  ExpectSplitAt(7);
  Judge();
  EXPECT_FALSE(ledger_.differing());
  EXPECT_FALSE(ledger_.split());
  SplitAt(10);
  ExpectSplitAt(10);
}

TEST_F(CheckLedgerTest, TheEndOfAPassThatOneHasReachedEndsNothing) {
  SplitAt(5);
  Add(1, Hash(9, kRight));
  ledger_.Cover(Hash(9, kRight), LogIndex());
  Judge();
  ExpectSplitAt(5);
  Add(2, Hash(9, kRight));
  Judge();
  EXPECT_FALSE(ledger_.differing());
}

TEST_F(CheckLedgerTest, TheEndOfAPassAtWhichReplicasDifferEndsNothing) {
  SplitAt(5);
  SplitAt(9);
  for (const std::uint64_t hash : {kRight, kWrong}) ledger_.Cover(Hash(9, hash), LogIndex());
  Judge();
  ExpectSplitAt(9);
}

TEST_F(CheckLedgerTest, WhatTheMinorityHoldsCoversNothing) {
  for (const std::uint64_t member : {1U, 2U, 3U}) Add(member, Hash(5, member));
  Add(1, Hash(9, kWrong));
  Add(2, Hash(9, kRight));
  Add(3, Hash(9, kRight));
  ledger_.Cover(Hash(9, kWrong), LogIndex());
  Judge();
  ExpectSplitAt(5);
  ledger_.Cover(Damage(9), LogIndex());
  Judge();
  ExpectSplitAt(5);
}

TEST_F(CheckLedgerTest, ACheckThatNobodyHasAddedCoversNothing) {
  SplitAt(5);
  ledger_.Cover(Hash(9, kRight), LogIndex());
  AgreeAt(9);
  ExpectSplitAt(5);
}

TEST_F(CheckLedgerTest, AgreementLaterInAPassEndsWhatDifferedInItAndNothingBefore) {
  SplitAt(5);
  SplitAt(7);
  SplitAt(8);
  AgreeAt(9);
  ledger_.Cover(Hash(9, kRight), LogIndex(7));
  Judge();
  ExpectSplitAt(5);
  AgreeAt(10);
  ledger_.Cover(Hash(10, kRight), LogIndex(5));
  Judge();
  EXPECT_FALSE(ledger_.differing());
}

TEST_F(CheckLedgerTest, WhoWasRebuiltTakesBackWhatItSaid) {
  SplitAt(5);
  SplitAt(6);
  Add(2, Hash(6, kRight));
  EXPECT_EQ(Judge(), (std::vector{Agreed(1, Hash(6, kRight)), Agreed(2, Hash(6, kRight))}));
  ExpectSplitAt(5);
  Add(2, Hash(5, kRight));
  Judge();
  EXPECT_FALSE(ledger_.differing());
}

TEST_F(CheckLedgerTest, ToKnowNothingAnyMoreTakesBackNothing) {
  SplitAt(5);
  Add(2, Unknown(5));
  Judge();
  ExpectSplitAt(5);
}

TEST_F(CheckLedgerTest, WhatComesLateOfOneThatWasRebuiltIsNoNewDifference) {
  SplitAt(5);
  SplitAt(6);
  Add(2, Hash(6, kRight));
  Judge();
  AgreeAt(9);
  ledger_.Cover(Hash(9, kRight), LogIndex());
  Judge();
  ASSERT_FALSE(ledger_.differing());
  for (const std::uint64_t index : {4U, 5U, 6U}) Add(2, Hash(index, kWrong));
  Add(1, Hash(4, kRight));
  Judge();
  EXPECT_FALSE(ledger_.differing());
}

TEST_F(CheckLedgerTest, AnEntryThatIsForgottenStillDiffers) {
  const std::uint64_t count = CheckLedger::kEntriesMax;
  SplitAt(5);
  SplitAt(7);
  for (std::uint64_t index = 8; index < 8 + 2 * count; ++index) AgreeAt(index);
  EXPECT_EQ(ledger_.differing(), LogIndex(7));
  const std::uint64_t last = 7 + 2 * count;
  ledger_.Cover(Hash(last, kRight), LogIndex(6));
  Judge();
  EXPECT_EQ(ledger_.differing(), LogIndex(7));
  ledger_.Cover(Hash(last, kRight), LogIndex(5));
  Judge();
  EXPECT_FALSE(ledger_.differing());
}

TEST_F(CheckLedgerTest, TheVoterThatIsLeftAgreesWithItself) {
  SplitAt(5);
  Voters({1});
  members_.removed = Ids({2});
  Judge();
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

// Passes over a state in slices, of which the second of two voters holds some wrongly for a while;
// what it finds is lost, late and doubled. From the first time that the leader sees a difference
// until the replica is rebuilt, the difference is there to be seen; after that it is so until the
// end of the next pass at most.
class CheckedPasses {
 public:
  explicit CheckedPasses(std::uint64_t seed) : random_(seed) {
    members_.voters = {NodeId(1), NodeId(2)};
    slices_ = 1 + random_.Below(6);
    wrong_slice_ = random_.Below(slices_);
    wrong_from_ = random_.Below(40);
    rebuilt_at_ = wrong_from_ + 1 + random_.Below(200);
  }

  void Run() {
    for (std::uint64_t step = 0; step < rebuilt_at_ + 3 * slices_; ++step) {
      if (step == rebuilt_at_) Rebuild();
      Check(step);
      if (testing::Test::HasFatalFailure()) return;
    }
    Tell(kChecks);
    Judge();
    EXPECT_FALSE(ledger_.differing());
  }

 private:
  static constexpr std::size_t kChecks = kStateChecksMax;

  /// One that takes in what the other one holds knows what that found.
  void Rebuild() {
    theirs_ = own_;
    before_theirs_ = before_own_;
    late_.clear();
    rebuilt_ = true;
    Tell(kChecks);
    Judge();
  }

  void Check(std::uint64_t step) {
    const LogIndex index(step + 1);
    const std::uint64_t slice = step % slices_;
    const bool wrong = !rebuilt_ && step >= wrong_from_ && slice == wrong_slice_;
    own_.push_back(Next(before_own_, index, slice, 0));
    theirs_.push_back(Next(before_theirs_, index, slice, wrong ? 1 : 0));
    ledger_.Add(NodeId(1), own_.back());
    const bool last = slice + 1 == slices_;
    ledger_.Cover(own_.back(), last ? LogIndex() : LogIndex(step - slice + 2));
    if (random_.Chance(2, 3)) Tell(1 + random_.Below(kChecks));
    // One that was on its way all the time, with what was so before.
    if (!late_.empty() && random_.Chance(1, 3)) {
      ledger_.Add(NodeId(2), late_[random_.Below(late_.size())]);
    }
    Judge();
    if (rebuilt_) return;
    seen_ = seen_ || ledger_.differing();
    ASSERT_EQ(seen_, static_cast<bool>(ledger_.differing())) << "at " << index.value();
    ASSERT_EQ(seen_, ledger_.split());
  }

  /// As the chain of states links them.
  static StateCheck Next(std::uint64_t& before, LogIndex index, std::uint64_t slice,
                         std::uint64_t held) {
    const std::uint64_t chained = Mixed(slice == 0 ? 0 : before, Mixed(index.value(), held));
    const std::uint64_t told = slice == 0 ? Mixed(before, chained) : chained;
    before = chained;
    return {index, Kind::kHash, told};
  }

  static std::uint64_t Mixed(std::uint64_t one, std::uint64_t other) {
    return Random(one * 0x9E3779B97F4A7C15 + other).Next();
  }

  void Tell(std::size_t count) {
    const std::size_t first = theirs_.size() - std::min(count, theirs_.size());
    for (std::size_t i = first; i < theirs_.size(); ++i) {
      ledger_.Add(NodeId(2), theirs_[i]);
      late_.push_back(theirs_[i]);
    }
  }

  void Judge() {
    for (const Finding& finding : ledger_.Judge(members_)) {
      ASSERT_EQ(finding.verdict, Verdict::kAgreed);
    }
  }

  Random random_;
  Membership members_;
  CheckLedger ledger_;
  std::uint64_t slices_ = 0;
  std::uint64_t wrong_slice_ = 0;
  std::uint64_t wrong_from_ = 0;
  std::uint64_t rebuilt_at_ = 0;
  bool rebuilt_ = false;
  bool seen_ = false;
  std::vector<StateCheck> own_;
  std::vector<StateCheck> theirs_;
  std::vector<StateCheck> late_;
  std::uint64_t before_own_ = 0;
  std::uint64_t before_theirs_ = 0;
};

TEST(CheckLedgerPassesTest, ADifferenceIsSeenAsLongAsItsCauseIsThereAndNotMuchLonger) {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    CheckedPasses(seed).Run();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace bedrock::raft
