#include "storaged/snapshot/data_folder.h"

#include <gtest/gtest.h>

#include <string>

#include "common/env/memory_file_system.h"
#include "common/env/random.h"

namespace bedrock::storage {
namespace {

constexpr SnapshotId kId{0xabc};

class DataFolderTest : public ::testing::Test {
 protected:
  DataFolderTest() { EXPECT_TRUE(files_.CreateDirectories("data").ok()); }

  void MakeDatabase(const std::string& folder) {
    ASSERT_TRUE(files_.CreateDirectories(folder).ok());
    ASSERT_TRUE(ReplaceFile(files_, folder + "/CURRENT", "x").ok());
  }
  Result<DataFolder> Open(const std::string& base = "data/storage") {
    return DataFolder::Open(files_, base);
  }

  MemoryFileSystem files_;
};

TEST_F(DataFolderTest, ANewNodeBeginsInTheBase) {
  EXPECT_EQ(Open()->engine(), "data/storage");
  EXPECT_EQ(Open("elsewhere/storage")->engine(), "elsewhere/storage");
  EXPECT_EQ(Open("storage")->engine(), "storage");
}

TEST_F(DataFolderTest, DataOfBeforeSnapshotsAreFoundWithoutAPointer) {
  MakeDatabase("data/storage");
  EXPECT_EQ(Open()->engine(), "data/storage");
  EXPECT_TRUE(Open()->Replaced().empty());
}

TEST_F(DataFolderTest, ThePointerNamesTheEnginesFolder) {
  MakeDatabase("data/storage");
  DataFolder folder = Open().value();
  MakeDatabase(folder.SnapshotFolder(kId));
  ASSERT_EQ(folder.Point(kId).outcome, DataFolder::Outcome::kDone);
  folder.Moved(kId);
  EXPECT_EQ(folder.engine(), "data/storage.0000000000000abc");
  const DataFolder again = Open().value();
  EXPECT_EQ(again.engine(), "data/storage.0000000000000abc");
  EXPECT_EQ(again.Replaced(), std::vector<std::string>{"data/storage"});
  EXPECT_TRUE(again.Begun()->empty());
}

TEST_F(DataFolderTest, AQuarantineIsOfTheFolderThatItWasNotedFor) {
  MakeDatabase("data/storage");
  DataFolder folder = Open().value();
  EXPECT_EQ(folder.quarantined_at().value(), LogIndex());
  ASSERT_TRUE(folder.Quarantine(LogIndex(4711)).ok());
  EXPECT_EQ(folder.quarantined_at().value(), LogIndex(4711));
  EXPECT_EQ(Open()->quarantined_at().value(), LogIndex(4711));
  ASSERT_TRUE(folder.Quarantine(LogIndex(4712)).ok());
  EXPECT_EQ(Open()->quarantined_at().value(), LogIndex(4712));
  // A snapshot takes the place of the data.
  MakeDatabase(folder.SnapshotFolder(kId));
  ASSERT_EQ(folder.Point(kId).outcome, DataFolder::Outcome::kDone);
  EXPECT_EQ(Open()->quarantined_at().value(), LogIndex());
  folder.Moved(kId);
  EXPECT_EQ(folder.quarantined_at().value(), LogIndex());
  ASSERT_TRUE(folder.Quarantine(LogIndex(9)).ok());
  EXPECT_EQ(Open()->quarantined_at().value(), LogIndex(9));
  ASSERT_TRUE(folder.ForgetQuarantine().ok());
  EXPECT_EQ(Open()->quarantined_at().value(), LogIndex());
  EXPECT_TRUE(folder.ForgetQuarantine().ok()) << "there is none";
}

TEST_F(DataFolderTest, ANoteOfAQuarantineThatWasDamagedCountsForAnyFolder) {
  MakeDatabase("data/storage");
  const DataFolder folder = Open().value();
  ASSERT_TRUE(folder.Quarantine(LogIndex(4711)).ok());
  const std::string note = ReadFile(files_, "data/storage.quarantine", 1'000).value();
  for (std::size_t at = 0; at < note.size(); ++at) {
    std::string damaged = note;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    ASSERT_TRUE(ReplaceFile(files_, "data/storage.quarantine", damaged).ok());
    EXPECT_EQ(folder.quarantined_at().value(), DataFolder::kQuarantineUnclear) << at;
    ASSERT_TRUE(ReplaceFile(files_, "data/storage.quarantine", note.substr(0, at)).ok());
    EXPECT_EQ(folder.quarantined_at().value(), DataFolder::kQuarantineUnclear) << at;
  }
}

TEST_F(DataFolderTest, ACrashWhileAQuarantineIsNotedLeavesItOrNone) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    MemoryFileSystem files;
    Random random(seed);
    ASSERT_TRUE(files.CreateDirectories("data/storage").ok());
    ASSERT_TRUE(ReplaceFile(files, "data/storage/CURRENT", "x").ok());
    ASSERT_TRUE(files.SyncDirectory("data").ok());
    const bool noted = DataFolder::Open(files, "data/storage")->Quarantine(LogIndex(5)).ok();
    files.Crash(random, MemoryFileSystem::CrashMode::kRandom);
    ASSERT_TRUE(noted);
    EXPECT_EQ(DataFolder::Open(files, "data/storage")->quarantined_at().value(), LogIndex(5));
  }
}

TEST_F(DataFolderTest, AForgottenQuarantineDoesNotComeBackWithACrash) {
  for (const bool half_done : {false, true}) {
    MemoryFileSystem files;
    Random random(7);
    ASSERT_TRUE(files.CreateDirectories("data/storage").ok());
    ASSERT_TRUE(files.SyncDirectory("data").ok());
    const DataFolder folder = DataFolder::Open(files, "data/storage").value();
    ASSERT_TRUE(folder.Quarantine(LogIndex(5)).ok());
    if (half_done) {
      ASSERT_TRUE(files.Remove("data/storage.quarantine").ok());
    }
    ASSERT_TRUE(folder.ForgetQuarantine().ok());
    files.Crash(random, MemoryFileSystem::CrashMode::kLoseUnsynced);
    EXPECT_EQ(DataFolder::Open(files, "data/storage")->quarantined_at().value(), LogIndex());
  }
}

TEST_F(DataFolderTest, WorksInTheWorkingDirectory) {
  MakeDatabase("storage");
  const DataFolder folder = Open("storage").value();
  MakeDatabase(folder.SnapshotFolder(kId));
  ASSERT_EQ(folder.Point(kId).outcome, DataFolder::Outcome::kDone);
  EXPECT_EQ(Open("storage")->engine(), "storage.0000000000000abc");
}

TEST_F(DataFolderTest, WhatWasBegunIsFoundByItsName) {
  MakeDatabase("data/storage");
  for (const char* name : {"storage.0000000000000abc", "storage.checkpoints", "storage.abc",
                           "storage.0000000000000ABC", "other.0000000000000abc", "storage.id",
                           "storage.0000000000000000", "storage.00000000000000000"}) {
    ASSERT_TRUE(files_.CreateDirectories("data/" + std::string(name)).ok());
  }
  EXPECT_EQ(Open()->Begun().value(), std::vector<SnapshotId>{kId});
}

TEST_F(DataFolderTest, AFetchBesideNoDatabaseMeansThatThePointerIsMissing) {
  MakeDatabase("data/storage.0000000000000abc");
  EXPECT_TRUE(Open().status().IsCorruption());
}

TEST_F(DataFolderTest, OneThatWasInstalledBesideTheOldDataMeansThatThePointerIsMissing) {
  MakeDatabase("data/storage");
  MakeDatabase("data/storage.0000000000000abc");
  EXPECT_TRUE(Open().status().IsCorruption());
  // One that is being fetched has this file.
  ASSERT_TRUE(ReplaceFile(files_, "data/storage.0000000000000abc/SNAPSHOT", "x").ok());
  EXPECT_EQ(Open()->engine(), "data/storage");
  // One that is being removed has no CURRENT any more.
  ASSERT_TRUE(files_.Remove("data/storage.0000000000000abc/SNAPSHOT").ok());
  ASSERT_TRUE(files_.Remove("data/storage.0000000000000abc/CURRENT").ok());
  EXPECT_EQ(Open()->engine(), "data/storage");
}

TEST_F(DataFolderTest, APointerToNoDatabaseIsCorruption) {
  MakeDatabase("data/storage");
  ASSERT_EQ(Open()->Point(kId).outcome, DataFolder::Outcome::kDone);
  EXPECT_TRUE(Open().status().IsCorruption());
}

TEST_F(DataFolderTest, ADamagedPointerIsCorruption) {
  MakeDatabase("data/storage");
  const DataFolder folder = Open().value();
  MakeDatabase("data/storage.0000000000000abc");
  ASSERT_EQ(folder.Point(kId).outcome, DataFolder::Outcome::kDone);
  const std::string whole = ReadFile(files_, "data/storage.current", 100).value();
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] ^= 1;
    ASSERT_TRUE(ReplaceFile(files_, "data/storage.current", bytes).ok());
    EXPECT_TRUE(Open().status().IsCorruption()) << at;
    ASSERT_TRUE(ReplaceFile(files_, "data/storage.current", whole.substr(0, at)).ok());
    EXPECT_TRUE(Open().status().IsCorruption()) << at;
  }
}

TEST_F(DataFolderTest, WhetherThePointerMayHaveMovedIsSaid) {
  using Operation = MemoryFileSystem::Operation;
  MakeDatabase("data/storage");
  const DataFolder folder = Open().value();
  for (const Operation operation : {Operation::kOpen, Operation::kWrite, Operation::kSync}) {
    files_.Inject({.operations = {operation}, .path_suffix = "storage.current.tmp"});
    EXPECT_EQ(folder.Point(kId).outcome, DataFolder::Outcome::kNothing);
    EXPECT_EQ(Open()->engine(), "data/storage");
    EXPECT_FALSE(files_.Exists("data/storage.current.tmp").value());
  }
  files_.Inject({.operations = {Operation::kSyncDirectory}, .path_suffix = "data"});
  EXPECT_EQ(folder.Point(kId).outcome, DataFolder::Outcome::kUnknown);
}

}  // namespace
}  // namespace bedrock::storage
