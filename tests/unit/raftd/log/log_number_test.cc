#include "raftd/log/log_number.h"

#include <gtest/gtest.h>

#include <string>

#include "common/env/memory_file_system.h"

namespace bedrock::raft {
namespace {

class LogNumberTest : public testing::Test {
 protected:
  LogNumberTest() { EXPECT_TRUE(disk_.CreateDirectories("raft").ok()); }
  Result<LogNumber> Take(std::uint64_t fresh,
                         const LogOwner& owner = {
                             .directory = "raft", .cluster = ClusterId(7), .node = NodeId(1)}) {
    return TakeLogNumber(disk_, owner, LogNumber(fresh));
  }

  MemoryFileSystem disk_;
};

TEST_F(LogNumberTest, TheFirstNumberStaysForAsLongAsTheLog) {
  EXPECT_EQ(*Take(5), LogNumber(5));
  EXPECT_EQ(*Take(6), LogNumber(5));
  Random random(1);
  disk_.Crash(random, MemoryFileSystem::CrashMode::kLoseUnsynced);
  EXPECT_EQ(*Take(7), LogNumber(5));
}

TEST_F(LogNumberTest, EveryDamagedByteAndEveryOtherSizeIsRefused) {
  ASSERT_TRUE(Take(5).ok());
  auto file = *disk_.Open("raft/number", FileSystem::OpenMode::kReadWrite);
  const std::uint64_t size = *file->Size();
  std::string bytes(size, '\0');
  ASSERT_EQ(*file->ReadAt(0, size, bytes.data()), size);
  for (std::uint64_t at = 0; at < size; ++at) {
    std::string byte(1, static_cast<char>(bytes[at] ^ 1));
    ASSERT_TRUE(file->WriteAt(at, byte).ok());
    EXPECT_TRUE(Take(6).status().IsCorruption()) << at;
    ASSERT_TRUE(file->WriteAt(at, bytes.substr(at, 1)).ok());
  }
  ASSERT_TRUE(Take(6).ok());
  ASSERT_TRUE(file->WriteAt(size, "x").ok());
  EXPECT_TRUE(Take(6).status().IsCorruption());
}

TEST_F(LogNumberTest, AnotherNodesOrClustersIsRefused) {
  ASSERT_TRUE(Take(5).ok());
  EXPECT_TRUE(Take(6, {.directory = "raft", .cluster = ClusterId(7), .node = NodeId(2)})
                  .status()
                  .IsCorruption());
  EXPECT_TRUE(Take(6, {.directory = "raft", .cluster = ClusterId(8), .node = NodeId(1)})
                  .status()
                  .IsCorruption());
}

}  // namespace
}  // namespace bedrock::raft
