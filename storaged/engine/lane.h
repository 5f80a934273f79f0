#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "common/base/thread_annotations.h"
#include "common/env/executor.h"
#include "storaged/engine/gate.h"

namespace bedrock::engine {

/// A chain of steps on the executor, at most one of which is posted or running. What a step touches
/// needs no lock of its own: steps of a lane follow each other, on whatever thread.
///
///   idle ──Wake──► posted ──► running ──kAgain, or Wake meanwhile──► posted
///     ▲                          │ │
///     └──────────kIdle───────────┘ └──Later(ms)──► idle, and woken then
///
/// Wake, from any thread, is never lost: a step that begins after it follows. The gate has to be
/// closed before the lane ends.
class Lane {
 public:
  struct Next {
    enum class Kind : std::uint8_t { kIdle, kAgain, kLater } kind = Kind::kIdle;
    std::uint64_t delay_ms = 0;
  };
  static Next Idle() { return {}; }
  static Next Again() { return {Next::Kind::kAgain, 0}; }
  static Next Later(std::uint64_t delay_ms) { return {Next::Kind::kLater, delay_ms}; }

  /// Does a bounded piece of work and says what follows.
  using Step = std::function<Next()>;

  Lane(Executor& executor, Executor::Priority priority, std::shared_ptr<Gate> gate, Step step);
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  void Wake() EXCLUDES(mutex_);

 private:
  void Post() REQUIRES(mutex_);
  void WakeLater(std::uint64_t delay_ms) REQUIRES(mutex_);
  void Run() EXCLUDES(mutex_);

  Executor& executor_;
  const Executor::Priority priority_;
  const std::shared_ptr<Gate> gate_;
  const Step step_;

  Mutex mutex_;
  enum class State : std::uint8_t { kIdle, kPosted, kRunning, kRunningAndWoken };
  State state_ GUARDED_BY(mutex_) = State::kIdle;
  bool timer_ GUARDED_BY(mutex_) = false;  ///< One wake-up at most is under way.
};

}  // namespace bedrock::engine
