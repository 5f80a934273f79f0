#include "storaged/engine/table/read_ahead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "storaged/engine/table/table_builder.h"
#include "storaged/engine/table/table_cursor.h"
#include "storaged/engine/table/table_reader.h"
#include "tests/unit/storaged/engine/test_entry.h"

namespace bedrock::engine {
namespace {

using Direction = ReadAhead::Direction;

/// Bytes in memory; counts how often they are read. Reads that touch `bad_byte` fail.
class CountingFile final : public File {
 public:
  explicit CountingFile(std::string bytes) : bytes_(std::move(bytes)) {}

  Result<std::size_t> ReadAt(std::uint64_t offset, std::size_t n, char* out) const override {
    ++reads;
    if (bad_byte >= offset && bad_byte - offset < n) return Status::IoError("bad sector");
    const std::size_t there = offset < bytes_.size() ? bytes_.size() - offset : 0;
    const std::size_t got = std::min(n, there);
    std::memcpy(out, bytes_.data() + offset, got);
    return got;
  }
  Status WriteAt(std::uint64_t, std::string_view) override { return Status::Ok(); }
  Status Sync() override { return Status::Ok(); }
  Status Truncate(std::uint64_t) override { return Status::Ok(); }
  Result<std::uint64_t> Size() const override { return bytes_.size(); }
  const std::string& bytes() const { return bytes_; }

  mutable int reads = 0;
  std::uint64_t bad_byte = UINT64_MAX;

 private:
  std::string bytes_;
};

std::string RandomBytes(std::size_t n) {
  Random random(n);
  std::string bytes(n, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Next());
  return bytes;
}

TEST(ReadAheadTest, GivesWhatTheFileHasInAnyOrder) {
  const CountingFile file(RandomBytes(600'000));
  ReadAhead ahead(file, file.bytes().size());
  Random random(3);
  std::uint64_t at = 0;
  for (int i = 0; i < 3000; ++i) {
    const std::size_t n = random.Chance(1, 50) ? random.Below(100'000) : 1 + random.Below(5000);
    const Direction direction = random.Chance(1, 2) ? Direction::kForward : Direction::kBackward;
    if (random.Chance(1, 20)) at = random.Below(600'000);
    std::string out(n, '\0');
    const auto got = ahead.ReadAt(at, n, out.data(), direction);
    ASSERT_TRUE(got.ok());
    const std::string expected = file.bytes().substr(std::min<std::uint64_t>(at, 600'000), n);
    ASSERT_EQ(*got, expected.size());
    ASSERT_EQ(out.substr(0, *got), expected);
    if (direction == Direction::kForward) {
      at = std::min<std::uint64_t>(at + n, 599'999);
    } else {
      at -= std::min<std::uint64_t>(at, 4000);
    }
  }
}

TEST(ReadAheadTest, FetchesManyBlocksAtOnceInBothDirections) {
  const CountingFile file(RandomBytes(4 << 20));
  char out[4096];
  ReadAhead forward(file, file.bytes().size());
  for (std::uint64_t at = 0; at < file.bytes().size(); at += sizeof(out)) {
    ASSERT_TRUE(forward.ReadAt(at, sizeof(out), out, Direction::kForward).ok());
  }
  EXPECT_LE(file.reads, 40) << "1,024 blocks of 4 KiB, 32 of 128 KiB";
  file.reads = 0;
  ReadAhead backward(file, file.bytes().size());
  for (std::uint64_t at = file.bytes().size(); at > 0; at -= sizeof(out)) {
    ASSERT_TRUE(backward.ReadAt(at - sizeof(out), sizeof(out), out, Direction::kBackward).ok());
  }
  EXPECT_LE(file.reads, 40);
}

TEST(ReadAheadTest, BeginsSmall) {
  const CountingFile file(RandomBytes(100'000));
  ReadAhead ahead(file, file.bytes().size());
  char out[100];
  ASSERT_TRUE(ahead.ReadAt(0, 100, out, Direction::kForward).ok());
  ASSERT_TRUE(ahead.ReadAt(ReadAhead::kWindowMin - 100, 100, out, Direction::kForward).ok());
  EXPECT_EQ(file.reads, 1);
  ASSERT_TRUE(ahead.ReadAt(ReadAhead::kWindowMin, 100, out, Direction::kForward).ok());
  EXPECT_EQ(file.reads, 2);
}

TEST(ReadAheadTest, AnErrorBehindWhatIsWantedIsNone) {
  CountingFile file(RandomBytes(100'000));
  file.bad_byte = 5000;
  ReadAhead ahead(file, file.bytes().size());
  std::string out(4096, '\0');
  const auto got = ahead.ReadAt(0, 4096, out.data(), Direction::kForward);
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  EXPECT_EQ(out, file.bytes().substr(0, 4096));
  EXPECT_TRUE(ahead.ReadAt(4096, 4096, out.data(), Direction::kForward).status().IsIOError());
}

TEST(ReadAheadTest, ForgetsWhatItFetched) {
  const CountingFile file(RandomBytes(100'000));
  ReadAhead ahead(file, file.bytes().size());
  char out[100];
  ASSERT_TRUE(ahead.ReadAt(0, 100, out, Direction::kForward).ok());
  ahead.Forget();
  ASSERT_TRUE(ahead.ReadAt(100, 100, out, Direction::kForward).ok());
  EXPECT_EQ(file.reads, 2);
}

class ReadAheadTableTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(disk_.CreateDirectories("/db").ok());
    for (int i = 0; i < 5000; ++i) {
      entries_.push_back({{std::to_string(100'000 + i), Trailer(Version(1), EntryKind::kPut)},
                          std::string(200, static_cast<char>('a' + i % 26))});
    }
    auto builder = TableBuilder::Create(disk_, "/db", FileNumber(5), {.block_bytes = 1024});
    ASSERT_TRUE(builder.ok());
    for (const TestEntry& entry : entries_) {
      ASSERT_TRUE((*builder)->Add(entry.key.view(), entry.value).ok());
    }
    auto metadata = (*builder)->Finish();
    ASSERT_TRUE(metadata.ok());
    auto table = TableReader::Open(disk_, "/db", *metadata, cache_);
    ASSERT_TRUE(table.ok());
    table_ = *table;
  }

  MemoryFileSystem disk_;
  std::vector<TestEntry> entries_;
  std::shared_ptr<BlockCache> cache_ = std::make_shared<BlockCache>(64 << 10, 1024);
  std::shared_ptr<const TableReader> table_;
};

TEST_F(ReadAheadTableTest, WalksThatTurnSeeEveryEntry) {
  TableCursor cursor(*table_);
  Random random(9);
  std::size_t at = 0;
  cursor.SeekToFirst();
  for (int turn = 0; turn < 60; ++turn) {
    const bool forward = random.Chance(1, 2);
    for (std::size_t steps = random.Below(500); steps > 0 && cursor.Valid(); --steps) {
      ASSERT_EQ(cursor.key().user_key, entries_[at].key.user_key);
      ASSERT_EQ(cursor.value(), entries_[at].value);
      forward ? cursor.Next() : cursor.Prev();
      forward ? ++at : --at;
    }
    if (!cursor.Valid()) {
      at = random.Below(entries_.size());
      cursor.Seek(entries_[at].key.view());
    }
  }
  EXPECT_TRUE(cursor.status().ok());
}

TEST_F(ReadAheadTableTest, ALongWalkThrowsNothingOutOfTheCache) {
  const InternalKeyView hot = entries_[4000].key.view();
  ASSERT_TRUE(table_->Find(hot.user_key, Version(9)).ok());
  TableCursor cursor(*table_);
  for (cursor.SeekToFirst(); cursor.Valid(); cursor.Next()) {
  }
  ASSERT_TRUE(cursor.status().ok());
  EXPECT_GT(cache_->bytes(), cache_->bytes_max() / 2) << "what room there was is used";
  disk_.Inject({.operations = {MemoryFileSystem::Operation::kRead},
                .forever = MemoryFileSystem::Forever::kYes});
  EXPECT_TRUE(table_->Find(hot.user_key, Version(9)).ok());
}

TEST_F(ReadAheadTableTest, ABadBlockFailsTheWalkWhereItStands) {
  const std::string file = "/db/000005.sst";
  const std::string contents = *ReadFile(disk_, file, 8 << 20);
  // Every 26th value is all z; the 100th of these gets a flipped bit.
  const std::string value(200, 'z');
  std::size_t bad = 0;
  for (int i = 0; i < 100; ++i) bad = contents.find(value, bad + 1);
  ASSERT_NE(bad, std::string::npos);
  ASSERT_TRUE(disk_.FlipBit(file, bad * 8).ok());
  TableCursor cursor(*table_);
  std::size_t seen = 0;
  for (cursor.SeekToFirst(); cursor.Valid(); cursor.Next(), ++seen) {
    ASSERT_EQ(cursor.value(), entries_[seen].value);
  }
  EXPECT_TRUE(cursor.status().IsCorruption());
  const std::size_t flipped = 99 * 26 + 25;
  EXPECT_LE(seen, flipped);
  EXPECT_GT(seen + 6, flipped) << "other blocks of what was read ahead are fine";
}

}  // namespace
}  // namespace bedrock::engine
