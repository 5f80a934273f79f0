#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "common/env/executor.h"
#include "common/env/random.h"

namespace bedrock {

/// An executor for tests and simulators: jobs wait until somebody runs them, one at a time, on that
/// thread. One thread, also for Post.
///
/// Without a seed kHigh jobs go before kLow ones and equals go in the order of posting. With a seed
/// every waiting job is equally likely, whatever its priority: a priority is a hint of urgency, and
/// code whose result depends on it is wrong.
class ManualExecutor final : public Executor {
 public:
  ManualExecutor() = default;
  explicit ManualExecutor(Random order) : order_(order) {}

  void Post(Priority priority, std::function<void()> job) override;

  /// Runs one job. False where none waits.
  bool RunOne();
  /// Runs until none waits, those posted meanwhile included, but at most `jobs_max`. Gives how many
  /// ran.
  std::size_t RunAll(std::size_t jobs_max = kJobsMax);
  /// Drops what waits, as the end of a process does.
  void Clear() { waiting_.clear(); }
  std::size_t waiting() const { return waiting_.size(); }

  static constexpr std::size_t kJobsMax = 1'000'000;

 private:
  struct Job {
    Priority priority;
    std::function<void()> run;
  };

  std::size_t Choose();

  std::optional<Random> order_;
  std::vector<Job> waiting_;
};

}  // namespace bedrock
