#include "common/env/manual_executor.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace bedrock {

void ManualExecutor::Post(Priority priority, std::function<void()> job) {
  CHECK(job != nullptr);
  waiting_.push_back({priority, std::move(job)});
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
