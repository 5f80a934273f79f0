#include "bedrock/db.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/env/random.h"
#include "database_fixture.h"

namespace bedrock::embedded {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

constexpr WriteOptions kNoSync{.sync = Sync::kNo};

/// The contract of the public headers, on this machine's files, clock and threads.
class DatabaseTest : public testing::Test {
 protected:
  DatabaseTest() { Open(); }

  void Open(const Options& options = {}) {
    db_.reset();
    auto opened = DB::Open(path_, options);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    db_ = std::move(opened).value();
  }
  void Put(std::string_view key, std::string_view value) {
    ASSERT_TRUE(db_->Put(key, value, kNoSync).ok());
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.Path("data");
  std::unique_ptr<DB> db_;
};

// ---- Open

TEST_F(DatabaseTest, WhatWasWrittenIsThereAfterOpeningAgain) {
  Put("a", "1");
  ASSERT_TRUE(db_->Put("b", "2").ok());
  ASSERT_TRUE(db_->Delete("a").ok());
  Open();
  EXPECT_THAT(ReadAll(*db_), ElementsAre(Pair("b", "2")));
}

TEST_F(DatabaseTest, WhatIsInTablesAndWhatIsInTheLogComeTogether) {
  Put("a", "1");
  Put("b", "1");
  ASSERT_TRUE(db_->Flush().ok());
  Put("b", "2");
  Put("c", "2");
  Open();
  EXPECT_THAT(ReadAll(*db_), ElementsAre(Pair("a", "1"), Pair("b", "2"), Pair("c", "2")));
}

TEST_F(DatabaseTest, VersionsGoOnAfterOpeningAgain) {
  const Version first = db_->Put("a", "1").value();
  Open();
  const Version second = db_->Put("a", "2").value();
  EXPECT_EQ(second, first.Next());
  ASSERT_TRUE(db_->Flush().ok());
  Open();
  EXPECT_EQ(db_->Put("a", "3").value(), second.Next());
}

TEST_F(DatabaseTest, OneProcessOpensADirectoryAtATime) {
  EXPECT_TRUE(DB::Open(path_).status().IsUnavailable());
  db_.reset();
  EXPECT_TRUE(DB::Open(path_).ok());
}

TEST_F(DatabaseTest, CreateIfMissingCanBeTurnedOff) {
  Options options;
  options.create_if_missing = false;
  const std::string other = folder_.Path("other");
  EXPECT_TRUE(DB::Open(other, options).status().IsNotFound());
  EXPECT_FALSE(std::filesystem::exists(other));
  Open(options);
}

TEST_F(DatabaseTest, ErrorIfExistsRefusesADatabase) {
  db_.reset();
  Options options;
  options.error_if_exists = true;
  EXPECT_TRUE(DB::Open(path_, options).status().IsInvalidArgument());
  EXPECT_TRUE(DB::Open(folder_.Path("other"), options).ok());
}

TEST_F(DatabaseTest, InvalidOptionsAreRefused) {
  Options options;
  options.block_bytes = 1;
  EXPECT_TRUE(DB::Open(folder_.Path("other"), options).status().IsInvalidArgument());
}

TEST_F(DatabaseTest, TheDirectoryIsMadeWithItsParents) {
  EXPECT_TRUE(DB::Open(folder_.Path("a/b/c")).ok());
}

TEST_F(DatabaseTest, ALogWithoutADatabaseIsNoNewDatabase) {
  ASSERT_TRUE(db_->Put("a", "1").ok());
  db_.reset();
  std::filesystem::remove(path_ + "/CURRENT");
  for (const auto& file : std::filesystem::directory_iterator(path_)) {
    const std::string name = file.path().filename();
    if (name.starts_with("MANIFEST")) std::filesystem::remove(file.path());
  }
  EXPECT_TRUE(DB::Open(path_).status().IsCorruption());
}

// ---- Writes

TEST_F(DatabaseTest, EachWriteIsOneCommitWithTheNextVersion) {
  const Version put = db_->Put("a", "1").value();
  EXPECT_EQ(db_->Put("b", "1", kNoSync).value(), put + 1);
  EXPECT_EQ(db_->Delete("a").value(), put + 2);
  EXPECT_EQ(db_->DeleteRange("a", "c").value(), put + 3);
  WriteBatch batch;
  batch.Put("x", "1");
  batch.Put("y", "2");
  EXPECT_EQ(db_->Write(batch).value(), put + 4);
  EXPECT_EQ(db_->Stats().newest, put + 4);
}

TEST_F(DatabaseTest, AnEmptyBatchAndAnEmptyRangeCommitNothing) {
  const Version put = db_->Put("a", "1").value();
  EXPECT_EQ(db_->Write(WriteBatch()).value(), put);
  EXPECT_EQ(db_->DeleteRange("b", "b").value(), put);
  EXPECT_EQ(db_->DeleteRange("b", "a").value(), put);
  EXPECT_EQ(GetOr(*db_, "a"), "1");
}

TEST_F(DatabaseTest, ALaterChangeOfABatchWins) {
  WriteBatch batch;
  batch.Put("a", "1");
  batch.Put("a", "2");
  batch.Put("b", "1");
  batch.Delete("b");
  batch.Put("c", "1");
  batch.DeleteRange("c", "d");
  batch.Put("d", "1");
  batch.DeleteRange("a", "e");
  batch.Put("d", "2");
  ASSERT_TRUE(db_->Write(batch).ok());
  const Content expected = {{"d", "2"}};
  EXPECT_EQ(ReadAll(*db_), expected);
  Open();
  EXPECT_EQ(ReadAll(*db_), expected);
}

TEST_F(DatabaseTest, AClearedBatchCanBeUsedAgain) {
  WriteBatch batch;
  batch.Put("a", "1");
  batch.Clear();
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.count(), 0u);
  batch.Put("b", "2");
  EXPECT_EQ(batch.count(), 1u);
  EXPECT_GT(batch.bytes(), 0u);
  ASSERT_TRUE(db_->Write(batch).ok());
  EXPECT_THAT(ReadAll(*db_), ElementsAre(Pair("b", "2")));
}

TEST_F(DatabaseTest, KeysAndValuesAreAnyBytes) {
  const std::string key("\0\xff\n", 3);
  const std::string value("\0\0\x80", 3);
  ASSERT_TRUE(db_->Put(key, value).ok());
  ASSERT_TRUE(db_->Put("empty", "").ok());
  EXPECT_EQ(GetOr(*db_, key), value);
  EXPECT_EQ(GetOr(*db_, "empty"), "");
  Open();
  EXPECT_EQ(GetOr(*db_, key), value);
  EXPECT_EQ(GetOr(*db_, "empty"), "");
}

TEST_F(DatabaseTest, EmptyAndOverlongKeysAreRefused) {
  const std::string longest(64 << 10, 'k');
  const std::string longer = longest + "k";
  EXPECT_TRUE(db_->Put("", "v").status().IsInvalidArgument());
  EXPECT_TRUE(db_->Delete("").status().IsInvalidArgument());
  EXPECT_TRUE(db_->Put(longer, "v").status().IsInvalidArgument());
  EXPECT_TRUE(db_->Delete(longer).status().IsInvalidArgument());
  EXPECT_TRUE(db_->DeleteRange("a", longer).status().IsInvalidArgument());
  std::string value;
  EXPECT_TRUE(db_->Get("", &value).IsInvalidArgument());
  EXPECT_TRUE(db_->Get(longer, &value).IsInvalidArgument());
  EXPECT_TRUE(db_->NewestVersion("").status().IsInvalidArgument());
  WriteBatch batch;
  batch.Put("good", "v");
  batch.Put("", "v");
  EXPECT_TRUE(db_->Write(batch).status().IsInvalidArgument());
  EXPECT_THAT(ReadAll(*db_), IsEmpty());
  ASSERT_TRUE(db_->Put(longest, "v").ok());
  EXPECT_EQ(GetOr(*db_, longest), "v");
}

TEST_F(DatabaseTest, AnOverlongValueIsRefused) {
  const std::string value((std::size_t{128} << 20) + 1, 'v');
  EXPECT_TRUE(db_->Put("a", value).status().IsInvalidArgument());
}

TEST_F(DatabaseTest, DeleteRangeTakesItsBeginAndLeavesItsEnd) {
  for (const char* key : {"a", "b", "c", "d"}) Put(key, "1");
  ASSERT_TRUE(db_->Flush().ok());
  ASSERT_TRUE(db_->DeleteRange("b", "d").ok());
  EXPECT_THAT(ReadAll(*db_), ElementsAre(Pair("a", "1"), Pair("d", "1")));
  Put("c", "2");
  EXPECT_EQ(GetOr(*db_, "c"), "2");
  ASSERT_TRUE(db_->DeleteRange("c", "").ok());
  EXPECT_THAT(ReadAll(*db_), ElementsAre(Pair("a", "1")));
  ASSERT_TRUE(db_->DeleteRange("", "b").ok());
  EXPECT_THAT(ReadAll(*db_), IsEmpty());
}

TEST_F(DatabaseTest, AWriteConvertsToAStatus) {
  const Status status = db_->Put("a", "1");
  EXPECT_TRUE(status.ok());
}

// ---- Reads

TEST_F(DatabaseTest, AnAbsentKeyIsNotFound) {
  std::string value = "untouched";
  EXPECT_TRUE(db_->Get("a", &value).IsNotFound());
  EXPECT_EQ(value, "untouched");
  PinnedValue pinned;
  EXPECT_TRUE(db_->Get("a", &pinned).IsNotFound());
}

TEST_F(DatabaseTest, APinnedValueCarriesItsVersionAndOutlivesEverything) {
  const Version version = db_->Put("a", "1").value();
  PinnedValue pinned;
  ASSERT_TRUE(db_->Get("a", &pinned).ok());
  PinnedValue moved = std::move(pinned);
  ASSERT_TRUE(db_->Put("a", "2").ok());
  ASSERT_TRUE(db_->Flush().ok());
  PinnedValue from_table;
  ASSERT_TRUE(db_->Get("a", &from_table).ok());
  db_.reset();
  EXPECT_EQ(moved.value(), "1");
  EXPECT_EQ(moved.version(), version);
  EXPECT_EQ(from_table.value(), "2");
  EXPECT_EQ(from_table.version(), version.Next());
}

TEST_F(DatabaseTest, MultiGetAnswersInTheOrderOfTheKeys) {
  Put("a", "1");
  ASSERT_TRUE(db_->Flush().ok());
  const Version version = db_->Put("b", "2").value();
  const std::string_view keys[] = {"b", "nobody", "a", "", "b"};
  const auto answers = db_->MultiGet(keys);
  ASSERT_EQ(answers.size(), 5u);
  EXPECT_EQ(answers[0]->value(), "2");
  EXPECT_EQ(answers[0]->version(), version);
  EXPECT_TRUE(answers[1].status().IsNotFound());
  EXPECT_EQ(answers[2]->value(), "1");
  EXPECT_TRUE(answers[3].status().IsInvalidArgument());
  EXPECT_EQ(answers[4]->value(), "2");
  EXPECT_TRUE(db_->MultiGet({}).empty());
}

TEST_F(DatabaseTest, AnIteratorWalksBothWays) {
  for (const char* key : {"b", "d", "f"}) Put(key, key);
  const auto it = db_->NewIterator();
  EXPECT_FALSE(it->Valid());
  it->SeekToFirst();
  EXPECT_EQ(it->key(), "b");
  it->Next();
  EXPECT_EQ(it->key(), "d");
  it->Prev();
  EXPECT_EQ(it->key(), "b");
  it->Prev();
  EXPECT_FALSE(it->Valid());
  it->SeekToLast();
  EXPECT_EQ(it->key(), "f");
  it->Next();
  EXPECT_FALSE(it->Valid());
  it->Seek("c");
  EXPECT_EQ(it->key(), "d");
  EXPECT_EQ(it->value(), "d");
  it->SeekForPrev("c");
  EXPECT_EQ(it->key(), "b");
  it->Seek("g");
  EXPECT_FALSE(it->Valid());
  it->SeekForPrev("a");
  EXPECT_FALSE(it->Valid());
  EXPECT_TRUE(it->status().ok());
}

TEST_F(DatabaseTest, AnIteratorStaysWithinItsBounds) {
  for (const char* key : {"a", "b", "c", "d"}) Put(key, key);
  std::string begin = "b";
  std::string end = "d";
  const auto it = db_->NewIterator({}, {begin, end});
  begin = end = "x";  // they were copied
  it->SeekToFirst();
  EXPECT_EQ(it->key(), "b");
  it->SeekToLast();
  EXPECT_EQ(it->key(), "c");
  it->Next();
  EXPECT_FALSE(it->Valid());
  it->Seek("a");
  EXPECT_EQ(it->key(), "b");
  it->SeekForPrev("z");
  EXPECT_EQ(it->key(), "c");
}

TEST_F(DatabaseTest, ScanIsARangeOfEntries) {
  const Version version = db_->Put("user/1", "Ada").value();
  Put("user/2", "Grace");
  Put("zebra", "no");
  std::vector<std::string> seen;
  auto scan = db_->Scan(PrefixRange("user/"));
  for (const auto& entry : scan) {
    seen.push_back(std::string(entry.key) + "=" + std::string(entry.value));
    if (entry.key == "user/1") {
      EXPECT_EQ(entry.version, version);
    }
  }
  EXPECT_TRUE(scan.status().ok());
  EXPECT_THAT(seen, ElementsAre("user/1=Ada", "user/2=Grace"));
}

TEST_F(DatabaseTest, ReadOptionsCheckChecksumsUnlessTheyAreToldNotTo) {
  EXPECT_TRUE(ReadOptions{}.verify_checksums);
  Put("a", "1");
  ASSERT_TRUE(db_->Flush().ok());
  ReadOptions options;
  options.verify_checksums = false;
  options.fill_cache = false;
  EXPECT_EQ(GetOr(*db_, "a", "-", options), "1");
  EXPECT_THAT(ReadAll(*db_, options), ElementsAre(Pair("a", "1")));
}

TEST_F(DatabaseTest, MappedFilesAreCheckedAsOthersAre) {
  Options options;
  options.mapped_bytes_max = std::size_t{1} << 30;
  options.block_cache_bytes = 0;
  Open(options);
  const std::string large(20'000, 'L');
  for (int i = 0; i < 1000; ++i) Put("key" + std::to_string(i), std::string(100, 'v'));
  Put("large", large);
  ASSERT_TRUE(db_->Flush().ok());
  EXPECT_EQ(GetOr(*db_, "key7", "-"), std::string(100, 'v'));
  EXPECT_EQ(GetOr(*db_, "large", "-"), large);
  EXPECT_EQ(ReadAll(*db_).size(), 1001u);
  // What is done to the file is seen through the mapping.
  for (const auto& file : std::filesystem::directory_iterator(path_)) {
    const std::string kind = file.path().extension();
    if (kind != ".sst" && kind != ".blob") continue;
    std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(5000);
    bytes.put('\x17');
  }
  PinnedValue value;
  const Status bad_blob = db_->Get("large", &value);
  EXPECT_TRUE(bad_blob.IsCorruption()) << bad_blob.ToString();
  EXPECT_THAT(bad_blob.message(), HasSubstr(".blob"));
  int corrupt = 0;
  for (int i = 0; i < 1000; ++i) {
    const Status status = db_->Get("key" + std::to_string(i), &value);
    if (status.ok()) {
      ASSERT_EQ(value.value(), std::string(100, 'v'));
      continue;
    }
    ASSERT_TRUE(status.IsCorruption()) << status.ToString();
    ASSERT_THAT(status.message(), HasSubstr(".sst"));
    ++corrupt;
  }
  EXPECT_GT(corrupt, 0);
  EXPECT_LT(corrupt, 200) << "one block";
}

// ---- Snapshots and versions

TEST_F(DatabaseTest, AReadIsAtASnapshotOrAtAVersionButNotAtBoth) {
  ReadOptions both;
  both.snapshot = db_->GetSnapshot();
  both.at_version = Version(1);
  std::string value;
  EXPECT_TRUE(db_->Get("a", &value, both).IsInvalidArgument());
  const auto it = db_->NewIterator(both);
  it->SeekToFirst();
  EXPECT_FALSE(it->Valid());
  EXPECT_TRUE(it->status().IsInvalidArgument());
  const std::string_view keys[] = {"a"};
  EXPECT_TRUE(db_->MultiGet(keys, both)[0].status().IsInvalidArgument());
}

TEST_F(DatabaseTest, NewestVersionKnowsDeletesAndStrangers) {
  const Version put = db_->Put("a", "1").value();
  EXPECT_EQ(db_->NewestVersion("a").value(), put);
  const Version deleted = db_->Delete("a").value();
  EXPECT_EQ(db_->NewestVersion("a").value(), deleted);
  EXPECT_EQ(db_->NewestVersion("b").value(), Version());
}

// ---- Care

TEST_F(DatabaseTest, FlushPutsEverythingIntoTables) {
  const Version version = db_->Put("a", "1").value();
  EXPECT_LT(db_->Stats().durable, version);
  ASSERT_TRUE(db_->Flush().ok());
  EXPECT_EQ(db_->Stats().durable, version);
  ASSERT_TRUE(db_->Flush().ok());
}

TEST_F(DatabaseTest, ApproximateSizeIsAboutAsLargeAsTheData) {
  Options options;
  options.compression = Compression::kNone;
  Open(options);
  const std::string value(1000, 'v');
  for (int i = 1000; i < 2000; ++i) Put(std::to_string(i), value);
  EXPECT_EQ(db_->ApproximateSize({}), 0u);
  ASSERT_TRUE(db_->Flush().ok());
  EXPECT_GT(db_->ApproximateSize({}), 900'000u);
  EXPECT_LT(db_->ApproximateSize({}), 1'300'000u);
  EXPECT_EQ(db_->ApproximateSize({"x", "y"}), 0u);
}

TEST_F(DatabaseTest, ACheckpointDoesNotGoOverWhatIsThere) {
  EXPECT_FALSE(db_->Checkpoint(path_).ok());
  EXPECT_TRUE(db_->Put("a", "1").ok());
  EXPECT_TRUE(db_->Verify().ok());
}

TEST_F(DatabaseTest, StatsTellWhatGoesOn) {
  Put("a", "12345");
  ASSERT_TRUE(db_->Put("b", "12345").ok());
  ASSERT_TRUE(db_->Flush().ok());
  const EngineStats stats = db_->Stats();
  EXPECT_EQ(stats.state, EngineState::kHealthy);
  EXPECT_EQ(stats.commits, 2u);
  EXPECT_EQ(stats.user_bytes, 12u);
  EXPECT_GE(stats.log_bytes, 12u);
  EXPECT_GE(stats.log_syncs, 1u);
  EXPECT_EQ(stats.newest, stats.durable);
  EXPECT_THAT(stats.ToPrometheus(), HasSubstr("bedrock_commits_total 2\n"));
}

TEST_F(DatabaseTest, StatsTellOfReads) {
  for (int i = 0; i < 100; ++i) Put(std::to_string(i), "value");
  ASSERT_TRUE(db_->Flush().ok());
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(GetOr(*db_, std::to_string(i)), "value");
    ASSERT_EQ(GetOr(*db_, std::to_string(i) + "x"), "-");
  }
  const std::string_view keys[] = {"1", "2", "3"};
  (void)db_->MultiGet(keys);
  const EngineStats stats = db_->Stats();
  EXPECT_EQ(stats.gets, 103u);
  EXPECT_GT(stats.filter_skips, 40u);
  EXPECT_GT(stats.block_cache_hits, 40u);
  EXPECT_GT(stats.block_cache_misses, 0u);
  EXPECT_GT(stats.block_cache_bytes, 0u);
  EXPECT_GT(stats.table_memory_bytes, 0u);
}

TEST_F(DatabaseTest, BlocksGetWhatTheBudgetHasLeftBesideTables) {
  Options options;
  options.memory_budget = 1 << 20;
  options.filter_bits_per_key = 30;
  Open(options);
  for (int i = 0; i < 60'000; ++i) Put(std::to_string(i), "twenty bytes of value");
  ASSERT_TRUE(db_->CompactRange().ok());
  ASSERT_EQ(ReadAll(*db_).size(), 60'000u);
  const EngineStats stats = db_->Stats();
  const std::size_t for_reads = options.memory_budget / 4 * 3;
  ASSERT_GT(stats.table_memory_bytes, for_reads / 8);
  ASSERT_LT(stats.table_memory_bytes, for_reads);
  EXPECT_LE(stats.table_memory_bytes + stats.block_cache_bytes, for_reads);
  EXPECT_GT(stats.block_cache_bytes, 0u);
}

TEST_F(DatabaseTest, VerifyFindsADamagedLog) {
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(db_->Put(std::to_string(i), "value").ok());
  ASSERT_TRUE(db_->Verify().ok());
  bool damaged = false;
  for (const auto& file : std::filesystem::directory_iterator(path_)) {
    if (file.path().extension() != ".log") continue;
    std::FILE* const raw = std::fopen(file.path().c_str(), "r+");
    ASSERT_NE(raw, nullptr);
    std::fseek(raw, 4096 + 60, SEEK_SET);
    const int was = std::fgetc(raw);
    std::fseek(raw, 4096 + 60, SEEK_SET);
    std::fputc(was ^ 1, raw);
    std::fclose(raw);
    damaged = true;
  }
  ASSERT_TRUE(damaged);
  EXPECT_TRUE(db_->Verify().IsCorruption()) << db_->Verify().ToString();
}

TEST_F(DatabaseTest, TheLogFileTellsWhatHappened) {
  Put("a", "1");
  ASSERT_TRUE(db_->Flush().ok());
  Put("b", "1");
  Open();
  ASSERT_TRUE(db_->Close().ok());
  std::FILE* const raw = std::fopen((path_ + "/LOG").c_str(), "r");
  ASSERT_NE(raw, nullptr);
  std::string text(4096, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), raw));
  std::fclose(raw);
  EXPECT_THAT(text, HasSubstr("opened at version 0"));
  EXPECT_THAT(text, HasSubstr("flushed: tables hold everything up to version 1"));
  EXPECT_THAT(text, HasSubstr("opened at version 2: 1 stood in tables, 1 commits came from"));
  EXPECT_THAT(text, HasSubstr("closed"));
}

// ---- States that stay, and the end

TEST_F(DatabaseTest, AnIteratorShowsTheStateItWasMadeAt) {
  Put("a", "1");
  Put("b", "1");
  const auto it = db_->NewIterator();
  Put("a", "2");
  ASSERT_TRUE(db_->Delete("b").ok());
  Put("c", "2");
  ASSERT_TRUE(db_->Flush().ok());
  ASSERT_TRUE(db_->CompactRange().ok());
  it->SeekToFirst();
  ASSERT_TRUE(it->Valid());
  EXPECT_EQ(it->value(), "1");
  it->Next();
  ASSERT_TRUE(it->Valid());
  EXPECT_EQ(it->key(), "b");
  it->Next();
  EXPECT_FALSE(it->Valid());
}

TEST_F(DatabaseTest, ASnapshotHoldsItsStateThroughFlushesAndCompactions) {
  for (int i = 0; i < 100; ++i) Put(std::to_string(i), "old");
  const Content before = ReadAll(*db_);
  const Snapshot snapshot = db_->GetSnapshot();
  EXPECT_EQ(snapshot.version(), db_->Stats().newest);
  for (int i = 0; i < 100; i += 2) Put(std::to_string(i), "new");
  ASSERT_TRUE(db_->DeleteRange("5", "8").ok());
  const Content after = ReadAll(*db_);
  ASSERT_TRUE(db_->Flush().ok());
  ASSERT_TRUE(db_->CompactRange().ok());
  ReadOptions at;
  at.snapshot = &snapshot;
  EXPECT_EQ(ReadAll(*db_, at), before);
  EXPECT_EQ(GetOr(*db_, "50", "-", at), "old");
  const std::string_view keys[] = {"50"};
  EXPECT_EQ(db_->MultiGet(keys, at)[0]->value(), "old");
  EXPECT_EQ(ReadAll(*db_), after);
}

TEST_F(DatabaseTest, ACopyOfASnapshotHoldsAsWell) {
  Put("a", "1");
  ReadOptions at;
  {
    const Snapshot snapshot = db_->GetSnapshot();
    at.snapshot = snapshot;
  }
  Put("a", "2");
  ASSERT_TRUE(db_->Flush().ok());
  ASSERT_TRUE(db_->CompactRange().ok());
  EXPECT_EQ(GetOr(*db_, "a", "-", at), "1");
}

TEST_F(DatabaseTest, HistoryKeepsOldVersionsReadable) {
  Options options;
  options.history = std::chrono::hours(1);
  Open(options);
  const Version first = db_->Put("a", "1").value();
  const Version second = db_->Put("a", "2").value();
  const Version third = db_->Delete("a").value();
  ASSERT_TRUE(db_->Flush().ok());
  ASSERT_TRUE(db_->CompactRange().ok());
  ReadOptions at;
  at.at_version = first;
  EXPECT_EQ(GetOr(*db_, "a", "-", at), "1");
  at.at_version = second;
  EXPECT_EQ(GetOr(*db_, "a", "-", at), "2");
  at.at_version = third;
  EXPECT_EQ(GetOr(*db_, "a", "-", at), "-");
  at.at_version = third + 100;
  EXPECT_EQ(GetOr(*db_, "a", "-", at), "-");
  Open(options);
  at.at_version = first;
  EXPECT_EQ(GetOr(*db_, "a", "-", at), "1");
}

TEST_F(DatabaseTest, WithoutHistoryAVersionThatVanishedIsRefused) {
  const Version first = db_->Put("a", "1").value();
  Put("a", "2");
  ASSERT_TRUE(db_->Flush().ok());
  ASSERT_TRUE(db_->CompactRange().ok());
  ReadOptions at;
  at.at_version = first;
  std::string value;
  EXPECT_TRUE(db_->Get("a", &value, at).IsInvalidArgument());
}

TEST_F(DatabaseTest, CompactRangeGivesSpaceBack) {
  const std::string value(1000, 'v');
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 1000; ++i) Put("k" + std::to_string(i), value);
    ASSERT_TRUE(db_->Flush().ok());
  }
  const std::uint64_t before = db_->ApproximateSize({"k", "l"});
  ASSERT_TRUE(db_->DeleteRange("k", "l").ok());
  Put("m", "1");
  ASSERT_TRUE(db_->CompactRange({"k", "l"}).ok());
  EXPECT_LT(db_->ApproximateSize({"k", "l"}), before / 10);
  EXPECT_THAT(ReadAll(*db_), ElementsAre(Pair("m", "1")));
}

TEST_F(DatabaseTest, ACheckpointIsADatabaseOfItsOwn) {
  Put("in_table", "1");
  ASSERT_TRUE(db_->Flush().ok());
  Put("in_memory", "2");
  const Content then = ReadAll(*db_);
  const std::string copy_path = folder_.Path("copy");
  ASSERT_TRUE(db_->Checkpoint(copy_path).ok());
  Put("later", "3");
  {
    auto copy = DB::Open(copy_path);
    ASSERT_TRUE(copy.ok()) << copy.status().ToString();
    EXPECT_EQ(ReadAll(**copy), then);
    ASSERT_TRUE((*copy)->Put("own", "4").ok());
    ASSERT_TRUE((*copy)->Delete("in_table").ok());
    ASSERT_TRUE((*copy)->Flush().ok());
    ASSERT_TRUE((*copy)->CompactRange().ok());
    EXPECT_TRUE((*copy)->Verify().ok());
  }
  EXPECT_THAT(ReadAll(*db_),
              ElementsAre(Pair("in_memory", "2"), Pair("in_table", "1"), Pair("later", "3")));
  EXPECT_TRUE(db_->Verify().ok());
}

TEST_F(DatabaseTest, AfterCloseEverythingAnswersAborted) {
  Put("a", "1");
  const auto it = db_->NewIterator();
  it->SeekToFirst();
  const Snapshot snapshot = db_->GetSnapshot();
  PinnedValue pinned;
  ASSERT_TRUE(db_->Get("a", &pinned).ok());
  ASSERT_TRUE(db_->Close().ok());
  EXPECT_TRUE(db_->Close().ok());

  std::string value;
  EXPECT_TRUE(db_->Put("a", "2").status().IsAborted());
  EXPECT_TRUE(db_->Delete("a").status().IsAborted());
  EXPECT_TRUE(db_->DeleteRange("a", "b").status().IsAborted());
  EXPECT_TRUE(db_->DeleteRange("b", "a").status().IsAborted());
  EXPECT_TRUE(db_->Write(WriteBatch()).status().IsAborted());
  EXPECT_TRUE(db_->Get("a", &value).IsAborted());
  const std::string_view keys[] = {"a"};
  EXPECT_TRUE(db_->MultiGet(keys)[0].status().IsAborted());
  EXPECT_TRUE(db_->NewestVersion("a").status().IsAborted());
  EXPECT_TRUE(db_->Flush().IsAborted());
  EXPECT_TRUE(db_->CompactRange().IsAborted());
  EXPECT_TRUE(db_->Checkpoint(folder_.Path("copy")).IsAborted());
  EXPECT_TRUE(db_->Verify().IsAborted());
  EXPECT_EQ(db_->ApproximateSize({}), 0u);
  EXPECT_EQ(db_->Stats().state, EngineState::kFailed);
  const auto late = db_->NewIterator();
  late->SeekToFirst();
  EXPECT_FALSE(late->Valid());
  EXPECT_TRUE(late->status().IsAborted());
  EXPECT_TRUE(db_->BeginTransaction()->Put("a", "1").IsAborted());
  (void)db_->GetSnapshot();

  it->Next();
  EXPECT_FALSE(it->Valid());
  EXPECT_TRUE(it->status().IsAborted());
  EXPECT_EQ(pinned.value(), "1");
  db_.reset();
  it->SeekToFirst();
  EXPECT_TRUE(it->status().IsAborted());
}

TEST_F(DatabaseTest, ADatabaseMayBeDestroyedAndOpenedWhileItsIteratorsLive) {
  Put("a", "1");
  ASSERT_TRUE(db_->Flush().ok());
  const auto it = db_->NewIterator();
  it->SeekToFirst();
  const Snapshot snapshot = db_->GetSnapshot();
  Open();
  EXPECT_EQ(GetOr(*db_, "a"), "1");
  it->Seek("a");
  EXPECT_TRUE(it->status().IsAborted());
}

TEST_F(DatabaseTest, AgreesWithAMap) {
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    Random random(seed);
    path_ = folder_.Path("model" + std::to_string(seed));
    Options options;
    options.memtable_bytes = 64 << 10;
    options.compression = random.Chance(1, 2) ? Compression::kZstd : Compression::kLz4;
    Open(options);
    Content model;
    const auto key = [&] { return std::to_string(random.Below(500)); };
    for (int step = 0; step < 4000; ++step) {
      const WriteOptions write{.sync = random.Chance(1, 50) ? Sync::kYes : Sync::kNo};
      switch (random.Below(20)) {
        case 0: {
          std::string begin = key();
          std::string end = key();
          if (random.Chance(9, 10)) end = begin + "0";
          ASSERT_TRUE(db_->DeleteRange(begin, end, write).ok());
          if (begin < end) model.erase(model.lower_bound(begin), model.lower_bound(end));
          break;
        }
        case 1:
        case 2: {
          const std::string k = key();
          ASSERT_TRUE(db_->Delete(k, write).ok());
          model.erase(k);
          break;
        }
        case 3: {
          WriteBatch batch;
          for (int i = 0; i < 5; ++i) {
            const std::string k = key();
            batch.Put(k, "b" + std::to_string(step));
            model[k] = "b" + std::to_string(step);
          }
          ASSERT_TRUE(db_->Write(batch, write).ok());
          break;
        }
        case 4:
          if (random.Chance(1, 20)) Open(options);
          break;
        case 5:
          if (random.Chance(1, 20)) {
            ASSERT_TRUE(db_->CompactRange().ok());
          }
          break;
        default: {
          const std::string k = key();
          const std::string value(random.Below(300), static_cast<char>('a' + step % 26));
          ASSERT_TRUE(db_->Put(k, value, write).ok());
          model[k] = value;
        }
      }
      const std::string probe = key();
      const auto found = model.find(probe);
      ASSERT_EQ(GetOr(*db_, probe, "absent"), found == model.end() ? "absent" : found->second);
      if (step % 500 == 0) {
        ASSERT_EQ(ReadAll(*db_), model);
      }
    }
    ASSERT_EQ(ReadAll(*db_), model);
    ASSERT_TRUE(db_->Verify().ok());
  }
}

TEST_F(DatabaseTest, LargeValuesComeBackWhole) {
  Random random(1);
  Content expected;
  for (const std::size_t bytes : {std::size_t{8} << 10, std::size_t{1} << 20, std::size_t{33} << 20,
                                  std::size_t{128} << 20}) {
    std::string value(bytes, '\0');
    for (std::size_t i = 0; i < bytes; i += 997) value[i] = static_cast<char>(random.Next());
    ASSERT_TRUE(db_->Put(std::to_string(bytes), value, kNoSync).ok()) << bytes;
    expected.emplace(std::to_string(bytes), std::move(value));
  }
  EXPECT_TRUE(ReadAll(*db_) == expected);
  Open();
  EXPECT_TRUE(ReadAll(*db_) == expected);
  ASSERT_TRUE(db_->Flush().ok());
  Open();
  EXPECT_TRUE(ReadAll(*db_) == expected);
}

}  // namespace
}  // namespace bedrock::embedded
