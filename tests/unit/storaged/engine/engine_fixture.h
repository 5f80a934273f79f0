#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "storaged/engine/engine.h"

namespace bedrock::engine {

/// One change, with its own bytes.
struct Change {
  std::string key;
  std::optional<std::string> value;     ///< Nothing: delete.
  std::optional<std::string> end = {};  ///< Delete [key, end); empty: unbounded. Without a value.
};
using Commit = std::vector<Change>;

/// What the engine must equal: every version of every key, for ever. Also the Raft log: commit i is
/// at index i, from 1.
class Model {
 public:
  LogIndex last() const { return LogIndex(commits_.size()); }
  const Commit& commit(LogIndex index) const { return commits_[index.value() - 1]; }

  void Append(Commit commit) {
    commits_.push_back(std::move(commit));
    for (const Change& change : commits_.back()) {
      if (!change.end) {
        versions_[change.key][last().value()] = change.value;
        continue;
      }
      const Range range{change.key, *change.end, last().value()};
      ranges_.push_back(range);
      // What came before it in the commit is deleted one by one.
      for (auto& [key, versions] : versions_) {
        const auto same = versions.find(last().value());
        if (range.Has(key) && same != versions.end()) same->second = std::nullopt;
      }
    }
  }

  struct Newest {
    std::uint64_t version = 0;
    std::optional<std::string> value;
  };
  Newest Get(const std::string& key, Version at) const {
    Newest newest;
    const auto found = versions_.find(key);
    if (found != versions_.end()) {
      const auto above = found->second.upper_bound(at.value());
      if (above != found->second.begin()) {
        newest = {std::prev(above)->first, std::prev(above)->second};
      }
    }
    for (const Range& range : ranges_) {
      if (range.version <= at.value() && range.version > newest.version && range.Has(key)) {
        newest = {range.version, std::nullopt};
      }
    }
    return newest;
  }
  /// Live keys at a version.
  std::map<std::string, Newest> Live(Version at) const {
    std::map<std::string, Newest> live;
    for (const auto& [key, unused] : versions_) {
      Newest newest = Get(key, at);
      if (newest.value) live.emplace(key, std::move(newest));
    }
    return live;
  }
  std::vector<std::string> Keys() const {
    std::vector<std::string> keys;
    for (const auto& [key, unused] : versions_) keys.push_back(key);
    return keys;
  }

 private:
  struct Range {
    std::string begin;
    std::string end;
    std::uint64_t version;
    bool Has(const std::string& key) const { return key >= begin && (end.empty() || key < end); }
  };

  std::vector<Commit> commits_;
  std::vector<Range> ranges_;
  std::map<std::string, std::map<std::uint64_t, std::optional<std::string>>> versions_;
};

inline AppliedMark MarkAt(LogIndex index) { return {index, Term(1 + index.value() / 100)}; }
/// What the state machine would keep beside its data when it stands at `index`.
inline std::string ClientStateAt(LogIndex index) {
  return index ? "state at " + std::to_string(index.value()) : std::string();
}

inline Status ApplyCommit(Engine& engine, const Commit& commit, AppliedMark mark) {
  WriteBatch batch;
  for (const Change& change : commit) {
    if (change.end) {
      batch.DeleteRange(change.key, *change.end);
    } else if (change.value) {
      batch.Put(change.key, *change.value);
    } else {
      batch.Delete(change.key);
    }
  }
  return engine.Apply(batch, mark);
}

/// The engine's answers at `at` are the model's: by Get for every key the model ever saw, and by a
/// walk. Tombstones at or below `watermark` may be forgotten.
inline void ExpectEqualAt(const Engine& engine, const Model& model, Version at, Version watermark) {
  const Version seen = std::min(at, Version(engine.applied().index.value()));
  for (const std::string& key : model.Keys()) {
    const Model::Newest want = model.Get(key, seen);
    const auto got = engine.Get(key, at);
    ASSERT_TRUE(got.ok()) << got.status().ToString();
    ASSERT_EQ(got->found, want.value.has_value()) << key << " at " << at.value();
    if (want.value) {
      ASSERT_EQ(got->value, *want.value) << key << " at " << at.value();
      ASSERT_EQ(got->version.value(), want.version) << key << " at " << at.value();
    } else if (got->version || Version(want.version) > watermark) {
      ASSERT_EQ(got->version.value(), want.version) << key << " at " << at.value();
    }
  }
  const auto live = model.Live(seen);
  const auto walk = engine.NewIterator({.at = at}, {});
  walk->SeekToFirst();
  for (const auto& [key, want] : live) {
    ASSERT_TRUE(walk->Valid()) << walk->status().ToString() << ", before " << key;
    ASSERT_EQ(walk->key(), key);
    ASSERT_EQ(walk->value(), *want.value);
    ASSERT_EQ(walk->version().value(), want.version);
    walk->Next();
  }
  ASSERT_FALSE(walk->Valid()) << "surplus " << walk->key();
  ASSERT_TRUE(walk->status().ok()) << walk->status().ToString();
}

/// Tables on all levels below the flushed ones.
inline std::size_t CompactedFiles(const EngineStats& stats) {
  std::size_t files = 0;
  for (std::size_t level = 1; level < stats.levels.size(); ++level) {
    files += stats.levels[level].files;
  }
  return files;
}

/// Small everything, so that few operations reach every path.
inline EngineOptions SmallOptions(std::string directory = "/db") {
  EngineOptions options;
  options.directory = std::move(directory);
  options.memtable_bytes = 2048;
  options.memtables_max = 3;
  options.block_bytes = 256;
  options.table_bytes = 2048;
  options.level0_files_trigger = 3;
  options.level0_files_stop = 8;
  options.block_cache_bytes = 64 * kKiB;
  options.blob_bytes_min = 45;
  return options;
}

/// A seeded key from a small set, some of them prefixes of others, some with odd bytes.
inline std::string RandomKey(Random& random, std::uint64_t keys = 60) {
  const std::uint64_t n = random.Below(keys);
  std::string key = n % 3 == 0 ? "k" : n % 3 == 1 ? "key/" : std::string("\xff\0p", 3);
  key.append(n % 7, 'x');
  return n == 0 ? std::string() : key + std::to_string(n);
}

inline Commit RandomCommit(Random& random) {
  Commit commit(random.Below(4));
  for (Change& change : commit) {
    change.key = RandomKey(random);
    if (random.Chance(1, 40)) {
      change.end = RandomKey(random);
      if (!change.end->empty() && *change.end < change.key) std::swap(*change.end, change.key);
      if (change.end->empty() && !random.Chance(1, 4)) change.end = change.key + "~";
      continue;
    }
    if (random.Chance(1, 4)) continue;
    const std::size_t size = random.Chance(1, 30) ? 3000 : random.Below(60);
    change.value = std::string(size, static_cast<char>('a' + random.Below(26)));
    *change.value += std::to_string(random.Below(1000));
    if (random.Chance(1, 10)) change.value = "";
  }
  return commit;
}

/// A disk, a clock and an executor that one thread drives.
struct ManualWorld {
  explicit ManualWorld(std::uint64_t seed) : executor(Random(seed)) {}

  Environment environment() { return {&disk, &clock, &executor}; }
  /// REQUIRES: it opens.
  std::unique_ptr<Engine> Open(const EngineOptions& options) {
    auto engine = Engine::Open(environment(), options);
    EXPECT_TRUE(engine.ok()) << engine.status().ToString();
    return engine.ok() ? std::move(engine).value() : nullptr;
  }

  MemoryFileSystem disk;
  ManualClock clock;
  ManualExecutor executor;
};

}  // namespace bedrock::engine
