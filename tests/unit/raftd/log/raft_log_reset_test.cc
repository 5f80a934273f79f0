// Snapshots that take the log's place: R62, R63, R64.

#include "tests/unit/raftd/log/log_fixture.h"

namespace bedrock::raft {
namespace {

using CrashMode = MemoryFileSystem::CrashMode;

class ResetTest : public LogFixture {
 protected:
  /// Three segments and more, entries 1..30 of term 1, committed up to 20.
  void FillLog() {
    SubmitAndSync(writes_.Vote(1, 2));
    for (std::uint64_t i = 1; i <= 30; ++i) SubmitAndSync(writes_.Add(i, i, 1).Commit(i - i / 3));
  }
  static Membership Other() {
    return {.voters = {NodeId(2), NodeId(4)},
            .outgoing = {NodeId(1), NodeId(4)},
            .learners = {NodeId(1)}};
  }
  static LogReset To(std::uint64_t index, std::uint64_t term) {
    return {.index = LogIndex(index),
            .term = Term(term),
            .membership = {LogIndex(index - 3), Other()},
            .lost_up_to = {}};
  }
  Write ResetWrite(const LogReset& reset, std::uint64_t entries = 0) {
    Write write = writes_.Vote(9, 0).Take();
    write.reset_to = reset;
    for (std::uint64_t i = 1; i <= entries; ++i) {
      write.entries.push_back(MakeEntry(reset.index.value() + i, 9));
    }
    return write;
  }
  void BeginAnewAt50OfTerm7HavingLost(LogIndex up_to, Term newest) {
    Open();
    FillLog();
    LogReset reset = To(50, 7);
    reset.lost_up_to = up_to;
    reset.lost_term = newest;
    SubmitAndSync(ResetWrite(reset));
    Open();
  }
  void ExpectReset(const LogReset& reset, std::uint64_t entries) {
    const Recovered& found = log_->recovered();
    EXPECT_EQ(found.vote, MakeVote(9, 0));
    EXPECT_EQ(found.prev_index, reset.index);
    EXPECT_EQ(found.prev_term, reset.term);
    EXPECT_EQ(found.last_index, reset.index + entries);
    EXPECT_EQ(found.membership, reset.membership.membership);
    EXPECT_EQ(found.membership_index, reset.membership.index);
    EXPECT_TRUE(found.membership_changes.empty());
    EXPECT_EQ(found.health, Health());
    EXPECT_EQ(ReadAll(), Entries(reset.index.value() + 1, reset.index.value() + entries, 9));
  }
};

TEST_F(ResetTest, TheLogBeginsAnewBehindTheSnapshot) {
  Open();
  FillLog();
  SubmitAndSync(ResetWrite(To(50, 7), 3));
  for (int life = 0; life < 3; ++life) {
    Open();
    ExpectReset(To(50, 7), 3);
  }
  SubmitAndSync(writes_.Add(54, 54, 9));
  Open();
  ExpectReset(To(50, 7), 4);
}

TEST_F(ResetTest, ItIsDurableWithItsSubmit) {
  Open();
  FillLog();
  ASSERT_TRUE(log_->Submit(ResetWrite(To(50, 7), 2)).ok());
  log_.reset();
  Crash(CrashMode::kLoseUnsynced);
  Open();
  ExpectReset(To(50, 7), 2);
}

TEST_F(ResetTest, ReadsAndCutsGoOnBehindIt) {
  Open();
  FillLog();
  SubmitAndSync(ResetWrite(To(50, 7), 3));
  EXPECT_EQ(log_->Read(LogIndex(51), LogIndex(53), 1 << 20)->size(), 3U);
  SubmitAndSync(writes_.Cut(52).Add(52, 52, 9));
  Open();
  EXPECT_EQ(log_->recovered().last_index, LogIndex(52));
}

// R63: old or new, whole, wherever the power fails, and nothing that was synced before is lost.
TEST_F(ResetTest, APowerCutAtAnyCallLeavesTheOldLogOrTheNewOne) {
  std::uint64_t calls = 0;
  std::uint64_t old_logs = 0;
  std::uint64_t new_logs = 0;
  for (std::uint64_t at = 1; calls == 0 || at <= calls; ++at) {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      SCOPED_TRACE("call " + std::to_string(at) + " seed " + std::to_string(seed));
      log_.reset();
      executor_.Clear();
      files_ = std::make_unique<MemoryFileSystem>();
      Open();
      FillLog();
      executor_.RunAll();
      const std::uint64_t before = files().mutations();
      files().CrashAtMutation(before + at);
      const LogReset reset = To(50, 7);
      const bool done = log_->Submit(ResetWrite(reset, 2)).ok();
      if (done) executor_.RunAll();
      if (!files().crashed()) {
        calls = files().mutations() - before;
        break;
      }
      log_.reset();
      Crash(CrashMode::kRandom, seed);
      Open();
      if (log_->recovered().prev_index == LogIndex(50)) {
        ExpectReset(reset, 2);
        ++new_logs;
      } else {
        EXPECT_FALSE(done);
        EXPECT_EQ(log_->recovered().last_index, LogIndex(30));
        EXPECT_EQ(log_->recovered().vote, MakeVote(1, 2));
        EXPECT_EQ(log_->recovered().membership, ThreeVoters());
        EXPECT_EQ(log_->recovered().health, Health());
        ++old_logs;
      }
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(calls, 6U);
  EXPECT_GT(old_logs, 5U);
  EXPECT_GT(new_logs, 5U);
}

// R64
TEST_F(ResetTest, AConflictingTailNeverComesBack) {
  Open();
  FillLog();
  SubmitAndSync(ResetWrite(To(25, 7)));
  Open();
  ExpectReset(To(25, 7), 0);
  EXPECT_EQ(log_->recovered().terms, std::vector<TermRun>());
}

TEST_F(ResetTest, OldSegmentsGoAndCountForNothingUntilThen) {
  Open();
  FillLog();
  executor_.RunAll();
  const std::size_t before = Names(kSegmentSuffix).size();
  ASSERT_GT(before, 3U);
  SubmitAndSync(ResetWrite(To(50, 7)));
  log_.reset();
  executor_.Clear();  // nothing was removed yet
  ASSERT_EQ(Names(kSegmentSuffix).size(), before + 1);
  // Not even a bad one matters, nor a gap.
  Damage(SegmentPath(1), 0, 100);
  ASSERT_TRUE(files().Remove(SegmentPath(2)).ok());
  Open();
  ExpectReset(To(50, 7), 0);
  executor_.RunAll();
  EXPECT_EQ(Names(kSegmentSuffix).size(), 1U);
}

TEST_F(ResetTest, CompactionAndFurtherResetsFollow) {
  Open();
  FillLog();
  SubmitAndSync(ResetWrite(To(50, 7)));
  for (std::uint64_t i = 51; i <= 70; ++i) SubmitAndSync(writes_.Add(i, i, 9));
  ASSERT_TRUE(log_->Compact(LogIndex(70)).ok());
  executor_.RunAll();
  Open();
  EXPECT_EQ(log_->recovered().membership, Other());
  EXPECT_EQ(log_->recovered().membership_index, LogIndex(47));
  EXPECT_GT(log_->recovered().prev_index, LogIndex(50));
  Write again = writes_.Take();
  again.reset_to = To(90, 9);
  SubmitAndSync(again);
  Open();
  ExpectReset(To(90, 9), 0);
}

TEST_F(ResetTest, ANodeThatKnowsOfNobodyCanBeResetAsSuch) {
  auto opened = RaftLog::Open(environment(), SmallOptions(), Membership());
  ASSERT_TRUE(opened.ok());
  log_ = std::move(*opened);
  LogReset reset{.index = LogIndex(8), .term = Term(2), .membership = {}, .lost_up_to = {}};
  SubmitAndSync(ResetWrite(reset));
  log_.reset();
  opened = RaftLog::Open(environment(), SmallOptions(), Membership());
  ASSERT_TRUE(opened.ok()) << opened.status().ToString();
  EXPECT_EQ((*opened)->recovered().membership, Membership());
  EXPECT_EQ((*opened)->recovered().prev_index, LogIndex(8));
}

TEST_F(ResetTest, WithoutTheMembersFileTheMarkTellsWhoTakesPart) {
  Open();
  const std::string kept = Content("raft/members");
  FillLog();
  SubmitAndSync(ResetWrite(To(50, 7)));
  log_.reset();
  // As after a crash before the file was replaced.
  ASSERT_TRUE(ReplaceFile(files(), "raft/members", kept).ok());
  Open();
  ExpectReset(To(50, 7), 0);
  // And then once more without the mark, since the file was made good.
  log_.reset();
  Open();
  ExpectReset(To(50, 7), 0);
}

TEST_F(ResetTest, WhenBothAreGoneTheNodeDoesNotStart) {
  Open();
  const std::string kept = Content("raft/members");
  FillLog();
  SubmitAndSync(ResetWrite(To(50, 7)));
  executor_.RunAll();
  log_.reset();
  ASSERT_TRUE(ReplaceFile(files(), "raft/members", kept).ok());
  const std::string newest = "raft/log/" + Names(kSegmentSuffix).back();
  Damage(newest, kPageBytes, kPageBytes + 200);
  const auto opened = TryOpen();
  EXPECT_TRUE(opened.status().IsCorruption()) << opened.status().ToString();
}

// The batch that came with the reset was synced before the segment had its name: no torn tail.
TEST_F(ResetTest, RotInItsFirstBatchIsALoss) {
  Open();
  FillLog();
  SubmitAndSync(ResetWrite(To(50, 7), 3));
  executor_.RunAll();
  log_.reset();
  Damage("raft/log/" + Names(kSegmentSuffix).back(), kPageBytes, kPageBytes + 200);
  Open();
  EXPECT_EQ(log_->recovered().prev_index, LogIndex(50));
  EXPECT_EQ(log_->recovered().membership, Other());
  EXPECT_EQ(log_->recovered().vote, MakeVote(9, 0));
  EXPECT_GT(log_->recovered().health.lost_up_to, LogIndex(50));
}

// What the vote file knows of the log that is gone says nothing of the one before it.
TEST_F(ResetTest, WhereItIsGoneTheOldLogIsALossAndNothingInItIsCommittedForIt) {
  Open();
  FillLog();
  SubmitAndSync(ResetWrite(To(25, 7), 2));
  const std::vector<std::string> segments = Names(kSegmentSuffix);
  ASSERT_GT(segments.size(), 1U) << "the old ones are still there";
  ASSERT_TRUE(
      files().Remove("raft/log/" + *std::max_element(segments.begin(), segments.end())).ok());
  for (int life = 0; life < 3; ++life) {
    Open();
    const Recovered& found = log_->recovered();
    ASSERT_EQ(found.last_index, LogIndex(30));
    EXPECT_LE(found.commit_hint, LogIndex(20)) << "entry 25 is not the snapshot's";
    EXPECT_GT(found.health.lost_up_to, LogIndex(30)) << "it must not vote";
    EXPECT_EQ(found.vote, MakeVote(9, 0));
  }
}

TEST_F(ResetTest, WhatWasLostStaysLostOverARestart) {
  BeginAnewAt50OfTerm7HavingLost(LogIndex(51), Term(7));
  EXPECT_EQ(log_->recovered().health.lost_up_to, LogIndex(51));
  SubmitAndSync(writes_.Add(51, 51, 9));
  Open();
  EXPECT_EQ(log_->recovered().health, Health());
}

TEST_F(ResetTest, ASnapshotOfALaterTermHoldsWhatWasCommittedOfWhatWasLost) {
  BeginAnewAt50OfTerm7HavingLost(LogIndex(60), Term(6));
  EXPECT_EQ(log_->recovered().health, Health());
}

TEST_F(ResetTest, OnAFullDiskItIsRefusedAndTheLogStays) {
  LogOptions options = SmallOptions();
  options.spare_segments = 0;
  Open(options);
  FillLog();
  const std::uint64_t used = MemoryFileSystem::kUnlimited - files().FreeSpace("/").value();
  files().SetCapacity(used);
  EXPECT_TRUE(log_->Submit(ResetWrite(To(50, 7))).IsNoSpace());
  EXPECT_EQ(log_->Read(LogIndex(30), LogIndex(30), 1)->size(), 1U);
  files().SetCapacity(MemoryFileSystem::kUnlimited);
  Write write = writes_.Take();
  write.reset_to = To(50, 1);
  SubmitAndSync(write);
  EXPECT_EQ(log_->LastBeyond(0), LogIndex(0));
}

// ---- How much there is

TEST_F(ResetTest, SaysUpToWhereTheLogIsLargerThanItShouldBe) {
  Open();
  FillLog();
  const std::size_t segments = Names(kSegmentSuffix).size();
  ASSERT_GT(segments, 3U);
  EXPECT_EQ(log_->LastBeyond(segments * kSmallSegment), LogIndex(0));
  const LogIndex one = log_->LastBeyond(segments * kSmallSegment - 1);
  const LogIndex two = log_->LastBeyond((segments - 2) * kSmallSegment);
  EXPECT_GT(one, LogIndex(0));
  EXPECT_GT(two, one);
  ASSERT_TRUE(log_->Compact(two).ok());
  EXPECT_EQ(log_->LastBeyond((segments - 2) * kSmallSegment), LogIndex(0));
  // The one that is written stays.
  ASSERT_TRUE(log_->Compact(log_->LastBeyond(1)).ok());
  executor_.RunAll();
  EXPECT_EQ(Names(kSegmentSuffix).size(), 1U);
  EXPECT_EQ(log_->LastBeyond(1), LogIndex(0));
}

}  // namespace
}  // namespace bedrock::raft
