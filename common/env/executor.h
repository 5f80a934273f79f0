#pragma once

#include <cstdint>
#include <functional>

namespace bedrock {

/// Runs background jobs (flush, compaction, preparing log segments) away from whoever posts them.
/// The only door to threads: a simulator's executor runs the same jobs in one thread, in an order
/// drawn from a seed.
class Executor {
 public:
  enum class Priority : std::uint8_t { kHigh, kLow };  ///< kHigh jobs run before waiting kLow ones.

  virtual ~Executor() = default;

  /// Runs `job` once, some time later, on a thread of the executor. Jobs that post themselves again
  /// after a bounded quantum leave room for others. Any thread. A job posted after shutdown began
  /// is dropped.
  virtual void Post(Priority priority, std::function<void()> job) = 0;
};

}  // namespace bedrock
