#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

#include "common/base/striped_counter.h"
#include "common/base/thread_annotations.h"

namespace bedrock::engine {

/// What connects iterators with the engine that made them, and outlives it. Any thread.
class ReaderLink {
 public:
  /// Of so many blocks that a thread counts one call tells the engine.
  static constexpr std::uint64_t kLevel0ReadsEach = 1024;

  /// `on_event` is told what goes wrong where nobody looks, `on_level0_reads` when level0_reads()
  /// has grown by some; by one thread at a time, and never once Close has returned. May be empty.
  explicit ReaderLink(std::function<void(std::string_view line)> on_event,
                      std::function<void()> on_level0_reads = {})
      : on_event_(std::move(on_event)), on_level0_reads_(std::move(on_level0_reads)) {}

  /// The engine ends.
  void Close() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    closed_.store(true, std::memory_order_relaxed);
  }
  bool closed() const { return closed_.load(std::memory_order_relaxed); }

  void Report(std::string_view line) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (!closed() && on_event_) on_event_(line);
  }

  /// A walk was positioned and had to look at `blocks` more for level 0 than it would have to once
  /// that is merged with what is below.
  void CountLevel0Reads(std::uint64_t blocks) {
    const std::uint64_t counted = level0_reads_.Add(blocks);
    if (counted / kLevel0ReadsEach != (counted - blocks) / kLevel0ReadsEach) [[unlikely]]
      TellLevel0Reads();
  }
  /// All that was counted, about.
  std::uint64_t level0_reads() const { return level0_reads_.sum(); }

 private:
  void TellLevel0Reads() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (!closed() && on_level0_reads_) on_level0_reads_();
  }

  StripedCounter level0_reads_;
  Mutex mutex_;
  std::function<void(std::string_view)> on_event_ GUARDED_BY(mutex_);
  std::function<void()> on_level0_reads_ GUARDED_BY(mutex_);
  std::atomic<bool> closed_{false};
};

}  // namespace bedrock::engine
