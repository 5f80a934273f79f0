#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/thread_annotations.h"
#include "common/base/units.h"
#include "common/env/clock.h"
#include "common/env/file_system.h"

namespace bedrock::embedded {

/// The file LOG of a database: what happened, a line each, for people:
///
///   2026-11-22T14:31:07.042Z opened at version 17 after recovering 4 commits from the log
///
/// Never larger than kBytesMax: a line that would pass that begins a new file, and the full one is
/// LOG.old from then on, in the place of the one before. Never a reason to fail: what can't be
/// written is dropped, and nothing is ever synced. Any thread; may outlive the database, which
/// closes it when it ends.
class EventLog {
 public:
  static constexpr std::size_t kBytesMax = 1 * kMiB;
  static constexpr std::size_t kLineBytesMax = 4 * kKiB;  ///< Longer lines are cut.

  EventLog(FileSystem& file_system, const Clock& clock, const std::string& directory);

  /// Goes on with the LOG of the directory, which must exist by now. What was written before, up to
  /// kLinesKept lines, comes first.
  void Open() EXCLUDES(mutex_);
  void Write(std::string_view line) EXCLUDES(mutex_);
  /// Drops every line from now on and touches neither files nor clock any more.
  void Close() EXCLUDES(mutex_);

 private:
  static constexpr std::size_t kLinesKept = 100;

  void Append(const std::string& text) REQUIRES(mutex_);
  void Rotate() REQUIRES(mutex_);

  FileSystem& file_system_;
  const Clock& clock_;
  const std::string path_;

  Mutex mutex_;
  enum class Phase { kNotYetOpen, kOpen, kClosed };
  Phase phase_ GUARDED_BY(mutex_) = Phase::kNotYetOpen;
  std::vector<std::string> kept_ GUARDED_BY(mutex_);
  std::unique_ptr<File> file_ GUARDED_BY(mutex_);  // null: couldn't be opened
  std::uint64_t size_ GUARDED_BY(mutex_) = 0;
};

/// "2026-11-22T14:31:07.042Z" of milliseconds since 1970, UTC.
std::string FormatUtc(std::uint64_t wall_ms);

}  // namespace bedrock::embedded
