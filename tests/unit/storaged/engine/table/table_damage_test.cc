// What tables answer where bytes, or whole reads, go wrong.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storaged/engine/table/table_cursor.h"
#include "tests/unit/storaged/engine/table/table_fixture.h"

namespace bedrock::engine {
namespace {

class TableDamageTest : public TableFixture {};

/// What a table answers, as text; errors are "corruption".
std::string AnswersOf(const Result<std::shared_ptr<const TableReader>>& table) {
  const auto refused = [](const Status& status) {
    EXPECT_TRUE(status.IsCorruption()) << status.ToString();
    return std::string("corruption");
  };
  if (!table.ok()) return refused(table.status());
  std::string answers;
  for (const char* const key : {"k05", "k5", "k99"}) {
    const auto found = (*table)->Find(key, Version(100));
    if (!found.ok()) return refused(found.status());
    answers += std::string(found->value) + ";";
  }
  TableCursor cursor(**table);
  for (cursor.SeekToFirst(); cursor.Valid(); cursor.Next()) {
    answers += std::string(cursor.key().user_key) + "=" + std::string(cursor.value()) + ",";
  }
  if (!cursor.status().ok()) return refused(cursor.status());
  return answers + std::to_string((*table)->Tombstones().size());
}

TEST_F(TableDamageTest, NoFlippedBitGivesAWrongAnswer) {
  for (const Compression compression :
       {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    auto builder = TableBuilder::Create(disk_, "/db", FileNumber(5),
                                        {.block_bytes = 300, .compression = compression});
    for (unsigned i = 0; i < 40; ++i) {
      const std::string key = "k" + std::to_string(i / 10) + std::to_string(i % 10);
      ASSERT_TRUE(
          (*builder)
              ->Add({key, Trailer(Version(1 + i % 7), EntryKind::kPut)}, std::string(20, 'v') + key)
              .ok());
    }
    (*builder)->AddRangeTombstones(FragmentedTombstones({{"a", "b", Version(7)}}));
    const TableMetadata metadata = *(*builder)->Finish();
    const auto open = [&](MemoryFileSystem& disk) {
      return TableReader::Open(disk, "/db", metadata, std::make_shared<BlockCache>(1 << 20));
    };
    const std::string right = AnswersOf(open(disk_));
    ASSERT_NE(right, "corruption");
    Random random(13);
    std::size_t refused = 0;
    for (std::uint64_t byte = 0; byte < metadata.size; ++byte) {
      const auto disk = disk_.Clone();
      ASSERT_TRUE(disk->FlipBit("/db/000005.sst", byte * 8 + random.Below(8)).ok());
      const auto table = open(*disk);
      const std::string answers = AnswersOf(table);
      if (answers == "corruption") {
        ++refused;
      } else {
        ASSERT_EQ(answers, right) << byte;
      }
      if (table.ok()) {
        ASSERT_TRUE((*table)->Verify().IsCorruption()) << byte;
      }
    }
    EXPECT_EQ(refused, metadata.size) << "every byte is under some checksum that reading checks";
  }
}

TEST_F(TableDamageTest, ShorterAndLongerFilesAreRefused) {
  const TableMetadata metadata = Build({{{"k", Trailer(Version(1), EntryKind::kPut)}, "v"}}, {});
  for (const std::uint64_t size : {metadata.size - 1, metadata.size + 1, std::uint64_t{0}}) {
    const auto disk = disk_.Clone();
    auto file = disk->Open("/db/000005.sst", FileSystem::OpenMode::kReadWrite);
    ASSERT_TRUE((*file)->Truncate(size).ok());
    EXPECT_TRUE(TableReader::Open(*disk, "/db", metadata, std::make_shared<BlockCache>(0))
                    .status()
                    .IsCorruption());
  }
  auto other = metadata;
  other.content_hash ^= 1;
  EXPECT_TRUE(TableReader::Open(disk_, "/db", other, std::make_shared<BlockCache>(0))
                  .status()
                  .IsCorruption());
}

TEST_F(TableDamageTest, KindsOfALaterReleaseAreRefused) {
  const auto table =
      Open(Build({{{"k", Trailer(Version(1), static_cast<EntryKind>(4))}, "v"}}, {}));
  EXPECT_TRUE(table->Find("k", Version(1)).status().IsCorruption());
}

TEST_F(TableDamageTest, ACursorNeverStepsOverWhatItCantRead) {
  std::vector<TestEntry> entries;
  for (int i = 0; i < 100; ++i) {
    entries.push_back({{std::to_string(100 + i), Trailer(Version(1), EntryKind::kPut)}, "v"});
  }
  const auto table = Open(Build(entries, {.block_bytes = 100}), 0);
  TableCursor cursor(*table);
  cursor.SeekToFirst();
  ASSERT_TRUE(cursor.Valid());
  disk_.Inject({.operations = {MemoryFileSystem::Operation::kRead}});
  int steps = 0;
  for (; cursor.Valid(); cursor.Next()) ++steps;
  EXPECT_LT(steps, 100);
  EXPECT_TRUE(cursor.status().IsIOError()) << "only the first read failed";
  cursor.SeekToFirst();
  EXPECT_FALSE(cursor.Valid()) << "for ever";
  EXPECT_TRUE(cursor.status().IsIOError());
}

TEST_F(TableDamageTest, ChecksumsAreCheckedUnlessTurnedOff) {
  const std::string value(50, 'v');
  const TableMetadata metadata = Build({{{"k", Trailer(Version(1), EntryKind::kPut)}, value}}, {});
  const std::string contents = *ReadFile(disk_, "/db/000005.sst", 1 << 20);
  ASSERT_TRUE(disk_.FlipBit("/db/000005.sst", contents.find(value) * 8).ok());
  const auto table = Open(metadata, 0);
  EXPECT_TRUE(table->Find("k", Version(1)).status().IsCorruption());
  const TableReadOptions unchecked(FillCache::kNo, VerifyChecksums::kNo);
  const auto found = table->Find("k", HashKey("k"), Version(1), unchecked);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->value, "w" + std::string(49, 'v'));
}

/// Gives bytes with a bit turned over until they are dropped from "memory": a bad copy of a good
/// disk.
class BadMemory final : public FileSystem {
 public:
  explicit BadMemory(FileSystem& disk) : disk_(disk) {}

  bool bad = false;
  int drops = 0;

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    auto file = disk_.Open(path, mode);
    if (!file.ok()) return file;
    return std::unique_ptr<File>(std::make_unique<BadFile>(*this, std::move(*file)));
  }
  Status CreateDirectories(const std::string& path) override {
    return disk_.CreateDirectories(path);
  }
  Result<std::vector<std::string>> List(const std::string& path) override {
    return disk_.List(path);
  }
  Status SyncDirectory(const std::string& path) override { return disk_.SyncDirectory(path); }
  Status Rename(const std::string& a, const std::string& b) override { return disk_.Rename(a, b); }
  Status Link(const std::string& a, const std::string& b) override { return disk_.Link(a, b); }
  Status Remove(const std::string& path) override { return disk_.Remove(path); }
  Status RemoveDirectory(const std::string& path) override { return disk_.RemoveDirectory(path); }
  Result<bool> Exists(const std::string& path) override { return disk_.Exists(path); }
  Result<std::uint64_t> FileSize(const std::string& path) override { return disk_.FileSize(path); }
  Result<std::uint64_t> FreeSpace(const std::string& path) override {
    return disk_.FreeSpace(path);
  }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    return disk_.Lock(path);
  }

 private:
  class BadFile final : public File {
   public:
    BadFile(BadMemory& memory, std::unique_ptr<File> file)
        : memory_(memory), file_(std::move(file)) {}
    Result<std::size_t> ReadAt(std::uint64_t offset, std::size_t n, char* out) const override {
      auto got = file_->ReadAt(offset, n, out);
      if (memory_.bad) out[n / 2] = static_cast<char>(out[n / 2] ^ 1);
      return got;
    }
    void DropCached(std::uint64_t, std::uint64_t) const override {
      memory_.bad = false;
      ++memory_.drops;
    }
    Status WriteAt(std::uint64_t offset, std::string_view data) override {
      return file_->WriteAt(offset, data);
    }
    Status Sync() override { return file_->Sync(); }
    Status Truncate(std::uint64_t size) override { return file_->Truncate(size); }
    Result<std::uint64_t> Size() const override { return file_->Size(); }

   private:
    BadMemory& memory_;
    std::unique_ptr<File> file_;
  };

  FileSystem& disk_;
};

TEST_F(TableDamageTest, ABlockThatFailsItsCheckIsReadOnceMoreFromTheDevice) {
  const TableMetadata metadata = Build({{{"k", Trailer(Version(1), EntryKind::kPut)}, "v"}}, {});
  BadMemory memory(disk_);
  const auto table = TableReader::Open(memory, "/db", metadata, std::make_shared<BlockCache>(0));
  ASSERT_TRUE(table.ok());
  memory.bad = true;
  EXPECT_EQ((*table)->Find("k", Version(1))->value, "v");
  EXPECT_EQ(memory.drops, 1);
  EXPECT_EQ((*table)->Find("k", Version(1))->value, "v");
  EXPECT_EQ(memory.drops, 1) << "only what fails is read twice";
}

}  // namespace
}  // namespace bedrock::engine
