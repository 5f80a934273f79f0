#pragma once

#include <atomic>
#include <functional>
#include <string_view>
#include <utility>

#include "common/base/thread_annotations.h"

namespace bedrock::engine {

/// What connects iterators with the engine that made them, and outlives it. Any thread.
class ReaderLink {
 public:
  /// `on_event` is told what goes wrong where nobody looks; by one thread at a time, and never once
  /// Close has returned. May be empty.
  explicit ReaderLink(std::function<void(std::string_view line)> on_event)
      : on_event_(std::move(on_event)) {}

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

 private:
  Mutex mutex_;
  std::function<void(std::string_view)> on_event_ GUARDED_BY(mutex_);
  std::atomic<bool> closed_{false};
};

}  // namespace bedrock::engine
