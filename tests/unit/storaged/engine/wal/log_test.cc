#include "storaged/engine/wal/log.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/storaged/engine/wal/log_fixture.h"

namespace bedrock::engine::wal {
namespace {

using CrashMode = MemoryFileSystem::CrashMode;
using Operation = MemoryFileSystem::Operation;

TEST_F(LogTest, AnEmptyFolderIsAnEmptyLog) {
  ASSERT_TRUE(Open().ok());
  EXPECT_TRUE(found_.empty());
  EXPECT_EQ(log_->last_version(), Version());
  EXPECT_TRUE(fs().List("db")->empty());
}

TEST_F(LogTest, WhatWasAppendedSurvivesTheProcess) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(AppendAll(1, 10, Durability::kProcess).ok());
  Crash(CrashMode::kProcessOnly);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(found_, Expected(1, 10));
}

TEST_F(LogTest, WhatWasSyncedSurvivesAPowerCut) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(AppendAll(1, 10, Durability::kDisk).ok());
  EXPECT_EQ(log_->durable_version(), Version());
  ASSERT_TRUE(Sync().ok());
  EXPECT_EQ(log_->durable_version(), Version(10));
  Crash(CrashMode::kLoseUnsynced);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(found_, Expected(1, 10));
}

TEST_F(LogTest, ASyncOfOneCommitIsOneWriteWithSync) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(1, Durability::kDisk).ok() && Sync().ok());
  const std::uint64_t before = fs().mutations();
  ASSERT_TRUE(Append(2, Durability::kDisk).ok() && Sync().ok());
  EXPECT_EQ(fs().mutations() - before, 2u);  // the two halves of WriteAtAndSync
}

TEST_F(LogTest, ASyncOfWhatIsDurableDoesNothing) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(1, Durability::kDisk).ok() && Sync().ok());
  const std::uint64_t before = fs().mutations();
  EXPECT_TRUE(Sync().ok());
  EXPECT_EQ(fs().mutations(), before);
}

TEST_F(LogTest, ALaterOpenGoesOn) {
  for (std::uint64_t life = 0; life < 5; ++life) {
    ASSERT_TRUE(Open().ok());
    EXPECT_EQ(found_, Expected(1, 3 * life));
    ASSERT_TRUE(AppendAll(3 * life + 1, 3 * life + 3, Durability::kProcess).ok());
    Crash(CrashMode::kProcessOnly);
  }
}

TEST_F(LogTest, ManySegmentsAreOneLog) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(AppendAll(1, 1000, Durability::kProcess, 100).ok());
  EXPECT_GT(Names().size(), 5u);
  EXPECT_EQ(log_->stats().segments, Names().size());
  EXPECT_EQ(log_->stats().appends, 1000u);
  Crash(CrashMode::kProcessOnly);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(found_, Expected(1, 1000, 100));
}

TEST_F(LogTest, CommitsThatAreDurableElsewhereAreNotHandedOut) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(AppendAll(1, 1000, Durability::kProcess, 100).ok());
  Crash(CrashMode::kProcessOnly);
  ASSERT_TRUE(Open(Version(700)).ok());
  EXPECT_EQ(found_, Expected(701, 1000, 100));
  ASSERT_TRUE(Open(Version(2000)).ok());
  EXPECT_TRUE(found_.empty());
  EXPECT_EQ(log_->last_version(), Version(2000));
  ASSERT_TRUE(Append(2001, Durability::kProcess).ok());
  ASSERT_TRUE(Open(Version(2000)).ok());
  EXPECT_EQ(found_, Expected(2001, 2001));
}

TEST_F(LogTest, ACommitLargerThanASegmentGetsItsOwn) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(AppendAll(1, 3, Durability::kProcess).ok());
  ASSERT_TRUE(Append(4, Durability::kProcess, 100'000).ok());
  ASSERT_TRUE(AppendAll(5, 6, Durability::kDisk).ok());
  ASSERT_TRUE(Sync().ok());
  Crash(CrashMode::kLoseUnsynced);
  ASSERT_TRUE(Open().ok());
  Commits expected = Expected(1, 6);
  expected[4] = PayloadOf(4, 100'000);
  EXPECT_EQ(found_, expected);
}

TEST_F(LogTest, TheLargestCommitFitsAndALargerOneIsRefused) {
  ASSERT_TRUE(Open().ok());
  const std::string large(kPayloadBytesMax + 1, 'x');
  EXPECT_TRUE(log_->Append(Version(1), large, Durability::kProcess).IsInvalidArgument());
  ASSERT_TRUE(
      log_->Append(Version(1), std::string_view(large).substr(1), Durability::kProcess).ok());
  Crash(CrashMode::kProcessOnly);
  ASSERT_TRUE(Open().ok());
  ASSERT_EQ(found_.size(), 1u);
  EXPECT_EQ(found_[1].size(), kPayloadBytesMax);
}

TEST_F(LogTest, EmptyCommitsCount) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(log_->Append(Version(1), {}, Durability::kProcess).ok());
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(found_, (Commits{{1, ""}}));
}

TEST_F(LogTest, VersionsAreContiguous) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(1, Durability::kProcess).ok());
  EXPECT_EQ(Append(1, Durability::kProcess).code(), StatusCode::kAborted);
  EXPECT_EQ(Append(3, Durability::kDisk).code(), StatusCode::kAborted);
  ASSERT_TRUE(Append(2, Durability::kProcess).ok());
}

TEST_F(LogTest, ReleasedSegmentsAreWrittenAgain) {
  ASSERT_TRUE(Open().ok());
  for (std::uint64_t v = 1; v <= 5000; ++v) {
    ASSERT_TRUE(Append(v, Durability::kProcess, 100).ok());
    if (v % 100 == 0) log_->ReleaseThrough(Version(v - 50));
    executor_.RunAll();
  }
  // The current one, one that is not done with, and the spares.
  EXPECT_LE(fs().List("db")->size(), 5u);
  EXPECT_LE(log_->stats().spares, SmallOptions().spares_max);
  Crash(CrashMode::kProcessOnly);
  ASSERT_TRUE(Open(Version(4950)).ok());
  EXPECT_EQ(found_, Expected(4951, 5000, 100));
}

TEST_F(LogTest, AReleasedLogWithoutBackgroundWorkGoesOn) {
  ASSERT_TRUE(Open().ok());
  for (std::uint64_t v = 1; v <= 1000; ++v) {
    ASSERT_TRUE(Append(v, Durability::kProcess, 100).ok());
    log_->ReleaseThrough(Version(v < 10 ? 0 : v - 10));
  }
  Crash(CrashMode::kProcessOnly);
  ASSERT_TRUE(Open(Version(990)).ok());
  EXPECT_EQ(found_, Expected(991, 1000, 100));
}

TEST_F(LogTest, TheFirstCommitNeedsNoWholeSegment) {
  LogOptions options = SmallOptions();
  options.segment_bytes = 64 * kMiB;
  options.first_fill_bytes = 256 * kKiB;
  ASSERT_TRUE(Open(Version(), options).ok());
  ASSERT_TRUE(Append(1, Durability::kDisk).ok());
  ASSERT_TRUE(Sync().ok());
  EXPECT_EQ(Content(Names().at(0)).size(), 256 * kKiB);
}

TEST_F(LogTest, TheRoomGrowsAheadInTheBackground) {
  LogOptions options = SmallOptions();
  options.segment_bytes = 8 * kMiB;
  options.first_fill_bytes = 64 * kKiB;
  ASSERT_TRUE(Open(Version(), options).ok());
  ASSERT_TRUE(AppendAll(1, 33, Durability::kProcess, 1000).ok());
  executor_.RunAll();
  EXPECT_EQ(Content(Names().at(0)).size(), 128 * kKiB);
  ASSERT_TRUE(AppendAll(34, 5000, Durability::kProcess, 1000).ok());
  executor_.RunAll();
  EXPECT_EQ(Content(Names().at(0)).size(), 8 * kMiB);
  ASSERT_TRUE(AppendAll(5001, 6500, Durability::kProcess, 1000).ok());
  executor_.RunAll();
  EXPECT_EQ(Names(kSpareSuffix).size(), 1u);
  EXPECT_EQ(Content(Names(kSpareSuffix).at(0)).size(), 8 * kMiB);
}

TEST_F(LogTest, SparesAreGivenBackOnceNobodyWrites) {
  ASSERT_TRUE(Open().ok());
  for (std::uint64_t v = 1; v <= 1000; ++v) {
    ASSERT_TRUE(Append(v, Durability::kProcess, 100).ok());
    log_->ReleaseThrough(Version(v));
    executor_.RunAll();
  }
  EXPECT_GT(log_->stats().spares, 0u);
  // Once to see that somebody wrote, once to see that nobody does.
  for (int i = 0; i < 2; ++i) {
    EXPECT_GT(log_->stats().spares, 0u);
    executor_.AdvanceMs(SegmentPool::kIdleMs);
    executor_.RunAll();
  }
  EXPECT_EQ(log_->stats().spares, 0u);
  EXPECT_EQ(fs().List("db")->size(), log_->stats().segments);
  ASSERT_TRUE(AppendAll(1001, 1500, Durability::kProcess, 100).ok());
  Crash(CrashMode::kProcessOnly);
  ASSERT_TRUE(Open(Version(1000)).ok());
  EXPECT_EQ(found_, Expected(1001, 1500, 100));
}

TEST_F(LogTest, ALogThatIsAllReleasedKeepsNoFile) {
  ASSERT_TRUE(Open().ok());
  for (std::uint64_t last = 100; last <= 300; last += 100) {
    ASSERT_TRUE(AppendAll(last - 99, last, Durability::kProcess).ok());
    const std::uint64_t bytes = log_->stats().bytes;
    log_->ReleaseThrough(Version(last - 1));
    EXPECT_EQ(log_->stats().segments, 1u);
    log_->ReleaseThrough(Version(last));
    EXPECT_EQ(log_->stats().segments, 0u);
    EXPECT_EQ(log_->stats().bytes, bytes);
    executor_.RunAll();
    executor_.AdvanceMs(SegmentPool::kIdleMs);
    executor_.RunAll();
    EXPECT_TRUE(fs().List("db")->empty());
    EXPECT_EQ(log_->last_version(), Version(last));
  }
  EXPECT_TRUE(Sync().ok());
  EXPECT_EQ(log_->durable_version(), Version(300));
  ASSERT_TRUE(AppendAll(301, 310, Durability::kDisk).ok() && Sync().ok());
  Crash(CrashMode::kLoseUnsynced);
  ASSERT_TRUE(Open(Version(300)).ok());
  EXPECT_EQ(found_, Expected(301, 310));
}

TEST_F(LogTest, SparesStayWhereSomebodySyncs) {
  ASSERT_TRUE(Open().ok());
  for (std::uint64_t v = 1; v <= 1000; ++v) {
    ASSERT_TRUE(Append(v, Durability::kDisk, 100).ok() && Sync().ok());
    log_->ReleaseThrough(Version(v));
    executor_.RunAll();
  }
  const std::size_t spares = log_->stats().spares;
  EXPECT_GT(spares, 0u);
  for (int i = 0; i < 3; ++i) {
    executor_.AdvanceMs(SegmentPool::kIdleMs);
    executor_.RunAll();
  }
  EXPECT_EQ(log_->stats().spares, spares);
}

TEST_F(LogTest, OpenRemovesSparesAndObsoleteSegments) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(AppendAll(1, 1000, Durability::kProcess, 100).ok());
  executor_.RunAll();
  EXPECT_FALSE(Names(kSpareSuffix).empty());
  Crash(CrashMode::kProcessOnly);
  ASSERT_TRUE(Open(Version(1000)).ok());
  EXPECT_TRUE(fs().List("db")->empty());
}

TEST_F(LogTest, OtherFilesAreLeftAlone) {
  for (const char* name : {"CURRENT", "000007.sst", "7.log", "x.log", "000007.log.old"})
    ASSERT_TRUE(fs().Open(std::string("db/") + name, FileSystem::OpenMode::kCreate).ok());
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(AppendAll(1, 500, Durability::kProcess, 100).ok());
  ASSERT_TRUE(Open(Version(500)).ok());
  EXPECT_EQ(fs().List("db")->size(), 5u);
}

TEST_F(LogTest, AFullDiskRefusesAndThenGoesOn) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(AppendAll(1, 20, Durability::kProcess, 100).ok());
  fs().SetCapacity(6 * kSegmentHeaderBytes);
  std::uint64_t last = 20;
  Status refused;
  while (refused.ok()) {
    refused = Append(last + 1, Durability::kProcess, 100);
    if (refused.ok()) ++last;
  }
  EXPECT_TRUE(refused.IsNoSpace()) << refused.ToString();
  EXPECT_EQ(log_->last_version(), Version(last));
  EXPECT_TRUE(Append(last + 1, Durability::kDisk, 100).IsNoSpace());
  EXPECT_TRUE(Sync().ok());  // what is there can be made durable
  fs().SetCapacity(MemoryFileSystem::kUnlimited);
  ASSERT_TRUE(AppendAll(last + 1, last + 200, Durability::kProcess, 100).ok());
  Crash(CrashMode::kProcessOnly);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(found_, Expected(1, last + 200, 100));
}

TEST_F(LogTest, AFailedWriteUndoesItsCommitsAndChangesTheSegment) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(AppendAll(1, 5, Durability::kProcess).ok());
  fs().Inject({.operations = {Operation::kWrite}, .path_suffix = std::string(kLogSuffix)});
  EXPECT_TRUE(Append(6, Durability::kProcess).IsIOError());
  EXPECT_EQ(log_->last_version(), Version(5));
  ASSERT_TRUE(AppendAll(6, 8, Durability::kProcess, 30).ok());
  EXPECT_EQ(Names().size(), 2u);
  ASSERT_TRUE(Sync().ok());
  Crash(CrashMode::kLoseUnsynced);
  ASSERT_TRUE(Open().ok());
  Commits expected = Expected(1, 5);
  for (std::uint64_t v = 6; v <= 8; ++v) expected[v] = PayloadOf(v, 30);
  EXPECT_EQ(found_, expected);
}

TEST_F(LogTest, AFailedWriteInASyncUndoesWhatWaited) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(AppendAll(1, 5, Durability::kProcess).ok());
  ASSERT_TRUE(AppendAll(6, 8, Durability::kDisk).ok());
  const Position waiting = log_->position();
  fs().Inject({.operations = {Operation::kWrite},
               .path_suffix = std::string(kLogSuffix),
               .error = StatusCode::kNoSpace});
  EXPECT_TRUE(log_->Sync(waiting).IsNoSpace());
  EXPECT_EQ(log_->last_version(), Version(5));
  EXPECT_EQ(Append(9, Durability::kDisk).code(), StatusCode::kAborted);
  ASSERT_TRUE(AppendAll(6, 9, Durability::kDisk, 30).ok());
  ASSERT_TRUE(Sync().ok());
  // Who waited for the 8 that was undone is not told of the new one.
  EXPECT_TRUE(log_->Sync(waiting).IsNoSpace());
  Crash(CrashMode::kLoseUnsynced);
  ASSERT_TRUE(Open().ok());
  Commits expected = Expected(1, 5);
  for (std::uint64_t v = 6; v <= 9; ++v) expected[v] = PayloadOf(v, 30);
  EXPECT_EQ(found_, expected);
}

TEST_F(LogTest, ACommitBeforeTheUndoneOnesIsStillSynced) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(1, Durability::kProcess).ok());
  const Position first = log_->position();
  ASSERT_TRUE(Append(2, Durability::kDisk).ok());
  fs().Inject({.operations = {Operation::kWrite}, .path_suffix = std::string(kLogSuffix)});
  EXPECT_TRUE(Sync().IsIOError());
  EXPECT_TRUE(log_->Sync(first).ok());
  EXPECT_EQ(log_->durable_version(), Version(1));
  Crash(CrashMode::kLoseUnsynced);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(found_, Expected(1, 1));
}

TEST_F(LogTest, AFailedSyncIsFinal) {
  for (const bool before : {false, true}) {
    SCOPED_TRACE(before);
    ASSERT_TRUE(Open().ok());
    const std::uint64_t last = log_->last_version().value();
    if (before) {
      ASSERT_TRUE(Append(last + 1, Durability::kDisk).ok() && Sync().ok());
    }
    const std::uint64_t next = log_->last_version().value() + 1;
    ASSERT_TRUE(Append(next, Durability::kDisk).ok());
    fs().Inject({.operations = {Operation::kSync}, .path_suffix = std::string(kLogSuffix)});
    EXPECT_TRUE(Sync().IsIOError());
    EXPECT_TRUE(Sync().IsIOError());
    EXPECT_TRUE(Append(next + 1, Durability::kProcess).IsIOError());
    EXPECT_TRUE(Append(next, Durability::kDisk).IsIOError());
  }
}

TEST_F(LogTest, AFailedSyncOfTheFolderIsFinal) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Append(1, Durability::kDisk).ok());
  fs().Inject({.operations = {Operation::kSyncDirectory}});
  EXPECT_TRUE(Sync().IsIOError());
  EXPECT_TRUE(Append(2, Durability::kProcess).IsIOError());
}

TEST_F(LogTest, WhatAFailedSyncLeftInTheCacheIsDurableAfterOpen) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(AppendAll(1, 5, Durability::kDisk).ok() && Sync().ok());
  ASSERT_TRUE(Append(6, Durability::kProcess).ok());
  fs().Inject({.operations = {Operation::kSync}, .path_suffix = std::string(kLogSuffix)});
  ASSERT_FALSE(Sync().ok());
  Crash(CrashMode::kProcessOnly);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(found_, Expected(1, 6));
  ASSERT_TRUE(Append(7, Durability::kDisk).ok() && Sync().ok());
  Crash(CrashMode::kLoseUnsynced);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(found_, Expected(1, 7));
}

TEST_F(LogTest, AnErrorOfTheReplayEndsTheOpen) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(AppendAll(1, 3, Durability::kProcess).ok());
  log_.reset();
  const auto log = Log::Open(environment(), SmallOptions(), Version(),
                             [](Version, std::string_view) { return Status::NoSpace("full"); });
  EXPECT_TRUE(log.status().IsNoSpace());
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(found_, Expected(1, 3));
}

TEST_F(LogTest, OptionsAreChecked) {
  LogOptions options = SmallOptions();
  options.segment_bytes = 4096;
  EXPECT_TRUE(Open(Version(), options).IsInvalidArgument());
  options.segment_bytes = 3 * kSegmentHeaderBytes + 1;
  EXPECT_TRUE(Open(Version(), options).IsInvalidArgument());
}

}  // namespace
}  // namespace bedrock::engine::wal
