// Every byte of every file of a small database turned over, one at a time: each call gives an error
// or the right answer.

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/db.h"
#include "common/env/environment.h"
#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "tests/torture/model.h"

namespace bedrock::torture {
namespace {

constexpr const char* kDirectory = "/data";

std::string KeyOf(std::uint64_t n) { return "key" + std::to_string(100 + n); }

/// A database that has some of everything: tables on more than one level, tombstones, a range
/// tombstone, a blob file, commits that are only in the log.
class CorruptionTest : public testing::Test {
 protected:
  struct Machine {
    std::unique_ptr<MemoryFileSystem> file_system;
    ManualClock clock{1'000'000, 1'700'000'000'000};
    ManualExecutor executor;
    Environment environment;

    explicit Machine(std::unique_ptr<MemoryFileSystem> disk) : file_system(std::move(disk)) {
      environment = {.file_system = file_system.get(), .clock = &clock, .executor = &executor};
    }
    Result<std::unique_ptr<DB>> Open() {
      Options options;
      options.env = &environment;
      options.memory_budget = std::size_t{1} << 20;
      options.block_bytes = 512;
      options.blob_bytes_min = 300;
      options.block_cache_bytes = 0;  // so that the disk is what is read
      return DB::Open(kDirectory, options);
    }
  };

  void SetUp() override {
    machine_ = std::make_unique<Machine>(std::make_unique<MemoryFileSystem>());
    auto db = machine_->Open();
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    for (std::uint64_t n = 0; n < 40; ++n) Put(**db, KeyOf(n), "first " + std::to_string(n));
    ASSERT_TRUE((*db)->Flush().ok());
    ASSERT_TRUE((*db)->CompactRange().ok());
    Put(**db, KeyOf(3), std::string(400, 'b'));
    Put(**db, KeyOf(7), std::string(700, 'c'));
    Write(**db, {{Change::Kind::kDelete, KeyOf(5), ""},
                 {Change::Kind::kDeleteRange, KeyOf(20), KeyOf(25)}});
    ASSERT_TRUE((*db)->Flush().ok());
    for (std::uint64_t n = 0; n < 4; ++n) Put(**db, KeyOf(n * 9), "logged " + std::to_string(n));
    db->reset();
    machine_->executor.Clear();
  }

  void Put(DB& db, const std::string& key, const std::string& value) {
    Write(db, {{Change::Kind::kPut, key, value}});
  }
  void Write(DB& db, std::vector<Change> changes) {
    const auto written = db.Write(ToBatch(changes), {Sync::kYes});
    ASSERT_TRUE(written.ok()) << written.status().ToString();
    model_.Commit(*written, std::move(changes));
  }

  /// What the database says after byte `offset` of `name` was changed.
  void CheckWithDamage(const std::string& name, std::uint64_t offset, unsigned bit) {
    SCOPED_TRACE(name + ", byte " + std::to_string(offset) + ", bit " + std::to_string(bit));
    Machine damaged(machine_->file_system->Clone());
    ASSERT_TRUE(
        damaged.file_system->FlipBit(std::string(kDirectory) + "/" + name, offset * 8 + bit).ok());
    auto db = damaged.Open();
    if (!db.ok()) {
      EXPECT_TRUE(db.status().IsCorruption()) << db.status().ToString();
      return;
    }
    const Version newest = (*db)->Stats().newest;
    ASSERT_LE(newest, model_.newest());
    // Whatever was followed by a commit is known to have been whole.
    ASSERT_GE(newest + 1, model_.newest());
    if (newest < model_.newest()) {
      EXPECT_TRUE(name.ends_with(".log"));
    }
    CheckReads(**db, newest);
  }

  void CheckReads(DB& db, Version newest) {
    for (std::uint64_t n = 0; n < 42; ++n) {
      PinnedValue got;
      const Status status = db.Get(KeyOf(n), &got);
      if (status.IsCorruption()) continue;
      const auto expected = model_.Get(KeyOf(n), newest);
      ASSERT_EQ(status.ok(), expected.has_value()) << KeyOf(n) << ": " << status.ToString();
      if (expected) {
        ASSERT_EQ(got.value(), expected->value);
      }
    }
    const auto expected = model_.Scan("", "", newest);
    for (const Direction direction : {Direction::kForward, Direction::kBackward}) {
      const Walked walked = WalkAll(*db.NewIterator(), expected, direction);
      ASSERT_EQ(walked.wrong, "");
      ASSERT_TRUE(walked.complete || walked.status.IsCorruption()) << walked.status.ToString();
    }
  }

  /// All bytes up to the last one that is not zero, and some more: logs are zero-filled ahead.
  std::uint64_t BytesToTry(const std::string& path) {
    const auto content = ReadFile(*machine_->file_system, path, std::uint64_t{1} << 30);
    if (!content.ok()) return 0;
    const std::size_t last = content->find_last_not_of('\0');
    if (last == std::string::npos) return std::min<std::size_t>(content->size(), 64);
    return std::min(content->size(), last + 65);
  }

  void Sweep(std::string_view suffix, std::uint64_t stride) {
    const auto names = machine_->file_system->List(kDirectory);
    ASSERT_TRUE(names.ok());
    std::size_t files = 0;
    for (const std::string& name : *names) {
      if (!name.ends_with(suffix) && !name.starts_with(suffix)) continue;
      ++files;
      const std::uint64_t bytes = BytesToTry(std::string(kDirectory) + "/" + name);
      for (std::uint64_t offset = 0; offset < bytes; offset += stride) {
        CheckWithDamage(name, offset, static_cast<unsigned>(random_.Below(8)));
        if (HasFatalFailure()) return;
      }
    }
    EXPECT_GT(files, 0U);
  }

  std::unique_ptr<Machine> machine_;
  Model model_;
  Random random_{1};
};

TEST_F(CorruptionTest, EveryByteOfTheTables) { Sweep(".sst", 1); }
TEST_F(CorruptionTest, EveryByteOfTheBlobFiles) { Sweep(".blob", 1); }
TEST_F(CorruptionTest, EveryByteOfTheLog) { Sweep(".log", 1); }
TEST_F(CorruptionTest, EveryByteOfTheManifest) { Sweep("MANIFEST", 1); }
TEST_F(CorruptionTest, EveryByteOfCurrent) { Sweep("CURRENT", 1); }

TEST_F(CorruptionTest, EachFileGone) {
  const auto names = machine_->file_system->List(kDirectory);
  ASSERT_TRUE(names.ok());
  for (const std::string& name : *names) {
    // A log that was taken away whole can't be told from one that was never written.
    if (name == "LOCK" || name.starts_with("LOG") || name.ends_with(".log")) continue;
    SCOPED_TRACE(name);
    Machine damaged(machine_->file_system->Clone());
    ASSERT_TRUE(damaged.file_system->Remove(std::string(kDirectory) + "/" + name).ok());
    auto db = damaged.Open();
    if (!db.ok()) {
      EXPECT_TRUE(db.status().IsCorruption()) << db.status().ToString();
      continue;
    }
    // A spare log segment, say. Nothing may be missing then.
    EXPECT_EQ((*db)->Stats().newest, model_.newest());
    CheckReads(**db, model_.newest());
  }
}

}  // namespace
}  // namespace bedrock::torture
