#pragma once

#include <atomic>
#include <cstdint>

#include "common/base/ids.h"
#include "storaged/engine/engine.h"

namespace bedrock::engine {

/// Publishes how far the owner has applied. Set by one thread; read by any, without a lock: whoever
/// sees an index sees everything that was written before it was set.
///
/// Index and term are two words. Terms change rarely, so that only then a sequence number (odd:
/// under way) makes readers of both take another look; with the same term any index goes.
class AppliedCell {
 public:
  explicit AppliedCell(AppliedMark mark) : index_(mark.index.value()), term_(mark.term.value()) {}

  void Set(AppliedMark mark) {
    if (term_.load(std::memory_order_relaxed) == mark.term.value()) {
      index_.store(mark.index.value(), std::memory_order_release);
      return;
    }
    // Sequentially consistent for being simple: this is once a term.
    ++sequence_;
    term_.store(mark.term.value());
    index_.store(mark.index.value());
    ++sequence_;
  }

  AppliedMark Get() const {
    while (true) {
      const std::uint64_t before = sequence_.load();
      const AppliedMark mark{LogIndex(index_.load()), Term(term_.load())};
      if (before % 2 == 0 && sequence_.load() == before) return mark;
    }
  }
  LogIndex index() const { return LogIndex(index_.load(std::memory_order_acquire)); }

 private:
  std::atomic<std::uint64_t> index_;
  std::atomic<std::uint64_t> term_;
  std::atomic<std::uint64_t> sequence_{0};
};

}  // namespace bedrock::engine
