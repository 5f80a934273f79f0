#include "storaged/engine/lane.h"

#include <utility>

#include "common/base/check.h"

namespace bedrock::engine {

Lane::Lane(Executor& executor, Executor::Priority priority, std::shared_ptr<Gate> gate, Step step)
    : executor_(executor), priority_(priority), gate_(std::move(gate)), step_(std::move(step)) {}

void Lane::Wake() {
  const MutexLock lock(mutex_);
  switch (state_) {
    case State::kIdle:
      Post();
      return;
    case State::kRunning:
      state_ = State::kRunningAndWoken;
      return;
    case State::kPosted:
    case State::kRunningAndWoken:
      return;
  }
}

void Lane::Post() {
  state_ = State::kPosted;
  executor_.Post(priority_, [this, gate = gate_] {
    if (!gate->Enter()) return;
    Run();
    gate->Leave();
  });
}

void Lane::WakeLater(std::uint64_t delay_ms) {
  if (timer_) return;
  timer_ = true;
  executor_.PostAfter(delay_ms, priority_, [this, gate = gate_] {
    if (!gate->Enter()) return;
    {
      const MutexLock lock(mutex_);
      timer_ = false;
    }
    Wake();
    gate->Leave();
  });
}

void Lane::Run() {
  {
    const MutexLock lock(mutex_);
    DCHECK(state_ == State::kPosted);
    state_ = State::kRunning;
  }
  const Next next = step_();
  const MutexLock lock(mutex_);
  const bool woken = state_ == State::kRunningAndWoken;
  state_ = State::kIdle;
  if (woken || next.kind == Next::Kind::kAgain) {
    Post();
  } else if (next.kind == Next::Kind::kLater) {
    WakeLater(next.delay_ms);
  }
}

}  // namespace bedrock::engine
