#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "common/base/ids.h"

namespace bedrock::router {

/// When this node's storaged was last known to be in step with the cluster. A read index covers
/// every write acknowledged before it was asked for (Raft thesis 6.4); a storaged that has applied
/// it was in step at that time, whatever it has applied since. Pure; one thread.
class Freshness {
 public:
  /// Indexes that wait for the storaged to reach them; of more the newest are forgotten.
  static constexpr std::size_t kPendingMax = 64;

  struct InStep {
    std::uint64_t at_ms = 0;
    Version index;  ///< What it had applied by then, at least.
  };

  void OnIndex(std::uint64_t asked_ms, Version index);
  void OnApplied(Version applied);

  /// The newest time that is known; none: not yet.
  const std::optional<InStep>& in_step() const { return in_step_; }

 private:
  void Reached(std::uint64_t asked_ms, Version index);

  Version applied_;
  std::deque<InStep> pending_;  // above applied_
  std::optional<InStep> in_step_;
};

}  // namespace bedrock::router
