#include "routerd/core/base/timer_wheel.h"

#include <algorithm>

#include "common/base/check.h"

namespace bedrock::router {

TimerWheel::TimerWheel(std::uint64_t tick_ms, std::size_t slots) : tick_ms_(tick_ms) {
  CHECK(tick_ms > 0 && slots > 0);
  slots_.resize(slots);
}

void TimerWheel::Schedule(std::uint64_t id, std::uint64_t at_ms) {
  // Rounded up, so that no timer fires early; and never into a tick that has passed.
  const std::uint64_t tick = std::max((at_ms + tick_ms_ - 1) / tick_ms_, last_tick_ + 1);
  slots_[tick % slots_.size()].push_back({id, tick});
  ++size_;
}

void TimerWheel::Collect(std::uint64_t now_ms) {
  const std::uint64_t now = now_ms / tick_ms_;
  if (now <= last_tick_) return;
  // After a long sleep one whole turn visits everything.
  const std::uint64_t steps = std::min<std::uint64_t>(now - last_tick_, slots_.size());
  for (std::uint64_t i = 0; size_ > due_.size() && i < steps; ++i) {
    std::vector<Timer>& slot = slots_[(now - i) % slots_.size()];
    const auto kept = std::partition(slot.begin(), slot.end(),
                                     [now](const Timer& timer) { return timer.tick > now; });
    for (auto timer = kept; timer != slot.end(); ++timer) due_.push_back(timer->id);
    slot.erase(kept, slot.end());
  }
  size_ -= due_.size();
  last_tick_ = now;
}

}  // namespace bedrock::router
