#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "bedrock/db.h"
#include "common/env/environment.h"
#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"

namespace bedrock::embedded {

/// A folder of the operating system that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "bedrock_test_XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string Path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// Disk, time and threads in memory; one thread runs everything.
struct SimulatedMachine {
  MemoryFileSystem files;
  ManualClock clock{0, 1'763'820'667'042};
  ManualExecutor executor;
  Environment environment{.file_system = &files, .clock = &clock, .executor = &executor};

  Options MakeOptions() {
    Options options;
    options.env = &environment;
    return options;
  }
  /// The machine (or only the process) dies: what ran on it must be gone.
  void Crash(std::uint64_t seed, MemoryFileSystem::CrashMode mode) {
    executor.Clear();
    Random random(seed);
    files.Crash(random, mode);
  }
};

inline std::string GetOr(DB& db, std::string_view key, std::string fallback = "-",
                         const ReadOptions& options = {}) {
  std::string value;
  const Status status = db.Get(key, &value, options);
  if (status.IsNotFound()) return fallback;
  EXPECT_TRUE(status.ok()) << status.ToString();
  return value;
}

using Content = std::map<std::string, std::string>;

inline Content ReadAll(DB& db, const ReadOptions& options = {}, Range bounds = {}) {
  Content content;
  ScanRange scan = db.Scan(bounds, options);
  for (const Entry& entry : scan) content.emplace(entry.key, entry.value);
  EXPECT_TRUE(scan.status().ok()) << scan.status().ToString();
  return content;
}

}  // namespace bedrock::embedded
