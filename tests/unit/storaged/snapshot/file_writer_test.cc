#include "storaged/snapshot/file_writer.h"

#include <gtest/gtest.h>

#include <string>

#include "common/env/memory_file_system.h"
#include "common/env/random.h"

namespace bedrock::storage {
namespace {

class FileWriterTest : public ::testing::Test {
 protected:
  FileWriterTest() : content_(100'000, '\0') {
    EXPECT_TRUE(files_.CreateDirectories("in").ok());
    Random random(1);
    for (char& c : content_) c = static_cast<char>(random.Below(256));
    file_ = {.name = "000002.sst", .size = content_.size(), .hashed = content_.size() - 104};
    file_.hash = engine::Hash64(std::string_view(content_).substr(0, file_.hashed));
  }
  FileWriter::Piece PieceAt(std::uint64_t offset, std::size_t bytes = 10'000) const {
    return {file_, offset, Bytes::Copy(std::string_view(content_).substr(offset, bytes))};
  }

  MemoryFileSystem files_;
  std::string content_;
  proto::SnapshotFile file_;
};

TEST_F(FileWriterTest, AWholeFileIsDurableUnderItsName) {
  FileWriter writer(files_, "in");
  for (std::uint64_t at = 0; at < content_.size(); at += 10'000) {
    EXPECT_FALSE(files_.Exists("in/000002.sst").value());
    ASSERT_TRUE(writer.Write(PieceAt(at)).ok());
  }
  ASSERT_TRUE(files_.SyncDirectory("in").ok());
  Random random(1);
  files_.Crash(random, MemoryFileSystem::CrashMode::kLoseUnsynced);
  EXPECT_EQ(ReadFile(files_, "in/000002.sst", 1 << 20).value(), content_);
}

TEST_F(FileWriterTest, AnotherWriterGoesOnWithAPart) {
  {
    FileWriter writer(files_, "in");
    for (std::uint64_t at = 0; at < 50'000; at += 10'000) {
      ASSERT_TRUE(writer.Write(PieceAt(at)).ok());
    }
  }
  FileWriter writer(files_, "in");
  for (std::uint64_t at = 40'000; at < content_.size(); at += 10'000) {
    ASSERT_TRUE(writer.Write(PieceAt(at)).ok());
  }
  EXPECT_EQ(ReadFile(files_, "in/000002.sst", 1 << 20).value(), content_);
}

TEST_F(FileWriterTest, APartThatWasLostInACrashIsFoundByTheHash) {
  {
    FileWriter writer(files_, "in");
    for (std::uint64_t at = 0; at < 50'000; at += 10'000) {
      ASSERT_TRUE(writer.Write(PieceAt(at)).ok());
    }
  }
  ASSERT_TRUE(files_.FlipBit("in/000002.sst.part", 8 * 12'345).ok());
  FileWriter writer(files_, "in");
  for (std::uint64_t at = 50'000; at < 90'000; at += 10'000) {
    ASSERT_TRUE(writer.Write(PieceAt(at)).ok());
  }
  const Status status = writer.Write(PieceAt(90'000));
  EXPECT_TRUE(status.IsCorruption());
  EXPECT_NE(status.ToString().find("000002.sst"), std::string::npos);
  EXPECT_TRUE(files_.List("in")->empty());
}

TEST_F(FileWriterTest, AfterAnErrorNothingIsLeftOfTheFile) {
  using Operation = MemoryFileSystem::Operation;
  for (const Operation operation : {Operation::kWrite, Operation::kSync, Operation::kRename}) {
    FileWriter writer(files_, "in");
    files_.Inject({.operations = {operation}});
    Status status;
    for (std::uint64_t at = 0; status.ok() && at < content_.size(); at += 10'000) {
      status = writer.Write(PieceAt(at));
    }
    EXPECT_FALSE(status.ok());
    EXPECT_TRUE(files_.List("in")->empty());
    files_.ClearFaults();
    for (std::uint64_t at = 0; at < content_.size(); at += 10'000) {
      ASSERT_TRUE(writer.Write(PieceAt(at)).ok());
    }
    EXPECT_EQ(ReadFile(files_, "in/000002.sst", 1 << 20).value(), content_);
    ASSERT_TRUE(files_.Remove("in/000002.sst").ok());
  }
}

}  // namespace
}  // namespace bedrock::storage
