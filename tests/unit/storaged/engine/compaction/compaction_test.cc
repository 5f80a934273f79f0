#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/env/memory_file_system.h"
#include "storaged/engine/compaction/merge_job.h"
#include "storaged/engine/compaction/picker.h"
#include "storaged/engine/compaction/version_filter.h"
#include "storaged/engine/table/table_reader.h"
#include "tests/unit/storaged/engine/vector_iterator.h"

namespace bedrock::engine {
namespace {

class MergeJobTest : public testing::Test {
 protected:
  MergeJob MakeJob(std::vector<TestEntry> entries, std::uint64_t table_bytes, Status error = {}) {
    SortEntries(entries);
    return MergeJob({.file_system = &disk_,
                     .directory = "/db",
                     .input = std::make_unique<VectorIterator>(std::move(entries), error),
                     .filter = VersionFilter({}, nullptr, KeyRanges::All()),
                     .table = {.block_bytes = 256},
                     .table_bytes = table_bytes,
                     .next_number = [this] { return FileNumber(next_++); }});
  }
  void SetUp() override { ASSERT_TRUE(disk_.CreateDirectories("/db").ok()); }

  MemoryFileSystem disk_;
  std::uint64_t next_ = 1;
};

TEST_F(MergeJobTest, CutsTablesBetweenUserKeysOnly) {
  std::vector<TestEntry> entries;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    entries.push_back({{"key" + std::to_string(i % 40), Trailer(Version(i + 1), EntryKind::kPut)},
                       std::string(30, 'v')});
  }
  MergeJob job = MakeJob(entries, 8000);
  MergeJob::Progress progress;
  while ((progress = job.Step()) == MergeJob::Progress::kMore) {
  }
  ASSERT_EQ(progress, MergeJob::Progress::kDone);
  ASSERT_GT(job.outputs().size(), 5u);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < job.outputs().size(); ++i) {
    sum += job.outputs()[i].entries;
    if (i > 0) {
      EXPECT_LT(job.outputs()[i - 1].largest, job.outputs()[i].smallest);
    }
  }
  EXPECT_EQ(sum, entries.size());
}

TEST_F(MergeJobTest, WorksInSteps) {
  std::vector<TestEntry> entries;
  for (std::uint64_t i = 0; i < 40; ++i) {
    entries.push_back(
        {{std::to_string(i), Trailer(Version(1), EntryKind::kPut)}, std::string(100'000, 'v')});
  }
  MergeJob job = MakeJob(entries, UINT64_MAX);
  int steps = 1;
  while (job.Step() == MergeJob::Progress::kMore) ++steps;
  EXPECT_GT(steps, 10);
}

TEST_F(MergeJobTest, TellsBadInputFromBadOutputAndCleansUp) {
  std::vector<TestEntry> entries;
  for (int i = 0; i < 100; ++i) {
    entries.push_back(
        {{std::to_string(i), Trailer(Version(1), EntryKind::kPut)}, std::string(1000, 'v')});
  }
  MergeJob unreadable = MakeJob(entries, 5000, Status::Corruption("bad block"));
  EXPECT_EQ(unreadable.Step(), MergeJob::Progress::kInputFailed);
  EXPECT_TRUE(unreadable.status().IsCorruption());
  EXPECT_FALSE(disk_.List("/db")->empty());
  unreadable.Abandon();
  EXPECT_TRUE(disk_.List("/db")->empty());

  disk_.SetCapacity(20'000);
  MergeJob full = MakeJob(entries, 5000);
  EXPECT_EQ(full.Step(), MergeJob::Progress::kOutputFailed);
  EXPECT_TRUE(full.status().IsNoSpace());
  full.Abandon();
  EXPECT_TRUE(disk_.List("/db")->empty());
}

TEST_F(MergeJobTest, NothingKeptMakesNoTable) {
  MergeJob job({.file_system = &disk_,
                .directory = "/db",
                .input = std::make_unique<VectorIterator>(
                    std::vector<TestEntry>{{{"k", Trailer(Version(1), EntryKind::kDelete)}, ""}}),
                .filter = VersionFilter({Version(5), {}}, nullptr, KeyRanges()),
                .table = {},
                .next_number = [this] { return FileNumber(next_++); }});
  EXPECT_EQ(job.Step(), MergeJob::Progress::kDone);
  EXPECT_TRUE(job.outputs().empty());
  EXPECT_TRUE(disk_.List("/db")->empty());
}

class PickerTest : public MergeJobTest {
 protected:
  TableSet::Table MakeTable(const std::string& smallest, const std::string& largest) {
    MergeJob job = MakeJob({{{smallest, Trailer(Version(next_ * 2), EntryKind::kPut)}, ""},
                            {{largest, Trailer(Version(next_ * 2 + 1), EntryKind::kPut)}, ""}},
                           UINT64_MAX);
    EXPECT_EQ(job.Step(), MergeJob::Progress::kDone);
    return *TableReader::Open(disk_, "/db", job.outputs().front(),
                              std::make_shared<BlockCache>(0));
  }
  static std::string Names(const std::vector<TableSet::Table>& tables) {
    std::string names;
    for (const auto& table : tables) names += table->metadata().smallest;
    return names;
  }
};

TEST_F(PickerTest, TakesAllOfLevel0AndWhatSharesItsKeys) {
  TableSet tables;
  for (const char* key : {"a", "d", "g", "k", "p"}) {
    tables.levels[1].push_back(MakeTable(key, key + std::string("z")));
  }
  tables.levels[0].push_back(MakeTable("h", "i"));
  EXPECT_FALSE(PickCompaction(tables, 2).has_value());
  tables.levels[0].push_back(MakeTable("dzz", "gz"));
  const auto picked = PickCompaction(tables, 2);
  ASSERT_TRUE(picked.has_value());
  EXPECT_EQ(Names(picked->level0), "hdzz");
  EXPECT_EQ(Names(picked->level1), "g");
  tables.levels[0].push_back(MakeTable("c", "kz"));
  EXPECT_EQ(Names(PickCompaction(tables, 2)->level1), "dgk");
  EXPECT_FALSE(PickCompaction(TableSet(), 1).has_value());
}

}  // namespace
}  // namespace bedrock::engine
