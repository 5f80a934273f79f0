#pragma once

#include <cstddef>
#include <cstdint>
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
  /// Time passes by AdvanceMs only.
  void PostAfter(std::uint64_t delay_ms, Priority priority, std::function<void()> job) override;
  bool RunsByItself() const override { return false; }

  /// Runs one job. False where none waits.
  bool RunOne() override;
  /// Runs until none waits, those posted meanwhile included, but at most `jobs_max`. Gives how many
  /// ran.
  std::size_t RunAll(std::size_t jobs_max = kJobsMax);
  /// Lets time pass: jobs whose delay has ended wait to be run from now on.
  void AdvanceMs(std::uint64_t ms);
  /// Drops what waits, as the end of a process does.
  void Clear() {
    waiting_.clear();
    delayed_.clear();
  }
  std::size_t waiting() const { return waiting_.size(); }

  static constexpr std::size_t kJobsMax = 1'000'000;

 private:
  struct Job {
    Priority priority;
    std::function<void()> run;
  };
  struct Delayed {
    std::uint64_t due_ms;
    Job job;
  };

  std::size_t Choose();

  std::optional<Random> order_;
  std::vector<Job> waiting_;
  std::uint64_t now_ms_ = 0;
  std::vector<Delayed> delayed_;  // by due_ms, equals in the order of posting
};

}  // namespace bedrock
