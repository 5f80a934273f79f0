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
  /// The same, but not before `delay_ms` have passed.
  virtual void PostAfter(std::uint64_t delay_ms, Priority priority, std::function<void()> job) = 0;

  /// Whether jobs run by themselves, on threads. Where they do not, a call that has to wait for one
  /// runs them: see Waiter.
  virtual bool RunsByItself() const = 0;
  /// Runs one waiting job on the calling thread; false where none waits. Only where
  /// !RunsByItself(), and never from a job.
  virtual bool RunOne() = 0;
};

}  // namespace bedrock
