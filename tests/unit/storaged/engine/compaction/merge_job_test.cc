#include "storaged/engine/compaction/merge_job.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "storaged/engine/blob/blob_reader.h"
#include "storaged/engine/blob/blob_set.h"
#include "storaged/engine/table/file_names.h"
#include "storaged/engine/table/table_cursor.h"
#include "storaged/engine/table/table_reader.h"

namespace bedrock::engine {
namespace {

using Progress = MergeJob::Progress;

struct TestEntry {
  std::string key;
  std::uint64_t version = 0;
  EntryKind kind = EntryKind::kPut;
  std::string value;

  InternalKeyView internal() const { return {key, Trailer(Version(version), kind)}; }
};

/// What tables say, all of it.
struct Contents {
  std::vector<TestEntry> entries;
  FragmentedTombstones tombstones;
};

class MergeJobTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(disk_.CreateDirectories("/db").ok()); }

  TableSet::Table Open(const TableMetadata& metadata) {
    auto table = TableReader::Open(disk_, "/db", metadata, cache_);
    EXPECT_TRUE(table.ok()) << table.status().ToString();
    return *table;
  }

  TableSet::Table MakeTable(std::vector<TestEntry> entries,
                            const std::vector<RangeTombstone>& tombstones = {}) {
    std::sort(entries.begin(), entries.end(),
              [](const TestEntry& a, const TestEntry& b) { return a.internal() < b.internal(); });
    auto builder = TableBuilder::Create(disk_, "/db", NewNumber(), {.block_bytes = 256});
    EXPECT_TRUE(builder.ok());
    for (const TestEntry& entry : entries) {
      EXPECT_TRUE((*builder)->Add(entry.internal(), entry.value).ok());
    }
    (*builder)->AddRangeTombstones(FragmentedTombstones(tombstones));
    const auto metadata = (*builder)->Finish();
    EXPECT_TRUE(metadata.ok());
    return Open(*metadata);
  }

  FileNumber NewNumber() { return FileNumber(next_++); }

  MergeJob::Parameters Merging(std::vector<std::vector<TableSet::Table>> runs) {
    return {.file_system = &disk_,
            .directory = "/db",
            .input = {nullptr, std::move(runs)},
            .retention = {},
            .below = KeyRanges::All(),
            .range = {},
            .table = {.block_bytes = 256},
            .next_number = [this] { return NewNumber(); }};
  }

  static Progress RunToEnd(MergeJob& job) {
    Progress progress = Progress::kMore;
    while (progress == Progress::kMore) progress = job.Step();
    return progress;
  }
  /// What the outputs have in it. They part the keys in order.
  Contents Outputs(const MergeJob& job) {
    Contents contents;
    std::vector<TableSet::Table> tables;
    for (const TableMetadata& metadata : job.outputs()) tables.push_back(Open(metadata));
    std::vector<const FragmentedTombstones*> sets;
    for (std::size_t i = 0; i < tables.size(); ++i) {
      EXPECT_TRUE(tables[i]->Verify().ok());
      if (i > 0) {
        EXPECT_FALSE(tables[i - 1]->metadata().range().end.Reaches(tables[i]->metadata().smallest));
      }
      sets.push_back(&tables[i]->Tombstones());
      TableCursor cursor(*tables[i]);
      for (cursor.SeekToFirst(); cursor.Valid(); cursor.Next()) {
        contents.entries.push_back({std::string(cursor.key().user_key),
                                    cursor.key().version().value(), cursor.key().kind(),
                                    std::string(cursor.value())});
      }
      EXPECT_TRUE(cursor.status().ok());
    }
    contents.tombstones = FragmentedTombstones::Merge(sets);
    return contents;
  }
  std::vector<std::string> Begins(const MergeJob& job) {
    std::vector<std::string> begins;
    for (const TableMetadata& metadata : job.outputs()) begins.push_back(metadata.smallest);
    return begins;
  }
  /// One put of each key, `bytes` each.
  static std::vector<TestEntry> Puts(const std::vector<std::string>& keys, std::size_t bytes,
                                     std::uint64_t version = 5) {
    std::vector<TestEntry> entries;
    for (const std::string& key : keys) {
      entries.push_back({key, version, EntryKind::kPut, std::string(bytes, 'v')});
    }
    return entries;
  }
  std::shared_ptr<const BlobSet> OpenBlobs(const MergeJob& job) {
    std::vector<BlobSet::Blob> blobs;
    for (const BlobFile& blob : job.blob_outputs()) {
      auto reader = BlobReader::Open(disk_, "/db", blob);
      EXPECT_TRUE(reader.ok()) << reader.status().ToString();
      EXPECT_TRUE((*reader)->Verify().ok());
      blobs.push_back(*reader);
    }
    return std::make_shared<const BlobSet>(std::move(blobs));
  }
  static std::string ValueOf(const BlobSet& blobs, const TestEntry& entry) {
    const auto read = blobs.Read(entry.value, VerifyChecksums::kYes);
    return read.ok() ? std::string(read->value) : read.status().ToString();
  }
  /// A table whose values, `bytes` of the first letter of each key, all stand in one blob file.
  std::pair<TableSet::Table, std::shared_ptr<const BlobSet>> MakeBlobTable(
      const std::vector<std::string>& keys, std::size_t bytes) {
    auto memtable = std::make_shared<Memtable>();
    for (const std::string& key : keys) {
      memtable->Add({key, Trailer(Version(5), EntryKind::kPut)}, std::string(bytes, key[0]));
    }
    auto parameters = Merging({});
    parameters.input.memtable = memtable;
    parameters.blobs.bytes_min = 1;
    MergeJob job(std::move(parameters));
    EXPECT_EQ(RunToEnd(job), Progress::kDone);
    return {Open(job.outputs().at(0)), OpenBlobs(job)};
  }
  void Damage(const TableSet::Table& table) {
    const std::string path = JoinPath("/db", TableName(table->metadata().number));
    ASSERT_TRUE(disk_.FlipBit(path, (kTableHeaderBytes + 10) * 8).ok());
  }

  MemoryFileSystem disk_;
  std::shared_ptr<BlockCache> cache_ = std::make_shared<BlockCache>(0);
  std::uint64_t next_ = 1;
};

TEST_F(MergeJobTest, MergesRunsInOrder) {
  MergeJob job(Merging({{MakeTable(Puts({"a", "d"}, 3, 9))},
                        {MakeTable(Puts({"a", "b"}, 2, 5)), MakeTable(Puts({"c", "d"}, 1, 4))}}));
  ASSERT_EQ(RunToEnd(job), Progress::kDone);
  const Contents contents = Outputs(job);
  std::string text;
  for (const TestEntry& entry : contents.entries) {
    text += entry.key + std::to_string(entry.version) + entry.value + " ";
  }
  EXPECT_EQ(text, "a9vvv a5vv b5vv c4v d9vvv d4v ");
}

TEST_F(MergeJobTest, FlushesAMemtable) {
  auto memtable = std::make_shared<Memtable>();
  memtable->Add({"k", Trailer(Version(3), EntryKind::kPut)}, "three");
  memtable->Add({"k", Trailer(Version(7), EntryKind::kPut)}, "seven");
  memtable->AddRangeTombstone("a", "m", Version(5));
  auto parameters = Merging({});
  parameters.input.memtable = memtable;
  parameters.retention.watermark = Version(6);
  MergeJob job(std::move(parameters));
  ASSERT_EQ(RunToEnd(job), Progress::kDone);
  const Contents contents = Outputs(job);
  ASSERT_EQ(contents.entries.size(), 1u);
  EXPECT_EQ(contents.entries[0].value, "seven");
  EXPECT_EQ(contents.tombstones, *memtable->Tombstones());
}

TEST_F(MergeJobTest, LargeValuesGoIntoABlobFile) {
  auto memtable = std::make_shared<Memtable>();
  memtable->Add({"large", Trailer(Version(3), EntryKind::kPut)}, std::string(100, 'l'));
  memtable->Add({"small", Trailer(Version(4), EntryKind::kPut)}, std::string(99, 's'));
  memtable->Add({"tombstone", Trailer(Version(5), EntryKind::kDelete)}, {});
  auto parameters = Merging({});
  parameters.input.memtable = memtable;
  parameters.blobs.bytes_min = 100;
  MergeJob job(std::move(parameters));
  ASSERT_EQ(RunToEnd(job), Progress::kDone);
  ASSERT_EQ(job.blob_outputs().size(), 1u);
  const BlobFile blob = job.blob_outputs()[0];
  const auto blobs = OpenBlobs(job);
  const Contents contents = Outputs(job);
  ASSERT_EQ(contents.entries.size(), 3u);
  EXPECT_EQ(contents.entries[0].kind, EntryKind::kBlobPut);
  EXPECT_EQ(contents.entries[0].version, 3u);
  EXPECT_EQ(ValueOf(*blobs, contents.entries[0]), std::string(100, 'l'));
  EXPECT_EQ(contents.entries[1].kind, EntryKind::kPut);
  EXPECT_EQ(contents.entries[2].kind, EntryKind::kDelete);
  ASSERT_EQ(job.outputs()[0].blob_references.size(), 1u);
  EXPECT_EQ(job.outputs()[0].blob_references[0].file, blob.number);
  EXPECT_EQ(job.outputs()[0].blob_references[0].bytes, blob.value_bytes);
}

TEST_F(MergeJobTest, ReferencesArePassedOnAndCounted) {
  const auto [table, blobs] = MakeBlobTable({"a", "b", "c", "d"}, 200);
  const std::size_t files = disk_.List("/db")->size();
  auto parameters = Merging({{table}, {MakeTable({{"b", 9, EntryKind::kDelete, ""}})}});
  parameters.retention.watermark = Version(10);
  parameters.blobs = {.bytes_min = 100, .resolver = blobs};
  MergeJob job(std::move(parameters));
  ASSERT_EQ(RunToEnd(job), Progress::kDone);
  EXPECT_TRUE(job.blob_outputs().empty());
  EXPECT_EQ(disk_.List("/db")->size(), files + 2);  // the tombstone's table and the output
  const auto& before = table->metadata().blob_references;
  const auto& after = job.outputs()[0].blob_references;
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(after[0].file, before[0].file);
  EXPECT_EQ(after[0].bytes, before[0].bytes / 4 * 3);
  for (const TestEntry& entry : Outputs(job).entries) {
    if (entry.kind == EntryKind::kBlobPut) {
      EXPECT_EQ(ValueOf(*blobs, entry), std::string(200, entry.key[0]));
    }
  }
}

TEST_F(MergeJobTest, ValuesOfHollowFilesAreWrittenAnew) {
  const auto [table, blobs] = MakeBlobTable({"a", "b", "c", "d"}, 200);
  const FileNumber hollow = blobs->blobs()[0]->blob().number;
  auto parameters = Merging({{table}});
  parameters.blobs = {.bytes_min = 100, .resolver = blobs, .relocate_from = {hollow}};
  MergeJob job(std::move(parameters));
  ASSERT_EQ(RunToEnd(job), Progress::kDone);
  ASSERT_EQ(job.blob_outputs().size(), 1u);
  EXPECT_NE(job.blob_outputs()[0].number, hollow);
  ASSERT_EQ(job.outputs()[0].blob_references.size(), 1u);
  EXPECT_EQ(job.outputs()[0].blob_references[0].file, job.blob_outputs()[0].number);
  const auto anew = OpenBlobs(job);
  const Contents contents = Outputs(job);
  ASSERT_EQ(contents.entries.size(), 4u);
  for (const TestEntry& entry : contents.entries)
    EXPECT_EQ(ValueOf(*anew, entry), std::string(200, entry.key[0]));
}

TEST_F(MergeJobTest, WhatIsNoLongerLargeComesBackIntoTheTable) {
  const auto [table, blobs] = MakeBlobTable({"a", "b"}, 200);
  auto parameters = Merging({{table}});
  parameters.blobs = {
      .bytes_min = 300, .resolver = blobs, .relocate_from = {blobs->blobs()[0]->blob().number}};
  MergeJob job(std::move(parameters));
  ASSERT_EQ(RunToEnd(job), Progress::kDone);
  EXPECT_TRUE(job.blob_outputs().empty());
  EXPECT_TRUE(job.outputs()[0].blob_references.empty());
  for (const TestEntry& entry : Outputs(job).entries) {
    EXPECT_EQ(entry.kind, EntryKind::kPut);
    EXPECT_EQ(entry.value, std::string(200, entry.key[0]));
  }
}

TEST_F(MergeJobTest, ADamagedValueKeepsItsReference) {
  const auto [table, blobs] = MakeBlobTable({"a", "b"}, 200);
  const FileNumber hollow = blobs->blobs()[0]->blob().number;
  ASSERT_TRUE(disk_.FlipBit(JoinPath("/db", BlobName(hollow)), 100 * 8).ok());
  auto parameters = Merging({{table}});
  parameters.blobs = {.bytes_min = 100, .resolver = blobs, .relocate_from = {hollow}};
  MergeJob job(std::move(parameters));
  ASSERT_EQ(RunToEnd(job), Progress::kDone);
  EXPECT_TRUE(blobs->blobs()[0]->damaged());
  EXPECT_EQ(job.outputs()[0].blob_references.size(), 2u);
  const Contents contents = Outputs(job);
  EXPECT_TRUE(
      blobs->Read(contents.entries[0].value, VerifyChecksums::kYes).status().IsCorruption());
  EXPECT_EQ(ValueOf(*OpenBlobs(job), contents.entries[1]), std::string(200, 'b'));
}

TEST_F(MergeJobTest, AValueThatCanNotBeReadIsBadInput) {
  const auto [table, blobs] = MakeBlobTable({"a", "b"}, 200);
  const FileNumber hollow = blobs->blobs()[0]->blob().number;
  const std::size_t files = disk_.List("/db")->size();
  auto parameters = Merging({{table}});
  parameters.blobs = {.bytes_min = 100, .resolver = blobs, .relocate_from = {hollow}};
  MergeJob job(std::move(parameters));
  disk_.Inject({.operations = {MemoryFileSystem::Operation::kRead},
                .path_suffix = BlobName(hollow),
                .nth = 2});
  ASSERT_EQ(RunToEnd(job), Progress::kInputFailed);
  EXPECT_TRUE(job.status().IsIOError());
  job.Abandon();
  EXPECT_EQ(disk_.List("/db")->size(), files);
}

TEST_F(MergeJobTest, BlobFilesEndWhenTheyAreLarge) {
  auto memtable = std::make_shared<Memtable>();
  for (char key = 'a'; key <= 'j'; ++key) {
    memtable->Add({std::string(1, key), Trailer(Version(3), EntryKind::kPut)},
                  std::string(1000, key));
  }
  auto parameters = Merging({});
  parameters.input.memtable = memtable;
  parameters.blobs = {.bytes_min = 100, .file_bytes = 2500};
  MergeJob job(std::move(parameters));
  ASSERT_EQ(RunToEnd(job), Progress::kDone);
  EXPECT_EQ(job.blob_outputs().size(), 4u);
  const auto blobs = OpenBlobs(job);
  for (const TestEntry& entry : Outputs(job).entries)
    EXPECT_EQ(ValueOf(*blobs, entry), std::string(1000, entry.key[0]));
}

TEST_F(MergeJobTest, CutsTablesBetweenUserKeysOnly) {
  std::vector<TestEntry> entries;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    entries.push_back(
        {"key" + std::to_string(i % 40), i + 1, EntryKind::kPut, std::string(30, 'v')});
  }
  auto parameters = Merging({{MakeTable(entries)}});
  parameters.table_bytes = 8000;
  MergeJob job(std::move(parameters));
  ASSERT_EQ(RunToEnd(job), Progress::kDone);
  ASSERT_GT(job.outputs().size(), 5u);
  for (std::size_t i = 0; i + 1 < job.outputs().size(); ++i) {
    EXPECT_GE(job.outputs()[i].size, 7000u);
  }
  EXPECT_EQ(Outputs(job).entries.size(), entries.size());
}

TEST_F(MergeJobTest, WorksInSteps) {
  std::vector<std::string> keys;
  for (int i = 0; i < 40; ++i) keys.push_back(std::to_string(i));
  MergeJob job(Merging({{MakeTable(Puts(keys, 100'000))}}));
  int steps = 1;
  while (job.Step() == Progress::kMore) ++steps;
  EXPECT_GT(steps, 10);
}

TEST_F(MergeJobTest, EntriesThatAreLeftOutEndAStepToo) {
  std::vector<TestEntry> entries;
  for (std::uint64_t i = 1; i <= 20'000; ++i) entries.push_back({"k", i, EntryKind::kPut, "v"});
  auto parameters = Merging({{MakeTable(entries)}});
  parameters.retention.watermark = Version(30'000);
  MergeJob job(std::move(parameters));
  EXPECT_EQ(job.Step(), Progress::kMore);
}

TEST_F(MergeJobTest, TellsBadInputFromBadOutputAndCleansUp) {
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) keys.push_back("key" + std::to_string(i));
  const TableSet::Table good = MakeTable(Puts(keys, 1000));
  const TableSet::Table bad = MakeTable(Puts({"x", "y"}, 1000));
  Damage(bad);
  const std::size_t files = disk_.List("/db")->size();
  auto parameters = Merging({{good}, {bad}});
  parameters.table_bytes = 5000;
  MergeJob unreadable(std::move(parameters));
  EXPECT_EQ(RunToEnd(unreadable), Progress::kInputFailed);
  EXPECT_TRUE(unreadable.status().IsCorruption());
  unreadable.Abandon();
  EXPECT_EQ(disk_.List("/db")->size(), files);

  disk_.SetCapacity(150'000);
  parameters = Merging({{good}});
  parameters.table_bytes = 5000;
  MergeJob full(std::move(parameters));
  EXPECT_EQ(RunToEnd(full), Progress::kOutputFailed);
  EXPECT_TRUE(full.status().IsNoSpace());
  EXPECT_GT(disk_.List("/db")->size(), files);
  full.Abandon();
  EXPECT_EQ(disk_.List("/db")->size(), files);
}

TEST_F(MergeJobTest, NothingKeptMakesNoTable) {
  auto parameters =
      Merging({{MakeTable({{"k", 1, EntryKind::kDelete, ""}}, {{"a", "c", Version(1)}})}});
  parameters.retention.watermark = Version(5);
  parameters.below = KeyRanges();
  const std::size_t files = disk_.List("/db")->size();
  MergeJob job(std::move(parameters));
  EXPECT_EQ(RunToEnd(job), Progress::kDone);
  EXPECT_TRUE(job.outputs().empty());
  EXPECT_EQ(disk_.List("/db")->size(), files);
}

TEST_F(MergeJobTest, RangeTombstonesAreClippedToTheOutputs) {
  std::vector<std::string> keys;
  for (char c = 'b'; c < 'n'; ++c) keys.push_back(std::string(1, c));
  auto parameters = Merging({{MakeTable(Puts(keys, 1000), {{"a", "p", Version(4)}})}});
  parameters.table_bytes = 3500;
  MergeJob job(std::move(parameters));
  ASSERT_EQ(RunToEnd(job), Progress::kDone);
  ASSERT_EQ(job.outputs().size(), 3u);
  EXPECT_EQ(job.outputs().front().smallest, "a");
  EXPECT_EQ(job.outputs().front().largest, "f");
  EXPECT_EQ(job.outputs().front().largest_kind, UpperBound::Kind::kExcluded);
  EXPECT_EQ(job.outputs().back().largest, "p");
  EXPECT_EQ(Outputs(job).tombstones, FragmentedTombstones({{"a", "p", Version(4)}}));
}

TEST_F(MergeJobTest, RangeTombstonesAloneMakeATable) {
  MergeJob job(Merging({{MakeTable({}, {{"c", "", Version(4)}})}}));
  ASSERT_EQ(RunToEnd(job), Progress::kDone);
  ASSERT_EQ(job.outputs().size(), 1u);
  EXPECT_EQ(job.outputs()[0].largest_kind, UpperBound::Kind::kUnbounded);
}

TEST_F(MergeJobTest, LargeOutputsEndWhereGrandparentsBegin) {
  std::vector<std::string> keys;
  for (char c = 'a'; c <= 'z'; ++c) keys.push_back(std::string(1, c));
  auto parameters = Merging({{MakeTable(Puts(keys, 1000))}});
  parameters.table_bytes = 8000;
  parameters.grandparents = {{"b", 5000}, {"g", 5000}, {"gg", 5000}, {"w", 5000}};
  MergeJob job(std::move(parameters));
  ASSERT_EQ(RunToEnd(job), Progress::kDone);
  // Not at b, where it is small; at g, half as large; then by size; then at w.
  EXPECT_EQ(Begins(job), (std::vector<std::string>{"a", "g", "o", "w"}));
}

TEST_F(MergeJobTest, WideOutputsEndWhereGrandparentsBegin) {
  auto parameters = Merging(
      {{MakeTable(Puts({"a", "m", "z"}, 10), {{"c", "l", Version(4)}, {"p", "", Version(4)}})}});
  parameters.table_bytes = 1000;
  for (char c = 'b'; c <= 'y'; ++c) parameters.grandparents.push_back({std::string(1, c), 2500});
  MergeJob job(std::move(parameters));
  ASSERT_EQ(RunToEnd(job), Progress::kDone);
  const Contents contents = Outputs(job);
  EXPECT_EQ(contents.entries.size(), 3u);
  EXPECT_EQ(contents.tombstones,
            FragmentedTombstones({{"c", "l", Version(4)}, {"p", "", Version(4)}}));
  // Each lies over four grandparents of a quarter of what is allowed, or fewer.
  for (const TableMetadata& output : job.outputs()) {
    std::size_t under = 0;
    for (char c = 'b'; c <= 'y'; ++c) {
      const std::string begin(1, c);
      const std::string end(1, static_cast<char>(c + 1));
      if (HalfOpen(begin, end).Overlaps(output.range())) ++under;
    }
    EXPECT_LE(under, 5u) << output.smallest;
  }
}

TEST_F(MergeJobTest, TablesThatAreHiddenAreNotRead) {
  const TableSet::Table hidden = MakeTable(Puts({"d", "e"}, 100, 3));
  Damage(hidden);
  const auto merging = [&](std::uint64_t watermark, std::vector<Version> pins) {
    auto parameters = Merging({{MakeTable(Puts({"a", "z"}, 10, 8), {{"c", "f", Version(9)}})},
                               {MakeTable(Puts({"b"}, 10, 3)), hidden}});
    parameters.retention = {Version(watermark), std::move(pins)};
    return parameters;
  };
  MergeJob job(merging(9, {}));
  ASSERT_EQ(RunToEnd(job), Progress::kDone) << job.status().ToString();
  EXPECT_EQ(Outputs(job).entries.size(), 3u);
  MergeJob pinned(merging(9, {Version(5)}));
  EXPECT_EQ(RunToEnd(pinned), Progress::kInputFailed) << "a reader at 5 sees it";
  MergeJob early(merging(8, {}));
  EXPECT_EQ(RunToEnd(early), Progress::kInputFailed) << "a reader at 8 sees it";
}

/// Random tables, newest run first, each older than those before; parted into jobs by random cuts.
class MergeJobModelTest : public MergeJobTest, public testing::WithParamInterface<std::uint64_t> {
 protected:
  static constexpr std::uint64_t kKeys = 12;
  static constexpr std::uint64_t kVersionsARun = 6;

  std::string RandomKey() { return std::string(1, static_cast<char>('a' + random_.Below(kKeys))); }

  TableSet::Table RandomTable(std::uint64_t version_min) {
    std::map<std::pair<std::string, std::uint64_t>, TestEntry> entries;
    std::vector<RangeTombstone> tombstones;
    for (std::uint64_t n = random_.Between(1, 20); n > 0; --n) {
      const std::uint64_t version = version_min + random_.Below(kVersionsARun);
      const std::string key = RandomKey();
      if (random_.Chance(1, 6)) {
        const std::string end = random_.Chance(1, 4) ? "" : key + RandomKey();
        tombstones.push_back({key, end, Version(version)});
      } else {
        const bool put = random_.Chance(2, 3);
        entries[{key, version}] = {key, version, put ? EntryKind::kPut : EntryKind::kDelete,
                                   put ? std::string(random_.Below(60), 'v') : ""};
      }
    }
    std::vector<TestEntry> list;
    for (auto& [key, entry] : entries) list.push_back(entry);
    all_.entries.insert(all_.entries.end(), list.begin(), list.end());
    const FragmentedTombstones set(tombstones);
    const FragmentedTombstones* const both[] = {&all_.tombstones, &set};
    all_.tombstones = FragmentedTombstones::Merge(both);
    return MakeTable(std::move(list), tombstones);
  }

  static std::string Read(const Contents& contents, const std::string& key, std::uint64_t at) {
    const TestEntry* newest = nullptr;
    for (const TestEntry& entry : contents.entries) {
      if (entry.key == key && entry.version <= at &&
          (newest == nullptr || newest->version < entry.version)) {
        newest = &entry;
      }
    }
    if (newest == nullptr || newest->kind == EntryKind::kDelete ||
        contents.tombstones.Covering(key, Version(at)) > Version(newest->version)) {
      return "nothing";
    }
    return std::to_string(newest->version) + newest->value;
  }

  Random random_{GetParam()};
  Contents all_;
};

TEST_P(MergeJobModelTest, JobsSideBySideKeepWhatReadersSee) {
  for (int round = 0; round < 150; ++round) {
    all_ = {};
    std::vector<std::vector<TableSet::Table>> runs;
    for (std::uint64_t count = random_.Between(1, 4); count > 0; --count) {
      runs.push_back({RandomTable((count - 1) * kVersionsARun + 1)});
    }
    const std::uint64_t version_end = runs.size() * kVersionsARun + 1;
    Retention retention{Version(random_.Below(version_end + 2)), {}};
    for (std::uint64_t n = random_.Below(3); n > 0; --n) {
      retention.pins.push_back(Version(random_.Below(version_end)));
    }
    std::vector<CompactionPlan::Grandparent> grandparents;
    for (char c = 'a'; c < 'm'; ++c) {
      if (random_.Chance(1, 3)) grandparents.push_back({std::string(1, c), random_.Below(3000)});
    }
    std::vector<std::string> cuts = {""};
    while (random_.Chance(1, 2)) cuts.push_back(RandomKey());
    std::sort(cuts.begin(), cuts.end());
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    Contents after;
    std::vector<FragmentedTombstones> sets;
    for (std::size_t i = 0; i < cuts.size(); ++i) {
      auto parameters = Merging(runs);
      parameters.retention = retention;
      parameters.below = KeyRanges();
      parameters.range = {cuts[i], i + 1 < cuts.size() ? cuts[i + 1] : ""};
      parameters.table_bytes = random_.Between(100, 1000);
      parameters.grandparents = grandparents;
      MergeJob job(std::move(parameters));
      ASSERT_EQ(RunToEnd(job), Progress::kDone) << job.status().ToString();
      const Contents part = Outputs(job);
      for (const TestEntry& entry : part.entries) {
        ASSERT_TRUE(cuts[i] <= entry.key &&
                    IsBeforeEnd(entry.key, i + 1 < cuts.size() ? cuts[i + 1] : ""));
      }
      after.entries.insert(after.entries.end(), part.entries.begin(), part.entries.end());
      sets.push_back(part.tombstones);
    }
    std::vector<const FragmentedTombstones*> pointers;
    for (const auto& set : sets) pointers.push_back(&set);
    after.tombstones = FragmentedTombstones::Merge(pointers);
    for (std::uint64_t at = 0; at < version_end + 2; ++at) {
      if (Version(at) < retention.watermark &&
          std::ranges::count(retention.pins, Version(at)) == 0) {
        continue;
      }
      for (std::uint64_t k = 0; k < kKeys; ++k) {
        const std::string key(1, static_cast<char>('a' + k));
        ASSERT_EQ(Read(after, key, at), Read(all_, key, at)) << key << "@" << at;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, MergeJobModelTest, testing::Values(1, 2, 3, 4));

}  // namespace
}  // namespace bedrock::engine
