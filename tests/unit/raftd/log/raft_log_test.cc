#include "raftd/log/raft_log.h"

#include "common/codec/coding.h"
#include "tests/unit/raftd/log/log_fixture.h"

namespace bedrock::raft {
namespace {

using Operation = MemoryFileSystem::Operation;
using CrashMode = MemoryFileSystem::CrashMode;

using RaftLogTest = LogFixture;

TEST_F(RaftLogTest, ANewLogIsEmptyAndHealthy) {
  Open();
  const Recovered& found = log_->recovered();
  EXPECT_EQ(found.vote, Vote());
  EXPECT_EQ(found.last_index, LogIndex(0));
  EXPECT_EQ(found.membership, ThreeVoters());
  EXPECT_EQ(found.health, Health());
}

TEST_F(RaftLogTest, WhatWasSyncedIsThereAfterAPowerCut) {
  Open();
  SubmitAndSync(writes_.Vote(3, 2).Add(1, 4, 2).Add(5, 6, 3).Commit(4));
  Crash(CrashMode::kLoseUnsynced);
  Open();
  const Recovered& found = log_->recovered();
  EXPECT_EQ(found.vote, MakeVote(3, 2));
  EXPECT_EQ(found.last_index, LogIndex(6));
  EXPECT_EQ(found.terms, (std::vector<TermRun>{{LogIndex(1), Term(2)}, {LogIndex(5), Term(3)}}));
  EXPECT_EQ(found.last_time_ms, 3006U);
  EXPECT_EQ(found.commit_hint, LogIndex(4));
  EXPECT_EQ(found.health, Health());
  std::vector<Entry> expected = Entries(1, 4, 2);
  for (const Entry& entry : Entries(5, 6, 3)) expected.push_back(entry);
  EXPECT_EQ(ReadAll(), expected);
}

TEST_F(RaftLogTest, SubmittedButUnsyncedWritesAreNotDurable) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 2, 1));
  ASSERT_TRUE(log_->Submit(writes_.Add(3, 3, 1).Take()).ok());
  Crash(CrashMode::kLoseUnsynced);
  Open();
  EXPECT_EQ(ReadAll(), Entries(1, 2, 1));
}

TEST_F(RaftLogTest, ManyWritesAreOneBatch) {
  Open();
  executor_.RunAll();
  const std::uint64_t before = files().mutations();
  ASSERT_TRUE(log_->Submit(writes_.Vote(1, 2).Take()).ok());
  ASSERT_TRUE(log_->Sync().ok());
  const std::uint64_t with_vote = files().mutations();
  EXPECT_EQ(with_vote - before, 4U) << "one write and one sync of the log and of the vote file";
  for (std::uint64_t i = 1; i <= 10; ++i)
    ASSERT_TRUE(log_->Submit(writes_.Add(i, i, 1).Take()).ok());
  EXPECT_EQ(*log_->Sync(), WriteSeq(11));
  EXPECT_EQ(files().mutations() - with_vote, 2U) << "one write and one sync";
  EXPECT_EQ(*log_->Sync(), WriteSeq(11));
  EXPECT_EQ(files().mutations() - with_vote, 2U) << "nothing to do";
}

TEST_F(RaftLogTest, ACutRemovesTheTailForGood) {
  Open();
  SubmitAndSync(writes_.Vote(2, 2).Add(1, 9, 1));
  SubmitAndSync(writes_.Cut(4).Add(4, 5, 2));
  Open();
  std::vector<Entry> expected = Entries(1, 3, 1);
  for (const Entry& entry : Entries(4, 5, 2)) expected.push_back(entry);
  EXPECT_EQ(ReadAll(), expected);
  EXPECT_EQ(log_->recovered().last_time_ms, 2005U);
}

TEST_F(RaftLogTest, ACutOfEverythingLeavesAnEmptyLog) {
  Open();
  SubmitAndSync(writes_.Vote(2, 2).Add(1, 9, 1));
  SubmitAndSync(writes_.Cut(1));
  Open();
  EXPECT_EQ(log_->recovered().last_index, LogIndex(0));
  EXPECT_TRUE(log_->recovered().terms.empty());
}

TEST_F(RaftLogTest, ReadsEntriesThatAreNotWrittenYet) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 3, 1));
  ASSERT_TRUE(log_->Submit(writes_.Add(4, 6, 1).Take()).ok());
  const auto entries = log_->Read(LogIndex(2), LogIndex(6), 1 << 20);
  ASSERT_TRUE(entries.ok()) << entries.status().ToString();
  EXPECT_EQ(*entries, Entries(2, 6, 1));
}

TEST_F(RaftLogTest, ReadStopsAtTheBytesButGivesAtLeastOneEntry) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 9, 1, 100));
  const std::size_t size = MakeEntry(1, 1, 100).payload.size();
  EXPECT_EQ(log_->Read(LogIndex(1), LogIndex(9), 0)->size(), 1U);
  EXPECT_EQ(log_->Read(LogIndex(1), LogIndex(9), 3 * size - 1)->size(), 2U);
  EXPECT_EQ(log_->Read(LogIndex(1), LogIndex(9), 3 * size)->size(), 3U);
  EXPECT_EQ(log_->Read(LogIndex(7), LogIndex(9), 1 << 20)->size(), 3U);
}

TEST_F(RaftLogTest, AnEntryLargerThanASegmentGetsOneOfItsOwn) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 1, 1));
  SubmitAndSync(writes_.Add(2, 2, 1, 10 * kSmallSegment));
  SubmitAndSync(writes_.Add(3, 3, 1));
  Crash(CrashMode::kLoseUnsynced);
  Open();
  const auto entries = ReadAll();
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[1], MakeEntry(2, 1, 10 * kSmallSegment));
}

TEST_F(RaftLogTest, ASecondOpenIsRefusedWhileTheLogIsHeld) {
  Open();
  const auto second = RaftLog::Open(environment(), SmallOptions(), ThreeVoters());
  EXPECT_TRUE(second.status().IsUnavailable()) << second.status().ToString();
}

TEST_F(RaftLogTest, ABadSegmentSizeIsRefused) {
  LogOptions options = SmallOptions();
  options.segment_bytes = kPageBytes;
  EXPECT_TRUE(TryOpen(options).status().IsInvalidArgument());
  options.segment_bytes = kSmallSegment + 1;
  EXPECT_TRUE(TryOpen(options).status().IsInvalidArgument());
}

// ---- Failing disks

TEST_F(RaftLogTest, AFailedSyncPoisonsTheLog) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 1, 1));
  ASSERT_TRUE(log_->Submit(writes_.Add(2, 2, 1).Take()).ok());
  files().Inject({.operations = {Operation::kSync}, .path_suffix = ".seg"});
  const Status first = log_->Sync().status();
  EXPECT_TRUE(first.IsIOError());
  EXPECT_EQ(log_->Sync().status(), first);
  EXPECT_EQ(log_->SyncIdle(), first);
  EXPECT_EQ(log_->Submit(writes_.Add(3, 3, 1).Take()), first);
  EXPECT_EQ(log_->Read(LogIndex(1), LogIndex(1), 1).status(), first);
  EXPECT_EQ(log_->Compact(LogIndex(1)), first);
}

TEST_F(RaftLogTest, AFailedWritePoisonsTheLog) {
  Open();
  ASSERT_TRUE(log_->Submit(writes_.Vote(1, 2).Add(1, 1, 1).Take()).ok());
  files().Inject(
      {.operations = {Operation::kWrite}, .path_suffix = ".seg", .error = StatusCode::kNoSpace});
  EXPECT_TRUE(log_->Sync().status().IsNoSpace());
  EXPECT_TRUE(log_->Sync().status().IsNoSpace()) << "the file's state is unknown from now on";
}

TEST_F(RaftLogTest, AFailedSyncOfTheVoteFilePoisonsTheLog) {
  Open();
  ASSERT_TRUE(log_->Submit(writes_.Vote(1, 2).Take()).ok());
  files().Inject({.operations = {Operation::kSync}, .path_suffix = "vote"});
  EXPECT_TRUE(log_->Sync().status().IsIOError());
  EXPECT_TRUE(log_->Sync().status().IsIOError());
}

TEST_F(RaftLogTest, WhatAFailedSyncLeftInTheCacheIsWrittenAnewAtOpen) {
  Open();
  ASSERT_TRUE(log_->Submit(writes_.Vote(1, 2).Add(1, 3, 1).Take()).ok());
  files().Inject({.operations = {Operation::kSync}, .path_suffix = ".seg"});
  ASSERT_FALSE(log_->Sync().ok());
  Crash(CrashMode::kProcessOnly);
  Open();  // reads the cache, which the kernel takes for clean
  ASSERT_EQ(log_->recovered().last_index, LogIndex(3));
  Crash(CrashMode::kLoseUnsynced);
  Open();
  EXPECT_EQ(ReadAll(), Entries(1, 3, 1)) << "recovered() promised these as durable";
}

TEST_F(RaftLogTest, AReadErrorIsNeverTheEndOfTheLog) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 30, 1, 400));
  log_.reset();
  std::uint64_t errors = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    files().ClearFaults();
    files().Inject({.operations = {Operation::kRead, Operation::kList, Operation::kOpen},
                    .path_suffix = "",
                    .nth = nth});
    auto opened = TryOpen();
    if (opened.ok()) {
      EXPECT_EQ((*opened)->recovered().last_index, LogIndex(30));
      break;
    }
    EXPECT_TRUE(opened.status().IsIOError()) << opened.status().ToString();
    ++errors;
  }
  EXPECT_GT(errors, 4U);
}

TEST_F(RaftLogTest, AnEntryThatCannotBeReadBackIsCorruption) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 3, 1, 5000));
  ASSERT_TRUE(files().FlipBit(SegmentPath(1), 8 * (kPageBytes + 7000)).ok());
  EXPECT_TRUE(log_->Read(LogIndex(1), LogIndex(1), 1).ok());
  EXPECT_TRUE(log_->Read(LogIndex(2), LogIndex(2), 1).status().IsCorruption());
  EXPECT_TRUE(log_->Read(LogIndex(3), LogIndex(3), 1).ok());
}

// ---- Space

class FullDiskTest : public LogFixture {
 protected:
  /// Fills segments until a submit is refused; gives the last entry taken.
  std::uint64_t FillUp() {
    for (std::uint64_t i = 1;; ++i) {
      const Status taken = log_->Submit(writes_.Vote(1, 2).Add(i, i, 1, 3000).Take());
      if (!taken.ok()) {
        EXPECT_TRUE(taken.IsNoSpace()) << taken.ToString();
        return i - 1;
      }
      EXPECT_TRUE(log_->Sync().ok());
      executor_.RunAll();
      clock_.AdvanceMs(2000);
    }
  }
};

TEST_F(FullDiskTest, AppendsGoOnInTheSpareAndThenAreRefusedCleanly) {
  Open();
  executor_.RunAll();
  ASSERT_EQ(Names(kSpareSuffix).size(), 1U);
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 1, 1, 3000));
  files().SetCapacity(log_->SizeOnDisk() + 1000);
  std::uint64_t last = 1;
  while (true) {
    const Status taken = log_->Submit(writes_.Add(last + 1, last + 1, 1, 3000).Take());
    if (!taken.ok()) {
      EXPECT_TRUE(taken.IsNoSpace());
      break;
    }
    ASSERT_TRUE(log_->Sync().ok());
    executor_.RunAll();
    ++last;
  }
  EXPECT_EQ(Names(kSegmentSuffix).size(), 2U) << "the spare was used";
  EXPECT_TRUE(log_->Sync().ok()) << "a full disk is no poison";
  EXPECT_EQ(log_->Read(LogIndex(1), LogIndex(last), 1 << 20)->size(), last);
}

TEST_F(FullDiskTest, GoesOnWithoutARestartWhenSpaceIsBack) {
  Open();
  files().SetCapacity(4 * kSmallSegment);
  const std::uint64_t last = FillUp();
  ASSERT_GE(last, 3U);
  files().SetCapacity(MemoryFileSystem::kUnlimited);
  SubmitAndSync(writes_.Add(last + 1, last + 1, 1, 3000));
  Crash(CrashMode::kLoseUnsynced);
  Open();
  EXPECT_EQ(ReadAll(), Entries(1, last + 1, 1, 3000));
  EXPECT_TRUE(Names(kTemporarySuffix).empty());
}

TEST_F(FullDiskTest, CompactionOnAFullDiskMakesRoom) {
  Open();
  files().SetCapacity(4 * kSmallSegment);
  const std::uint64_t last = FillUp();
  ASSERT_TRUE(log_->Compact(LogIndex(last)).ok());
  clock_.AdvanceMs(2000);
  ASSERT_TRUE(log_->Sync().ok());
  executor_.RunAll();
  SubmitAndSync(writes_.Add(last + 1, last + 2, 1, 3000));
}

TEST_F(FullDiskTest, ASpareThatCannotBeMadeIsTriedAgainLater) {
  Open();
  files().Inject(
      {.operations = {Operation::kWrite}, .path_suffix = ".tmp", .error = StatusCode::kNoSpace});
  executor_.RunAll();
  EXPECT_TRUE(Names(kSpareSuffix).empty());
  EXPECT_TRUE(Names(kTemporarySuffix).empty()) << "half a file takes no space";
  ASSERT_TRUE(log_->Sync().ok());
  EXPECT_EQ(executor_.waiting(), 0U) << "not at once";
  clock_.AdvanceMs(1000);
  ASSERT_TRUE(log_->Sync().ok());
  executor_.RunAll();
  EXPECT_EQ(Names(kSpareSuffix).size(), 1U);
}

TEST_F(FullDiskTest, ASegmentIsMadeInlineWhereNoSpareIsReadyInTime) {
  Open();
  for (std::uint64_t i = 1; i <= 20; ++i)
    SubmitAndSync(writes_.Vote(1, 2).Add(i, i, 1, 3000));  // the executor never runs
  EXPECT_GE(Names(kSegmentSuffix).size(), 5U);
  Open();
  EXPECT_EQ(ReadAll(), Entries(1, 20, 1, 3000));
}

// ---- Compaction

class CompactionTest : public LogFixture {
 protected:
  void Fill(std::uint64_t first, std::uint64_t last, std::uint64_t term = 1) {
    for (std::uint64_t i = first; i <= last; ++i) {
      SubmitAndSync(writes_.Vote(term, 2).Add(i, i, term, 3000));
      executor_.RunAll();
    }
  }
};

TEST_F(CompactionTest, DropsWholeSegmentsOnly) {
  Open();
  Fill(1, 40);
  const std::uint64_t before = log_->SizeOnDisk();
  ASSERT_TRUE(log_->Compact(LogIndex(20)).ok());
  executor_.RunAll();
  EXPECT_LT(log_->SizeOnDisk(), before);
  EXPECT_EQ(*log_->Read(LogIndex(21), LogIndex(40), 1 << 20), Entries(21, 40, 1, 3000));
  Open();
  const Recovered& found = log_->recovered();
  EXPECT_GT(found.prev_index, LogIndex(10));
  EXPECT_LE(found.prev_index, LogIndex(20));
  EXPECT_EQ(found.prev_term, Term(1));
  EXPECT_EQ(found.last_index, LogIndex(40));
  EXPECT_EQ(found.health, Health());
  EXPECT_GE(found.commit_hint, LogIndex(20));
  EXPECT_EQ(ReadAll(), Entries(found.prev_index.value() + 1, 40, 1, 3000));
}

TEST_F(CompactionTest, KeepsTheSegmentThatIsWritten) {
  Open();
  Fill(1, 10);
  ASSERT_TRUE(log_->Compact(LogIndex(10)).ok());
  executor_.RunAll();
  EXPECT_EQ(Names(kSegmentSuffix).size(), 1U);
  Fill(11, 12);
  Open();
  EXPECT_EQ(log_->recovered().last_index, LogIndex(12));
}

TEST_F(CompactionTest, DroppedSegmentsAreUsedAgainAndTheirLeftoversNeverParse) {
  Open();
  for (std::uint64_t round = 0; round < 13; ++round) {
    const std::uint64_t first = round * 7 + 1;
    Fill(first, first + 6, round + 1);
    ASSERT_TRUE(log_->Compact(LogIndex(first + 4)).ok());
    executor_.RunAll();
    Crash(CrashMode::kRandom, round + 1);
    Open();
    const Recovered& found = log_->recovered();
    ASSERT_EQ(found.last_index, LogIndex(first + 6));
    EXPECT_EQ(found.health, Health()) << "leftovers are neither damage nor a torn tail";
    for (const Entry& entry : ReadAll()) {
      const std::uint64_t i = entry.index.value();
      ASSERT_EQ(entry, MakeEntry(i, (i - 1) / 7 + 1, 3000));
    }
  }
  bool recycled = false;
  for (const std::string& name : Names(kSegmentSuffix)) {
    const std::string content = Content("raft/log/" + name);
    const auto number = *ParseSegmentFileName(name, kSegmentSuffix);
    for (std::size_t at = kPageBytes; at + 40 <= content.size(); at += 8) {
      recycled |= LoadFixed<std::uint16_t>(content.data() + at + 12) == record::kMagic &&
                  LoadFixed<std::uint64_t>(content.data() + at + 16) < number;
    }
  }
  EXPECT_TRUE(recycled) << "the test must have met leftovers";
}

TEST_F(CompactionTest, ACutThatReachesBehindTheFirstSegmentIsReplayed) {
  Open();
  Fill(1, 12);  // several segments
  const std::uint64_t of_the_cut = Names(kSegmentSuffix).size() + 1;
  SubmitAndSync(writes_.Vote(3, 1).Cut(4).Add(4, 5, 3).Commit(5));
  for (std::uint64_t i = 6; i <= 10; ++i) SubmitAndSync(writes_.Add(i, i, 3, 3000).Commit(i));
  const std::string content = Content(SegmentPath(of_the_cut));
  ASSERT_TRUE(log_->Compact(LogIndex(10)).ok());
  executor_.RunAll();
  log_.reset();
  ASSERT_GT(Names(kSegmentSuffix).front(), SegmentFileName(of_the_cut, kSegmentSuffix));
  // A crash came before the last of those that went was gone.
  auto file = files().Open(SegmentPath(of_the_cut), FileSystem::OpenMode::kCreate);
  ASSERT_TRUE((*file)->WriteAt(0, content).ok());
  Open();
  EXPECT_EQ(log_->recovered().prev_index, LogIndex(3));
  EXPECT_EQ(log_->recovered().prev_term, Term(1));
  EXPECT_EQ(log_->Read(LogIndex(4), LogIndex(5), 1 << 20).value(), Entries(4, 5, 3));
}

TEST_F(CompactionTest, ASegmentOfTwoTermsKeepsTheRightTermBeforeTheFirstEntry) {
  Open();
  Fill(1, 6, 1);
  Fill(7, 14, 4);
  Fill(15, 30, 9);
  for (std::uint64_t i = 1; i <= 25; i += 3) {
    ASSERT_TRUE(log_->Compact(LogIndex(i)).ok());
    Open();
    executor_.RunAll();
    const Recovered& found = log_->recovered();
    const std::uint64_t prev = found.prev_index.value();
    EXPECT_EQ(found.prev_term, Term(prev == 0 ? 0 : prev <= 6 ? 1 : prev <= 14 ? 4 : 9));
    EXPECT_EQ(ReadAll().size(), 30 - prev);
  }
}

// ---- Idle proofs

TEST_F(RaftLogTest, AnIdleSyncWritesOneBatchAndOnlyWhereItProvesSomething) {
  Open();
  const auto mutations_of = [&](auto&& call) {
    const std::uint64_t before = files().mutations();
    EXPECT_TRUE(call().ok());
    return files().mutations() - before;
  };
  const auto idle = [&] { return log_->SyncIdle(); };
  EXPECT_EQ(mutations_of(idle), 0U) << "nothing was ever written";
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 1, 1));
  EXPECT_EQ(mutations_of(idle), 2U);
  EXPECT_EQ(mutations_of(idle), 0U);
  ASSERT_TRUE(log_->Submit(writes_.Add(2, 2, 1).Take()).ok());
  EXPECT_EQ(mutations_of(idle), 0U) << "a sync is about to come";
}

TEST_F(RaftLogTest, AFullSegmentStillHasRoomForTheIdleProof) {
  Open();
  std::uint64_t last = 0;
  while (Names(kSegmentSuffix).size() < 2) {
    ++last;
    SubmitAndSync(writes_.Vote(1, 2).Add(last, last, 1, 3000));
    const std::uint64_t before = files().mutations();
    ASSERT_TRUE(log_->SyncIdle().ok());
    EXPECT_EQ(files().mutations() - before, 2U);
  }
}

}  // namespace
}  // namespace bedrock::raft
