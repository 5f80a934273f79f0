#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>

#include "common/base/thread_annotations.h"
#include "common/env/executor.h"
#include "storaged/engine/gate.h"
#include "storaged/engine/lane.h"

namespace bedrock::storage {

/// Work with files that the owner's thread must not wait for: done on the executor, one errand
/// after another in the order of Send, and brought back to the owner.
///
///   owner ── Send(work) ──► executor: work() gives `back` ──► wake ──► owner: Return() calls
///   back()
///
/// Work must not touch what belongs to the owner; `back` may. What was sent and not returned when
/// this ends is never returned; the destructor waits for work that runs. Send, Return and the
/// destructor on the owner's thread.
class Errands {
 public:
  using Back = std::function<void()>;
  using Work = std::function<Back()>;
  /// Each errand is bounded by who sends it; all in all there are never more.
  static constexpr std::size_t kWaitingMax = 1024;

  /// `wake` is called, on any thread, when Return has something to do.
  Errands(Executor& executor, std::function<void()> wake);
  ~Errands();
  Errands(const Errands&) = delete;
  Errands& operator=(const Errands&) = delete;

  void Send(Work work) EXCLUDES(mutex_);
  /// Calls what came back, in order.
  void Return() EXCLUDES(mutex_);
  /// Sent and not returned.
  std::size_t under_way() const { return under_way_; }

 private:
  engine::Lane::Next Step() EXCLUDES(mutex_);

  const std::function<void()> wake_;
  std::size_t under_way_ = 0;  // the owner's
  Mutex mutex_;
  std::deque<Work> waiting_ GUARDED_BY(mutex_);
  std::deque<Back> done_ GUARDED_BY(mutex_);
  const std::shared_ptr<engine::Gate> gate_ = std::make_shared<engine::Gate>();
  engine::Lane lane_;
};

}  // namespace bedrock::storage
