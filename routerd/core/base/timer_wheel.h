#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bedrock::router {

/// A hashed timer wheel (Varghese and Lauck 1987, scheme 6): O(1) to set a timer, and there is no
/// cancelling: whoever no longer wants one ignores it when it fires. Timers fire up to a tick late,
/// never early. One thread.
class TimerWheel {
 public:
  /// `slots` ticks make one turn; timers further out wait for their round.
  TimerWheel(std::uint64_t tick_ms, std::size_t slots);

  void Schedule(std::uint64_t id, std::uint64_t at_ms);

  /// Calls due(id) for every timer whose time is at or before `now_ms`, which never goes back.
  /// `due` may schedule; what it schedules fires in a later Advance.
  template <typename Due>
  void Advance(std::uint64_t now_ms, Due&& due) {
    Collect(now_ms);
    for (const std::uint64_t id : due_) due(id);
    due_.clear();
  }

  std::size_t size() const { return size_; }

 private:
  struct Timer {
    std::uint64_t id;
    std::uint64_t tick;
  };

  void Collect(std::uint64_t now_ms);

  std::uint64_t tick_ms_;
  std::uint64_t last_tick_ = 0;  // every timer up to here has fired
  std::vector<std::vector<Timer>> slots_;
  std::vector<std::uint64_t> due_;
  std::size_t size_ = 0;
};

}  // namespace bedrock::router
