// Who takes part, as the log knows it: from its entries, and behind compaction from the file
// `members` (R15, R39).

#include "raftd/log/membership_file.h"

#include <gtest/gtest.h>

#include <string>

#include "raftd/core/membership.h"
#include "tests/unit/raftd/log/log_fixture.h"

namespace bedrock::raft {
namespace {

Membership WithLearner(std::uint64_t learner) {
  Membership membership = ThreeVoters();
  membership.learners = {NodeId(learner)};
  membership.addresses = {{NodeId(learner), "somewhere"}};
  return membership;
}

class MembershipLogFileTest : public LogFixture {
 protected:
  /// Entry `index` of `term` holds this configuration.
  void AddMembership(std::uint64_t index, std::uint64_t term, const Membership& membership) {
    Write write = writes_.Take();
    Entry entry = MakeEntry(index, term);
    entry.kind = EntryKind::kMembership;
    entry.payload = Bytes(EncodeMembership(membership));
    write.entries.push_back(std::move(entry));
    SubmitAndSync(write);
  }
  const Membership& InEffect() {
    const Recovered& found = log_->recovered();
    return found.membership_changes.empty() ? found.membership
                                            : found.membership_changes.back().membership;
  }
  /// Fills segments until the first of them have gone up to `index`.
  void FillAndCompact(std::uint64_t from, std::uint64_t index) {
    for (std::uint64_t i = from; i <= index + 20; ++i) SubmitAndSync(writes_.Add(i, i, 1, 3000));
    ASSERT_TRUE(log_->Compact(LogIndex(index)).ok());
    executor_.RunAll();
  }
};

TEST_F(MembershipLogFileTest, ANewLogTakesWhatItIsGivenAndKeepsThat) {
  Open();
  EXPECT_EQ(InEffect(), ThreeVoters());
  log_.reset();
  auto again = RaftLog::Open(environment(), SmallOptions(), WithLearner(9));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ((*again)->recovered().membership, ThreeVoters()) << "flags count once";
}

TEST_F(MembershipLogFileTest, ANodeThatWaitsToBeTakenInKnowsOfNobody) {
  auto blank = RaftLog::Open(environment(), SmallOptions(), Membership());
  ASSERT_TRUE(blank.ok());
  blank->reset();
  blank = RaftLog::Open(environment(), SmallOptions(), ThreeVoters());
  ASSERT_TRUE(blank.ok());
  EXPECT_EQ((*blank)->recovered().membership, Membership());
}

TEST_F(MembershipLogFileTest, TheNewestEntryTellsAndACutBringsTheOneBeforeBack) {
  Open();
  SubmitAndSync(writes_.Vote(1, 1).Add(1, 1, 1));
  AddMembership(2, 1, WithLearner(4));
  AddMembership(3, 1, WithLearner(5));
  Open();
  EXPECT_EQ(InEffect(), WithLearner(5));
  SubmitAndSync(writes_.Vote(2, 1).Cut(3).Add(3, 4, 2));
  Open();
  EXPECT_EQ(InEffect(), WithLearner(4));
  EXPECT_EQ(log_->recovered().membership_changes.size(), 1U);
  SubmitAndSync(writes_.Vote(3, 1).Cut(2));
  Open();
  EXPECT_EQ(InEffect(), ThreeVoters());
}

TEST_F(MembershipLogFileTest, CompactionKeepsTheNewestThatGoesAndNoneThatIsNewer) {
  Open();
  SubmitAndSync(writes_.Vote(1, 1).Add(1, 1, 1));
  AddMembership(2, 1, WithLearner(4));
  AddMembership(3, 1, WithLearner(5));
  FillAndCompact(4, 30);
  AddMembership(51, 1, WithLearner(6));
  Open();
  EXPECT_GT(log_->recovered().prev_index, LogIndex(3));
  EXPECT_EQ(log_->recovered().membership_index, LogIndex(3));
  EXPECT_EQ(log_->recovered().membership, WithLearner(5));
  EXPECT_EQ(InEffect(), WithLearner(6));
  SubmitAndSync(writes_.Vote(2, 1).Cut(51).Add(51, 51, 2));
  Open();
  EXPECT_EQ(InEffect(), WithLearner(5));
}

TEST_F(MembershipLogFileTest, WithoutTheFileOnlyALogWithAllItsEntriesStillKnows) {
  Open();
  SubmitAndSync(writes_.Vote(1, 1).Add(1, 1, 1));
  AddMembership(2, 1, WithLearner(4));
  log_.reset();
  ASSERT_TRUE(files().Remove("raft/members").ok());
  Open();
  EXPECT_EQ(InEffect(), WithLearner(4));
  FillAndCompact(3, 30);
  log_.reset();
  ASSERT_TRUE(files().Remove("raft/members").ok());
  const auto refused = TryOpen();
  EXPECT_TRUE(refused.status().IsCorruption()) << refused.status().ToString();
}

TEST_F(MembershipLogFileTest, EveryChangedByteOfTheFileIsNoticed) {
  Open();
  log_.reset();
  const std::string whole = Content("raft/members");
  for (std::size_t i = 0; i < whole.size(); ++i) {
    ASSERT_TRUE(files().FlipBit("raft/members", 8 * i + i % 8).ok());
    EXPECT_TRUE(TryOpen().status().IsCorruption()) << "byte " << i;
    ASSERT_TRUE(files().FlipBit("raft/members", 8 * i + i % 8).ok());
  }
  EXPECT_TRUE(TryOpen().ok());
}

TEST_F(MembershipLogFileTest, AnotherNodesFileIsRefused) {
  Open();
  log_.reset();
  ASSERT_TRUE(
      WriteMembershipFile(files(), "raft/members", kCluster, NodeId(7), {LogIndex(), ThreeVoters()})
          .ok());
  EXPECT_TRUE(TryOpen().status().IsCorruption());
  ASSERT_TRUE(
      WriteMembershipFile(files(), "raft/members", ClusterId(8), kNode, {LogIndex(), ThreeVoters()})
          .ok());
  EXPECT_TRUE(TryOpen().status().IsCorruption());
}

TEST_F(MembershipLogFileTest, AFullDiskPostponesTheCompactionThatNeedsTheFile) {
  Open();
  SubmitAndSync(writes_.Vote(1, 1).Add(1, 1, 1));
  AddMembership(2, 1, WithLearner(4));
  for (std::uint64_t i = 3; i <= 50; ++i) SubmitAndSync(writes_.Add(i, i, 1, 3000));
  const std::size_t before = Names(kSegmentSuffix).size();
  files().Inject({.operations = {MemoryFileSystem::Operation::kWrite},
                  .path_suffix = "members.tmp",
                  .nth = 1,
                  .forever = MemoryFileSystem::Forever::kNo,
                  .error = StatusCode::kNoSpace});
  EXPECT_TRUE(log_->Compact(LogIndex(30)).ok());
  EXPECT_EQ(Names(kSegmentSuffix).size(), before);
  EXPECT_TRUE(log_->Compact(LogIndex(30)).ok());
  executor_.RunAll();
  EXPECT_LT(Names(kSegmentSuffix).size(), before);
  Open();
  EXPECT_EQ(InEffect(), WithLearner(4));
}

}  // namespace
}  // namespace bedrock::raft
