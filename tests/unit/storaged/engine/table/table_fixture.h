#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "storaged/engine/table/table_builder.h"
#include "storaged/engine/table/table_reader.h"
#include "tests/unit/storaged/engine/test_entry.h"

namespace bedrock::engine {

/// `n` entries in order: some of long keys with much in common, of zero bytes, of large values.
inline std::vector<TestEntry> RandomEntries(Random& random, std::size_t n) {
  std::vector<TestEntry> entries;
  const std::string shared(random.Below(20), 'p');
  const std::uint64_t base = random.Chance(1, 2) ? 0 : std::uint64_t{1} << 54;
  for (std::size_t i = 0; i < n; ++i) {
    std::string key = shared + std::to_string(random.Below(n));
    if (random.Chance(1, 20)) key += std::string("\0\xff", 2);
    const EntryKind kind = random.Chance(1, 5) ? EntryKind::kDelete : EntryKind::kPut;
    const std::size_t size = random.Chance(1, 100) ? 70'000 : random.Below(50);
    entries.push_back({{key, Trailer(Version(base + i + 1), kind)},
                       kind == EntryKind::kPut ? std::string(size, 'v') + std::to_string(i) : ""});
  }
  SortEntries(entries);
  return entries;
}

/// The first entry at or after `target`.
inline std::size_t LowerBound(const std::vector<TestEntry>& entries, InternalKeyView target) {
  std::size_t at = 0;
  while (at < entries.size() && entries[at].key.view() < target) ++at;
  return at;
}

/// Tables on a disk in memory.
class TableFixture : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(disk_.CreateDirectories("/db").ok()); }

  TableMetadata Build(const std::vector<TestEntry>& entries, const TableOptions& options) {
    auto builder = TableBuilder::Create(disk_, "/db", FileNumber(5), options);
    EXPECT_TRUE(builder.ok());
    for (const TestEntry& entry : entries) {
      EXPECT_TRUE((*builder)->Add(entry.key.view(), entry.value).ok());
    }
    auto metadata = (*builder)->Finish();
    EXPECT_TRUE(metadata.ok()) << metadata.status().ToString();
    return *metadata;
  }
  std::shared_ptr<const TableReader> Open(const TableMetadata& metadata,
                                          std::size_t cache_bytes = 1 << 20) {
    auto reader =
        TableReader::Open(disk_, "/db", metadata, std::make_shared<BlockCache>(cache_bytes));
    EXPECT_TRUE(reader.ok()) << reader.status().ToString();
    return *reader;
  }

  MemoryFileSystem disk_;
};

}  // namespace bedrock::engine
