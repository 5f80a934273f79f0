#include "common/env/manual_executor.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace bedrock {

void ManualExecutor::Post(Priority priority, std::function<void()> job) {
  CHECK(job != nullptr);
  waiting_.push_back({priority, std::move(job)});
}

void ManualExecutor::PostAfter(std::uint64_t delay_ms, Priority priority,
                               std::function<void()> job) {
  CHECK(job != nullptr);
  const std::uint64_t due_ms = now_ms_ + delay_ms;
  const auto later = std::find_if(delayed_.begin(), delayed_.end(),
                                  [&](const Delayed& other) { return other.due_ms > due_ms; });
  delayed_.insert(later, {due_ms, {priority, std::move(job)}});
}

void ManualExecutor::AdvanceMs(std::uint64_t ms) {
  now_ms_ += ms;
  const auto first_later = std::find_if(delayed_.begin(), delayed_.end(),
                                        [&](const Delayed& at) { return at.due_ms > now_ms_; });
  for (auto due = delayed_.begin(); due != first_later; ++due)
    waiting_.push_back(std::move(due->job));
  delayed_.erase(delayed_.begin(), first_later);
}

bool ManualExecutor::RunOne() {
  if (waiting_.empty()) return false;
  const auto chosen = waiting_.begin() + static_cast<std::ptrdiff_t>(Choose());
  // Taken out first: the job may post.
  const std::function<void()> run = std::move(chosen->run);
  waiting_.erase(chosen);
  run();
  return true;
}

std::size_t ManualExecutor::RunAll(std::size_t jobs_max) {
  std::size_t count = 0;
  while (count < jobs_max && RunOne()) ++count;
  return count;
}

std::size_t ManualExecutor::Choose() {
  if (order_.has_value()) return static_cast<std::size_t>(order_->Below(waiting_.size()));
  const auto high = std::find_if(waiting_.begin(), waiting_.end(),
                                 [](const Job& job) { return job.priority == Priority::kHigh; });
  return high == waiting_.end() ? 0 : static_cast<std::size_t>(high - waiting_.begin());
}

}  // namespace bedrock
