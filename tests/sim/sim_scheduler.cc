#include "tests/sim/sim_scheduler.h"

#include <algorithm>
#include <utility>

namespace bedrock::sim {

void SimScheduler::After(TimeUs delay, std::function<void()> action) {
  heap_.push_back({now_ + delay, ++events_made_, std::move(action)});
  std::push_heap(heap_.begin(), heap_.end(), Later);
}

bool SimScheduler::RunOne() {
  if (heap_.empty()) return false;
  std::pop_heap(heap_.begin(), heap_.end(), Later);
  const Event event = std::move(heap_.back());
  heap_.pop_back();
  now_ = event.at;
  ++events_run_;
  event.action();
  return true;
}

}  // namespace bedrock::sim
