// Configurations as values: encoding, deltas, and the log of them (R15, R39, R48).

#include "raftd/core/membership.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <variant>
#include <vector>

#include "common/env/random.h"
#include "raftd/core/quorum.h"
#include "tests/unit/raftd/core/lone_node.h"

namespace bedrock::raft {
namespace {

std::vector<NodeId> Ids(std::initializer_list<std::uint64_t> values) {
  std::vector<NodeId> ids;
  for (const std::uint64_t value : values) ids.emplace_back(value);
  return ids;
}

const auto kNobody = [](NodeId) { return false; };
const auto kEverybody = [](NodeId) { return true; };

Membership Three() {
  return {.voters = Ids({1, 2, 3}),
          .outgoing = {},
          .learners = {},
          .promoting = {},
          .retiring = {},
          .removed = {},
          .addresses = {{NodeId(1), "one"}, {NodeId(2), "two"}, {NodeId(3), "three"}}};
}

template <typename CaughtUp>
Membership Applied(const Membership& now, const Delta& delta, const CaughtUp& caught_up) {
  auto result = ApplyDelta(now, delta, caught_up);
  if (const auto* reason = std::get_if<Reconfiguring>(&result)) {
    ADD_FAILURE() << "refused: " << static_cast<int>(*reason);
    return {};
  }
  return std::get<Membership>(result);
}

template <typename CaughtUp>
Reconfiguring Refusal(const Membership& now, const Delta& delta, const CaughtUp& caught_up) {
  auto result = ApplyDelta(now, delta, caught_up);
  const auto* reason = std::get_if<Reconfiguring>(&result);
  return reason == nullptr ? Reconfiguring::kStarted : *reason;
}

TEST(MembershipCodecTest, EverythingSurvives) {
  Membership membership = Three();
  membership.outgoing = Ids({2, 3, 4});
  membership.learners = Ids({4, 5, 300});
  membership.promoting = Ids({300});
  membership.retiring = Ids({4});
  membership.removed = Ids({7, 70'000});
  EXPECT_EQ(DecodeMembership(EncodeMembership(membership)), membership);
  EXPECT_EQ(EncodeMembership(membership).front(), 1);
  membership.logs = {{NodeId(2), LogNumber(1)}, {NodeId(300), LogNumber(~0ULL)}};
  EXPECT_EQ(DecodeMembership(EncodeMembership(membership)), membership);
  EXPECT_EQ(EncodeMembership(membership).front(), 2);
}

TEST(MembershipCodecTest, NoPrefixAndNoChangedByteIsTakenForAnotherImpossibleOne) {
  Membership three = Three();
  three.logs = {{NodeId(1), LogNumber(77)}, {NodeId(3), LogNumber(78)}};
  const std::string whole = EncodeMembership(three);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(DecodeMembership(whole.substr(0, size)));
  }
  EXPECT_FALSE(DecodeMembership(whole + '\0'));
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string other = whole;
      other[i] = static_cast<char>(other[i] ^ (1 << bit));
      // Checksums are the log's; here it only has to be one that could be, and the same again.
      const auto decoded = DecodeMembership(other);
      if (decoded) {
        EXPECT_EQ(EncodeMembership(*decoded), other);
      }
    }
  }
}

TEST(MembershipCodecTest, ImpossibleOnesAreRefused) {
  const auto refused = [](const Membership& m) { return !DecodeMembership(EncodeMembership(m)); };
  EXPECT_TRUE(refused({}));
  Membership m = Three();
  m.learners = Ids({3});
  EXPECT_TRUE(refused(m)) << "voter and learner";
  m = Three();
  m.promoting = Ids({9});
  EXPECT_TRUE(refused(m)) << "promoting no learner";
  m = Three();
  m.removed = Ids({2});
  EXPECT_TRUE(refused(m)) << "removed and there";
  m = Three();
  m.addresses.push_back({NodeId(9), "nine"});
  EXPECT_TRUE(refused(m)) << "a stranger's address";
  m = Three();
  m.logs = {{NodeId(9), LogNumber(1)}};
  EXPECT_TRUE(refused(m)) << "a stranger's log";
  m.logs = {{NodeId(2), LogNumber(1)}, {NodeId(1), LogNumber(1)}};
  EXPECT_TRUE(refused(m)) << "logs not sorted";
  m.logs = {{NodeId(2), LogNumber()}};
  EXPECT_TRUE(refused(m)) << "no number";
  m = Three();
  m.outgoing = Ids({1, 2, 3, 9});
  EXPECT_TRUE(refused(m)) << "gone before the next configuration is committed";
  m = Three();
  m.voters = Ids({1, 3, 2});
  EXPECT_TRUE(refused(m)) << "not sorted";
  m = Three();
  for (std::uint64_t id = 10; id < 10 + kMembersMax; ++id) m.learners.emplace_back(id);
  EXPECT_TRUE(refused(m)) << "too many";
}

TEST(DeltaTest, ANewNodeIsALearnerAndQuorumsStayAsTheyAre) {
  const Membership next =
      Applied(Three(), {.add = {{NodeId(4), AutoPromote::kYes, "four"}}}, kNobody);
  EXPECT_FALSE(IsJoint(next));
  EXPECT_EQ(next.voters, Ids({1, 2, 3}));
  EXPECT_EQ(next.learners, Ids({4}));
  EXPECT_EQ(next.promoting, Ids({4}));
  EXPECT_EQ(next.addresses.back(), (MemberAddress{NodeId(4), "four"}));
  const Membership kept = Applied(Three(), {.add = {{NodeId(4), AutoPromote::kNo, ""}}}, kNobody);
  EXPECT_TRUE(kept.promoting.empty());
}

TEST(DeltaTest, ALearnerThatHasCaughtUpIsPromotedJointlyAndAnyOtherOnlyMarked) {
  Membership now = Three();
  now.learners = Ids({4, 5});
  const Membership next =
      Applied(now, {.promote = Ids({4, 5})}, [](NodeId id) { return id == NodeId(4); });
  EXPECT_EQ(next.voters, Ids({1, 2, 3, 4}));
  EXPECT_EQ(next.outgoing, Ids({1, 2, 3}));
  EXPECT_EQ(next.learners, Ids({5}));
  EXPECT_EQ(next.promoting, Ids({5}));
  EXPECT_EQ(Promote(now, Ids({4})).voters, Ids({1, 2, 3, 4}));
}

// R15: whoever had that log, and no other, is this member.
TEST(DeltaTest, AMembersLogIsNotedOnceAndForgottenWithTheMember) {
  const Membership noted =
      Applied(Three(), {.logs = {{NodeId(3), LogNumber(33)}, {NodeId(1), LogNumber(11)}}}, kNobody);
  EXPECT_FALSE(IsJoint(noted));
  EXPECT_EQ(noted.logs,
            (std::vector<MemberLog>{{NodeId(1), LogNumber(11)}, {NodeId(3), LogNumber(33)}}));
  EXPECT_EQ(Refusal(noted, {.logs = {{NodeId(3), LogNumber(33)}}}, kNobody),
            Reconfiguring::kNothing);
  EXPECT_EQ(Refusal(noted, {.logs = {{NodeId(3), LogNumber(34)}}}, kNobody),
            Reconfiguring::kMemberExists);
  EXPECT_EQ(Refusal(noted, {.logs = {{NodeId(4), LogNumber(34)}}}, kNobody),
            Reconfiguring::kNoMember);
  EXPECT_EQ(Refusal(noted, {.logs = {{NodeId(2), LogNumber()}}}, kNobody), Reconfiguring::kInvalid);
  const Membership without = DropRetired(LeaveJoint(Applied(noted, {.remove = Ids({3})}, kNobody)));
  EXPECT_EQ(without.logs, (std::vector<MemberLog>{{NodeId(1), LogNumber(11)}}));
}

// R48: the last step cannot strand anybody, since who leaves still is a learner then.
TEST(DeltaTest, AVoterThatLeavesIsALearnerUntilTheNewConfigurationStands) {
  const Membership joint = Applied(Three(), {.remove = Ids({3})}, kNobody);
  EXPECT_EQ(joint.voters, Ids({1, 2}));
  EXPECT_EQ(joint.outgoing, Ids({1, 2, 3}));
  EXPECT_EQ(joint.learners, Ids({3}));
  EXPECT_EQ(joint.retiring, Ids({3}));
  const Membership left = LeaveJoint(joint);
  EXPECT_EQ(left.learners, Ids({3}));
  EXPECT_FALSE(IsSettled(left));
  const Membership done = DropRetired(left);
  EXPECT_TRUE(IsSettled(done));
  EXPECT_EQ(AllMembers(done), Ids({1, 2}));
  EXPECT_EQ(done.removed, Ids({3}));
  EXPECT_EQ(done.addresses.size(), 2U);
}

TEST(DeltaTest, ADemotedVoterStaysALearnerAndALearnerIsDroppedAtOnce) {
  const Membership demoted = Applied(Three(), {.demote = Ids({1})}, kNobody);
  EXPECT_EQ(demoted.voters, Ids({2, 3}));
  EXPECT_EQ(LeaveJoint(demoted).learners, Ids({1}));
  EXPECT_TRUE(IsSettled(LeaveJoint(demoted)));
  Membership now = Three();
  now.learners = now.promoting = Ids({4});
  EXPECT_EQ(Applied(now, {.demote = Ids({4})}, kNobody).promoting, Ids({}));
  const Membership dropped = Applied(now, {.remove = Ids({4})}, kNobody);
  EXPECT_FALSE(IsJoint(dropped));
  EXPECT_TRUE(dropped.learners.empty() && dropped.promoting.empty());
  EXPECT_EQ(dropped.removed, Ids({4}));
}

TEST(DeltaTest, SeveralChangesAreOneStep) {
  Membership now = Three();
  now.learners = Ids({4, 5, 6});
  const Membership next =
      Applied(now, {.promote = Ids({4, 5, 6}), .remove = Ids({1, 2, 3})}, kEverybody);
  EXPECT_EQ(next.voters, Ids({4, 5, 6}));
  EXPECT_EQ(next.outgoing, Ids({1, 2, 3}));
  EXPECT_EQ(next.retiring, Ids({1, 2, 3}));
}

// R15
TEST(DeltaTest, AnIdIsNeverUsedAgain) {
  Membership now = Three();
  now.removed = Ids({4});
  EXPECT_EQ(Refusal(now, {.add = {{NodeId(4)}}}, kNobody), Reconfiguring::kWasMember);
  EXPECT_EQ(Refusal(now, {.add = {{NodeId(3)}}}, kNobody), Reconfiguring::kMemberExists);
}

TEST(DeltaTest, WhatCannotBeIsRefused) {
  const Membership now = Three();
  EXPECT_EQ(Refusal(now, {}, kNobody), Reconfiguring::kNothing);
  EXPECT_EQ(Refusal(now, {.promote = Ids({1})}, kNobody), Reconfiguring::kNothing);
  EXPECT_EQ(Refusal(now, {.promote = Ids({9})}, kNobody), Reconfiguring::kNoMember);
  EXPECT_EQ(Refusal(now, {.demote = Ids({9})}, kNobody), Reconfiguring::kNoMember);
  EXPECT_EQ(Refusal(now, {.remove = Ids({9})}, kNobody), Reconfiguring::kNoMember);
  EXPECT_EQ(Refusal(now, {.demote = Ids({1}), .remove = Ids({1})}, kNobody),
            Reconfiguring::kInvalid);
  EXPECT_EQ(Refusal(now, {.remove = Ids({1, 2, 3})}, kNobody), Reconfiguring::kInvalid);
  EXPECT_EQ(Refusal(now, {.add = {{NodeId(0)}}}, kNobody), Reconfiguring::kInvalid);
  EXPECT_EQ(
      Refusal(now,
              {.add = {{NodeId(4), AutoPromote::kYes, std::string(kAddressBytesMax + 1, 'x')}}},
              kNobody),
      Reconfiguring::kInvalid);
  Membership gone = Three();
  gone.removed = Ids({9});
  EXPECT_EQ(Refusal(gone, {.remove = Ids({9})}, kNobody), Reconfiguring::kNothing);
}

/// Whatever is asked for: the result could be, survives its encoding, keeps every member's fate,
/// and any majority of the old voters meets any majority of the new in the joint step.
TEST(DeltaTest, RandomDeltasGiveConfigurationsThatCouldBe) {
  Random random(7);
  int joint = 0;
  for (int run = 0; run < 20'000; ++run) {
    Membership now;
    for (std::uint64_t id = 1; id <= 12; ++id) {
      const std::uint64_t fate = random.Below(5);
      if (fate < 2) now.voters.emplace_back(id);
      if (fate == 2) now.learners.emplace_back(id);
      if (fate == 2 && random.Chance(1, 2)) now.promoting.emplace_back(id);
      if (fate == 3) now.removed.emplace_back(id);
    }
    if (now.voters.empty()) continue;
    Delta delta;
    const auto some = [&random](std::vector<NodeId>& list) {
      while (random.Chance(1, 2)) list.emplace_back(random.Between(1, 13));
    };
    some(delta.promote);
    some(delta.demote);
    some(delta.remove);
    if (random.Chance(1, 2)) delta.add.push_back({NodeId(random.Between(1, 13))});
    const auto result = ApplyDelta(now, delta, [&](NodeId id) { return id.value() % 2 == 0; });
    const auto* next = std::get_if<Membership>(&result);
    if (next == nullptr) continue;
    ASSERT_EQ(DecodeMembership(EncodeMembership(*next)), *next);
    ASSERT_EQ(IsJoint(*next), next->voters != now.voters);
    if (IsJoint(*next)) {
      ++joint;
      ASSERT_EQ(next->outgoing, now.voters);
      ASSERT_EQ(DecodeMembership(EncodeMembership(LeaveJoint(*next))), LeaveJoint(*next));
    }
    for (const NodeId id : now.removed) ASSERT_FALSE(IsMember(*next, id));
    for (const NodeId id : AllMembers(now)) {
      const bool known =
          IsMember(*next, id) || std::binary_search(next->removed.begin(), next->removed.end(), id);
      ASSERT_TRUE(known) << "member " << id.value() << " vanished";
    }
  }
  EXPECT_GT(joint, 1000);
}

// R39
TEST(MembershipLogTest, ACutBringsBackTheOneBefore) {
  Membership two = Three();
  two.learners = Ids({4});
  MembershipLog log(Three(), LogIndex(), {});
  EXPECT_EQ(log.before(), nullptr);
  log.Append(LogIndex(5), two);
  EXPECT_EQ(log.now(), two);
  EXPECT_EQ(*log.before(), Three());
  log.CutFrom(LogIndex(6));
  EXPECT_EQ(log.index(), LogIndex(5));
  log.CutFrom(LogIndex(5));
  EXPECT_EQ(log.now(), Three());
  EXPECT_EQ(log.index(), LogIndex());
}

// The log on disk drops whole segments and remembers the newest configuration of what may go, so
// that after a restart it knows one that is newer than its first entries.
TEST(MembershipLogTest, WhatIsRememberedMayBeNewerThanWhatIsCompactedOrAppended) {
  Membership newest = Voters(3);
  newest.learners = {NodeId(9)};
  MembershipLog log(newest, LogIndex(9), {});
  log.Compact(LogIndex(5));
  EXPECT_EQ(log.now(), newest);
  log.Append(LogIndex(7), Voters(2));
  log.Append(LogIndex(9), newest);
  EXPECT_EQ(log.now(), newest);
  EXPECT_EQ(log.index(), LogIndex(9));
  log.Append(LogIndex(12), Voters(4));
  EXPECT_EQ(log.now(), Voters(4));
  EXPECT_EQ(log.UpTo(LogIndex(11)).index, LogIndex(9));
  EXPECT_EQ(log.UpTo(LogIndex(3)).index, LogIndex(9));
}

TEST(MembershipLogTest, CompactionKeepsTheNewestOfWhatGoes) {
  Membership two = Three();
  two.learners = Ids({4});
  Membership three = Three();
  three.learners = Ids({5});
  MembershipLog log(Three(), LogIndex(), {{LogIndex(3), two}, {LogIndex(8), three}});
  log.Compact(LogIndex(7));
  EXPECT_EQ(*log.before(), two);
  log.CutFrom(LogIndex(8));
  EXPECT_EQ(log.now(), two);
  EXPECT_EQ(log.index(), LogIndex(3));
}

}  // namespace
}  // namespace bedrock::raft
