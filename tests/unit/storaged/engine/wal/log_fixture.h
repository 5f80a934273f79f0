#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/units.h"
#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "storaged/engine/wal/log.h"
#include "storaged/engine/wal/wal_format.h"

namespace bedrock::engine::wal {

inline constexpr std::uint64_t kDatabase = 0xDA7ABA5E;

using Commits = std::map<std::uint64_t, std::string>;

/// A commit's content, told by its version and the life that wrote it.
inline std::string PayloadOf(std::uint64_t version, std::size_t padding = 20,
                             std::uint64_t life = 0) {
  return "commit " + std::to_string(version) + " of life " + std::to_string(life) +
         std::string(padding, static_cast<char>('a' + version % 26));
}

/// A log on a disk in memory, with segments of five pages.
class LogTest : public testing::Test {
 protected:
  LogTest() { EXPECT_TRUE(fs().CreateDirectories("db").ok()); }

  MemoryFileSystem& fs() { return *fs_; }
  void UseDisk(std::unique_ptr<MemoryFileSystem> disk) { fs_ = std::move(disk); }
  Environment environment() { return {fs_.get(), &clock_, &executor_}; }
  static LogOptions SmallOptions() {
    LogOptions options;
    options.directory = "db";
    options.database_id = kDatabase;
    options.segment_bytes = 5 * kSegmentHeaderBytes;
    options.first_fill_bytes = 2 * kSegmentHeaderBytes;
    return options;
  }

  /// Opens, filling found_.
  Status Open(Version after = Version(), LogOptions options = SmallOptions()) {
    log_.reset();
    found_.clear();
    Version last = after;
    auto log =
        Log::Open(environment(), options, after, [&](Version version, std::string_view payload) {
          EXPECT_EQ(version, last.Next());
          last = version;
          found_[version.value()] = payload;
          return Status::Ok();
        });
    if (!log.ok()) return std::move(log).status();
    log_ = std::move(log).value();
    EXPECT_EQ(log_->last_version(), last);
    EXPECT_EQ(log_->durable_version(), last);
    return Status::Ok();
  }
  /// The process ends; `mode` says what the machine does.
  void Crash(MemoryFileSystem::CrashMode mode, std::uint64_t seed = 1) {
    log_.reset();
    executor_.Clear();
    Random random(seed);
    fs().Crash(random, mode);
  }
  Status Append(std::uint64_t version, Durability durability, std::size_t padding = 20) {
    return log_->Append(Version(version), PayloadOf(version, padding), durability);
  }
  Status AppendAll(std::uint64_t first, std::uint64_t last, Durability durability,
                   std::size_t padding = 20) {
    for (std::uint64_t v = first; v <= last; ++v) {
      Status appended = Append(v, durability, padding);
      if (!appended.ok()) return appended;
    }
    return Status::Ok();
  }
  Status Sync() { return log_->Sync(log_->position()); }
  static Commits Expected(std::uint64_t first, std::uint64_t last, std::size_t padding = 20) {
    Commits commits;
    for (std::uint64_t v = first; v <= last; ++v) commits[v] = PayloadOf(v, padding);
    return commits;
  }
  std::vector<std::string> Names(std::string_view suffix = kLogSuffix) {
    std::vector<std::string> names;
    const auto all = fs().List("db").value();
    for (const std::string& name : all) {
      if (name.ends_with(suffix)) names.push_back(name);
    }
    return names;
  }
  std::string Content(const std::string& name) {
    return ReadFile(fs(), "db/" + name, 1 << 30).value();
  }

  std::unique_ptr<MemoryFileSystem> fs_ = std::make_unique<MemoryFileSystem>();
  ManualClock clock_;
  ManualExecutor executor_;
  std::unique_ptr<Log> log_;
  Commits found_;
};

}  // namespace bedrock::engine::wal
