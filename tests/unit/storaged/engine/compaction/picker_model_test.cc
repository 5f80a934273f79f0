// Trees that are carried out without files: what the picker decides must keep the tree's order,
// come to an end and write no more than it has to.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/env/random.h"
#include "storaged/engine/compaction/picker.h"

namespace bedrock::engine {
namespace {

constexpr std::uint32_t kLastLevel = kLevelsMax - 1;

std::string Key(std::uint64_t number) {
  char text[24];
  std::snprintf(text, sizeof(text), "%08llu", static_cast<unsigned long long>(number));
  return text;
}

struct Entry {
  std::uint64_t key = 0;
  std::uint64_t version = 0;

  friend bool operator<(const Entry& a, const Entry& b) {
    return a.key != b.key ? a.key < b.key : a.version > b.version;
  }
};

/// Tables by number and the tree that they hang in.
class ModelTree {
 public:
  explicit ModelTree(CompactionOptions options) : options_(options) {}

  static constexpr std::uint64_t kEntryBytes = 100;

  Levels levels = Levels(kLevelsMax);
  std::array<std::string, kLevelsMax> cursors;
  std::set<FileNumber> quarantined;
  std::vector<CompactionPlan> running;
  std::optional<ManualCompaction> manual;
  std::uint64_t watermark = 0;
  std::uint64_t level0_read_bytes = 0;
  std::uint64_t written = 0;  ///< By flushes and compactions.
  std::uint64_t moves = 0;

  PickerInput Input() const {
    return {.levels = &levels,
            .options = options_,
            .watermark = Version(watermark),
            .running = running,
            .quarantined = &quarantined,
            .manual = manual ? &*manual : nullptr,
            .level0_read_bytes = level0_read_bytes,
            .cursors = &cursors};
  }

  /// A memtable with these keys, one version each.
  void Flush(const std::vector<std::uint64_t>& keys) {
    std::vector<Entry> entries;
    for (const std::uint64_t key : keys) entries.push_back({key, ++version_});
    std::sort(entries.begin(), entries.end());
    Filter(entries);
    AddTable(0, entries);
  }

  void CarryOut(const CompactionPlan& plan) {
    Advance(levels, plan, cursors);
    if (plan.inputs.front().level == 0) level0_read_bytes = 0;
    if (plan.move) {
      for (const auto& input : plan.inputs) {
        TableMetadata table = Remove(input);
        levels[plan.output_level].push_back(table);
        ++moves;
      }
      Sort();
      return;
    }
    std::vector<Entry> merged;
    for (const auto& input : plan.inputs) {
      const TableMetadata table = Remove(input);
      const auto& entries = contents_.at(table.number);
      merged.insert(merged.end(), entries.begin(), entries.end());
      contents_.erase(table.number);
    }
    std::sort(merged.begin(), merged.end());
    Filter(merged);
    CutIntoTables(plan, merged);
    Sort();
  }

  /// Nothing that readers count on is broken.
  void CheckOrder() const {
    std::map<std::uint64_t, std::uint64_t> oldest_above;
    for (std::uint32_t level = 0; level < kLevelsMax; ++level) {
      const auto& tables = levels[level];
      for (std::size_t i = 1; i < tables.size(); ++i) {
        if (level == 0) {
          ASSERT_LT(tables[i - 1].version_max, tables[i].version_min);
        } else {
          ASSERT_LT(tables[i - 1].largest, tables[i].smallest) << "level " << level;
        }
      }
      std::map<std::uint64_t, std::uint64_t> oldest = oldest_above;
      for (const TableMetadata& table : tables) {
        for (const Entry& entry : contents_.at(table.number)) {
          const auto above = oldest_above.find(entry.key);
          ASSERT_TRUE(above == oldest_above.end() || entry.version < above->second)
              << "level " << level << " key " << entry.key;
          auto& known = oldest.try_emplace(entry.key, entry.version).first->second;
          known = std::min(known, entry.version);
        }
      }
      oldest_above = std::move(oldest);
    }
  }

  /// The newest version of each key.
  std::map<std::uint64_t, std::uint64_t> Newest() const {
    std::map<std::uint64_t, std::uint64_t> newest;
    for (const auto& [number, entries] : contents_) {
      for (const Entry& entry : entries) {
        auto& known = newest[entry.key];
        known = std::max(known, entry.version);
      }
    }
    return newest;
  }
  std::size_t EntryCount() const {
    std::size_t count = 0;
    for (const auto& [number, entries] : contents_) count += entries.size();
    return count;
  }
  std::uint64_t version() const { return version_; }
  FileNumber next_file() const { return next_; }

 private:
  /// Of each key what is above the watermark and the newest below.
  void Filter(std::vector<Entry>& entries) const {
    std::optional<std::uint64_t> last;
    std::erase_if(entries, [&](const Entry& entry) {
      if (last == entry.key) return true;
      if (entry.version <= watermark) last = entry.key;
      return false;
    });
  }

  void CutIntoTables(const CompactionPlan& plan, const std::vector<Entry>& merged) {
    std::vector<Entry> entries;
    std::uint64_t bytes = 0;
    for (const Entry& entry : merged) {
      if (bytes >= plan.table_bytes && entries.back().key != entry.key) {
        AddTable(plan.output_level, entries);
        entries.clear();
        bytes = 0;
      }
      entries.push_back(entry);
      bytes += kEntryBytes;
    }
    if (!entries.empty()) AddTable(plan.output_level, entries);
  }

  void AddTable(std::uint32_t level, const std::vector<Entry>& entries) {
    TableMetadata table;
    table.number = next_;
    next_ = next_.Next();
    table.size = table.raw_bytes = entries.size() * kEntryBytes;
    table.entries = entries.size();
    table.smallest = Key(entries.front().key);
    table.largest = Key(entries.back().key);
    table.version_min = Version(UINT64_MAX);
    std::map<std::uint64_t, std::uint64_t> garbage;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      table.version_min = std::min(table.version_min, Version(entries[i].version));
      table.version_max = std::max(table.version_max, Version(entries[i].version));
      if (i > 0 && entries[i - 1].key == entries[i].key) {
        garbage[entries[i - 1].version] += kEntryBytes;
      }
    }
    if (!garbage.empty()) {
      std::uint64_t sum = 0;
      for (const auto& [when, bytes] : garbage) sum += bytes;
      table.garbage.push_back({Version(garbage.rbegin()->first), sum});
    }
    written += table.size;
    contents_[table.number] = entries;
    levels[level].push_back(table);
  }

  TableMetadata Remove(const CompactionPlan::Input& input) {
    auto& tables = levels[input.level];
    const auto it = std::find_if(tables.begin(), tables.end(), [&](const TableMetadata& table) {
      return table.number == input.number;
    });
    TableMetadata table = *it;
    tables.erase(it);
    return table;
  }

  void Sort() {
    std::sort(levels[0].begin(), levels[0].end(),
              [](const auto& a, const auto& b) { return a.version_max < b.version_max; });
    for (std::uint32_t level = 1; level < kLevelsMax; ++level) {
      std::sort(levels[level].begin(), levels[level].end(),
                [](const auto& a, const auto& b) { return a.smallest < b.smallest; });
    }
  }

  CompactionOptions options_;
  std::uint64_t version_ = 0;
  FileNumber next_{1};
  std::map<FileNumber, std::vector<Entry>> contents_;
};

CompactionOptions SmallOptions() {
  return {.memtable_bytes = 1000,
          .table_bytes = 1000,
          .level0_files_trigger = 2,
          .level0_files_stop = 12,
          .level1_bytes = 2000,
          .level_multiplier = 4,
          .compression = bedrock::Compression::kNone};
}

std::vector<std::uint64_t> RandomKeys(Random& random, std::size_t count, std::uint64_t keys) {
  std::set<std::uint64_t> chosen;
  while (chosen.size() < count) chosen.insert(random.Below(keys));
  return {chosen.begin(), chosen.end()};
}

void CarryOutAll(ModelTree& tree) {
  for (int plans = 0;; ++plans) {
    ASSERT_LT(plans, 2000) << "it does not end";
    const auto plan = Pick(tree.Input());
    if (!plan) return;
    tree.CarryOut(*plan);
    ASSERT_NO_FATAL_FAILURE(tree.CheckOrder());
  }
}

class PickerModelTest : public testing::TestWithParam<std::uint64_t> {};

TEST_P(PickerModelTest, PlansThatRunSideBySideKeepTheOrder) {
  Random random(GetParam());
  ModelTree tree(SmallOptions());
  for (int step = 0; step < 700; ++step) {
    const std::uint64_t what = random.Below(10);
    if (what < 3) {
      // Now here, now everywhere; a flush never waits.
      const std::uint64_t low = random.Below(400);
      std::vector<std::uint64_t> keys = RandomKeys(random, 10, random.Chance(1, 2) ? 60 : 600);
      if (random.Chance(1, 2)) {
        for (auto& key : keys) key = key % 60 + low;
      }
      std::sort(keys.begin(), keys.end());
      keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
      tree.Flush(keys);
    } else if (what < 7) {
      if (auto plan = Pick(tree.Input())) {
        for (const auto& input : plan->inputs) {
          ASSERT_FALSE(tree.quarantined.contains(input.number));
          for (const CompactionPlan& other : tree.running) {
            ASSERT_EQ(std::count(other.inputs.begin(), other.inputs.end(), input), 0);
          }
        }
        for (const CompactionPlan& other : tree.running) {
          ASSERT_FALSE(other.output_level == plan->output_level && plan->output_level > 0 &&
                       other.range().Overlaps(plan->range()));
        }
        if (plan->move || random.Chance(1, 2)) {
          tree.CarryOut(*plan);
        } else {
          tree.running.push_back(*plan);
        }
      }
    } else if (what < 9) {
      if (!tree.running.empty()) {
        const auto plan =
            tree.running.begin() + static_cast<std::ptrdiff_t>(random.Below(tree.running.size()));
        const CompactionPlan finished = *plan;
        tree.running.erase(plan);
        tree.CarryOut(finished);
      }
    } else if (random.Chance(1, 30)) {
      const std::uint32_t level = static_cast<std::uint32_t>(random.Below(kLevelsMax));
      if (!tree.levels[level].empty()) {
        const TableMetadata& table = tree.levels[level][random.Below(tree.levels[level].size())];
        // A running job would meet the damage and give up.
        bool busy = false;
        for (const auto& plan : tree.running) {
          for (const auto& input : plan.inputs) busy = busy || input.number == table.number;
        }
        if (!busy) tree.quarantined.insert(table.number);
      }
    } else {
      tree.watermark = random.Between(tree.watermark, tree.version());
      tree.level0_read_bytes += random.Below(10'000);
    }
    ASSERT_NO_FATAL_FAILURE(tree.CheckOrder());
  }
}

TEST_P(PickerModelTest, ComesToRestInShape) {
  Random random(GetParam() + 100);
  ModelTree tree(SmallOptions());
  for (int flush = 0; flush < 300; ++flush) {
    tree.Flush(RandomKeys(random, 10, 1500));
    tree.watermark = random.Between(tree.watermark, tree.version());
    ASSERT_NO_FATAL_FAILURE(CarryOutAll(tree));
    const LevelShape shape = ShapeOf(tree.levels, SmallOptions());
    ASSERT_LT(tree.levels[0].size(), SmallOptions().level0_files_trigger);
    for (std::uint32_t level = 1; level < kLastLevel; ++level) {
      ASSERT_LE(BytesOf(tree.levels[level]), shape.target_bytes[level]);
    }
    ASSERT_EQ(CompactionDebt(tree.levels, SmallOptions()), 0u);
  }
  EXPECT_LT(ShapeOf(tree.levels, SmallOptions()).base, kLastLevel) << "the test is too small";
}

TEST_P(PickerModelTest, MergesForReadsCostAtMostWhatWasRead) {
  Random random(GetParam() + 400);
  ModelTree tree(SmallOptions());
  std::uint64_t read = 0;
  std::uint64_t merged = 0;
  int merges = 0;
  for (int flush = 0; flush < 300; ++flush) {
    tree.Flush(RandomKeys(random, 10, 600));
    tree.watermark = tree.version();
    for (int reads = 0; reads < 10; ++reads) {
      const std::uint64_t bytes = tree.levels[0].empty() ? 0 : random.Below(30'000);
      read += bytes;
      tree.level0_read_bytes += bytes;
      while (const auto plan = Pick(tree.Input())) {
        if (plan->reason == CompactionPlan::Reason::kReads && !plan->move) {
          merged += 2 * plan->input_bytes;
          ++merges;
          ASSERT_LE(merged, read);
        }
        tree.CarryOut(*plan);
        ASSERT_NO_FATAL_FAILURE(tree.CheckOrder());
      }
    }
  }
  EXPECT_GT(merges, 100);
}

TEST_P(PickerModelTest, ForgetsNoOldVersionsOnceTheWatermarkMoves) {
  Random random(GetParam() + 200);
  ModelTree tree(SmallOptions());
  for (int flush = 0; flush < 100; ++flush) {
    tree.Flush(RandomKeys(random, 10, 100));
    ASSERT_NO_FATAL_FAILURE(CarryOutAll(tree));
  }
  ASSERT_EQ(tree.EntryCount(), 1000u) << "the watermark lets nothing go";
  const auto newest = tree.Newest();
  tree.watermark = tree.version();
  ASSERT_NO_FATAL_FAILURE(CarryOutAll(tree));
  EXPECT_EQ(tree.Newest(), newest);
  // What is left twice is in level 0 and in levels above the last, and a part of a table.
  EXPECT_LT(tree.EntryCount(), newest.size() * 2);
}

TEST_P(PickerModelTest, ManualCompactionEndsWithOneVersionOfEachKeyInTheLastLevel) {
  Random random(GetParam() + 300);
  ModelTree tree(SmallOptions());
  for (int flush = 0; flush < 120; ++flush) {
    tree.Flush(RandomKeys(random, 10, 500));
    ASSERT_NO_FATAL_FAILURE(CarryOutAll(tree));
  }
  tree.watermark = tree.version();
  const auto newest = tree.Newest();
  tree.manual = {"", "", Version(tree.version()), tree.next_file()};
  // Writes go on, more slowly than the work is done.
  for (int steps = 0; HasWork(tree.Input(), *tree.manual); ++steps) {
    ASSERT_LT(steps, 1000);
    const auto plan = Pick(tree.Input());
    ASSERT_TRUE(plan.has_value());
    tree.CarryOut(*plan);
    ASSERT_NO_FATAL_FAILURE(tree.CheckOrder());
    if (steps % 3 == 0) tree.Flush({10'000 + static_cast<std::uint64_t>(steps)});
  }
  for (std::uint32_t level = 0; level < kLastLevel; ++level) {
    for (const TableMetadata& table : tree.levels[level]) {
      ASSERT_GT(table.version_min, tree.manual->newest);
    }
  }
  std::uint64_t entries = 0;
  for (const TableMetadata& table : tree.levels[kLastLevel]) entries += table.entries;
  EXPECT_GE(entries, newest.size());
  EXPECT_EQ(tree.EntryCount(), tree.Newest().size()) << "a version too many";
}

INSTANTIATE_TEST_SUITE_P(Seeds, PickerModelTest, testing::Values(1, 2, 3, 4, 5, 6));

/// Random writes at a hundredth of real size, memtables and tables of 16 MiB: bytes
/// written by flushes and compactions for each byte that was flushed.
double WriteAmplification(std::uint64_t writes, std::uint64_t keys, std::uint64_t level1_mib) {
  constexpr std::uint64_t kScaledMiB = (std::uint64_t{1} << 20) / 100;
  CompactionOptions options{.memtable_bytes = 16 * kScaledMiB,
                            .table_bytes = 16 * kScaledMiB,
                            .level1_bytes = level1_mib * kScaledMiB,
                            .compression = bedrock::Compression::kNone};
  Random random(7);
  ModelTree tree(options);
  std::uint64_t user_bytes = 0;
  std::set<std::uint64_t> memtable;
  for (std::uint64_t n = 0; n < writes / 100; ++n) {
    memtable.insert(random.Below(keys / 100));
    user_bytes += ModelTree::kEntryBytes;
    tree.watermark = tree.version();
    // A memtable takes somewhat more than its entries' bytes.
    if (memtable.size() * ModelTree::kEntryBytes * 5 / 4 < options.memtable_bytes) continue;
    tree.Flush({memtable.begin(), memtable.end()});
    memtable.clear();
    tree.watermark = tree.version();
    while (auto plan = Pick(tree.Input())) tree.CarryOut(*plan);
  }
  return static_cast<double>(tree.written) / static_cast<double>(user_bytes);
}

TEST(PickerCostTest, WritesFewBytesForRandomWrites) {
  // Beside these the log writes each byte once.
  const double million = WriteAmplification(1'000'000, 1'000'000, 256);
  const double ten_million = WriteAmplification(10'000'000, 10'000'000, 256);
  std::printf("write amplification: %.2f for a million keys, %.2f for ten millions\n", million,
              ten_million);
  EXPECT_LT(million, 1.6);
  EXPECT_LT(ten_million, 5.5);
}

TEST(PickerCostTest, SortedWritesAreWrittenOnce) {
  ModelTree tree(SmallOptions());
  std::uint64_t next = 0;
  for (int flush = 0; flush < 200; ++flush) {
    std::vector<std::uint64_t> keys;
    for (int i = 0; i < 10; ++i) keys.push_back(next++);
    tree.Flush(keys);
    tree.watermark = tree.version();
    ASSERT_NO_FATAL_FAILURE(CarryOutAll(tree));
  }
  EXPECT_EQ(tree.written, next * ModelTree::kEntryBytes);
  EXPECT_GT(tree.moves, 190u);
}

}  // namespace
}  // namespace bedrock::engine
