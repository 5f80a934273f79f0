#include "common/process/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "common/env/memory_file_system.h"
#include "common/env/posix_file_system.h"

namespace bedrock::process {
namespace {

class ProcessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/bedrock-process-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override {
    std::filesystem::current_path("/");
    std::filesystem::remove_all(directory_);
  }

  PosixFileSystem file_system_;
  std::string directory_;
};

TEST_F(ProcessTest, TheDataDirectoryIsMadeAndEntered) {
  ASSERT_TRUE(EnterDataDirectory(file_system_, directory_ + "/n1").ok());
  EXPECT_EQ(std::filesystem::current_path(), std::filesystem::canonical(directory_) / "n1");
  EXPECT_TRUE(std::filesystem::is_directory("run"));
  EXPECT_TRUE(std::filesystem::is_directory("log"));
  EXPECT_TRUE(EnterDataDirectory(file_system_, ".").ok());
}

TEST_F(ProcessTest, ADataDirectoryThatIsAFileIsRefused) {
  ASSERT_TRUE(ReplaceFile(file_system_, directory_ + "/file", "x").ok());
  EXPECT_FALSE(EnterDataDirectory(file_system_, directory_ + "/file").ok());
}

TEST_F(ProcessTest, ThePidFileHoldsThisProcessWhileItIsHeld) {
  ASSERT_TRUE(EnterDataDirectory(file_system_, directory_).ok());
  std::optional<PidFile> held;
  {
    Result<PidFile> written = PidFile::Write(file_system_, "raftd");
    ASSERT_TRUE(written.ok()) << written.status().ToString();
    held.emplace(std::move(written).value());
  }
  EXPECT_EQ(*ReadFile(file_system_, "run/raftd.pid", 100), std::to_string(::getpid()) + "\n");
  held.reset();
  EXPECT_FALSE(*file_system_.Exists("run/raftd.pid"));
}

TEST_F(ProcessTest, OnAFullDiskThereIsNoPidFileButTheLock) {
  MemoryFileSystem disk;
  ASSERT_TRUE(disk.CreateDirectories("run").ok());
  ASSERT_TRUE(ReplaceFile(disk, "run/raftd.pid", "1\n").ok()) << "of an earlier process";
  disk.SetCapacity(0);
  const Result<PidFile> held = PidFile::Write(disk, "raftd");
  ASSERT_TRUE(held.ok()) << held.status().ToString();
  EXPECT_FALSE(*disk.Exists("run/raftd.pid"));
  EXPECT_TRUE(PidFile::Write(disk, "raftd").status().IsUnavailable());
}

TEST_F(ProcessTest, ASecondProcessOnTheSameDataIsUnavailable) {
  ASSERT_TRUE(EnterDataDirectory(file_system_, directory_).ok());
  const Result<PidFile> first = PidFile::Write(file_system_, "raftd");
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(PidFile::Write(file_system_, "raftd").status().IsUnavailable());
  EXPECT_TRUE(PidFile::Write(file_system_, "storaged").ok());
  EXPECT_TRUE(*file_system_.Exists("run/raftd.pid"));
}

}  // namespace
}  // namespace bedrock::process
