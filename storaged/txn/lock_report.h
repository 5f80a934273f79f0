#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bedrock/status.h"
#include "bedrock/version.h"
#include "storaged/txn/lock_span.h"

namespace bedrock::txn {

enum class LockMode : std::uint8_t { kShared, kExclusive };

using LockRequestId = StrongId<struct LockRequestIdTag>;  ///< Names one that waits; never reused.

/// Who stands in a request's way.
struct LockBlocker {
  std::string name;          ///< The owner's.
  std::uint64_t order = 0;   ///< The owner's.
  std::uint64_t age_ms = 0;  ///< Since the owner began.
  /// What it has, or, where it only waits in front, wants to have.
  NamedSpan span;
  LockMode mode = LockMode::kShared;
  bool waits = false;
};

/// What a request waits for. A value.
struct LockWait {
  /// No more blockers are told.
  static constexpr std::size_t kBlockersMax = 8;

  NamedSpan span;
  LockMode mode = LockMode::kShared;
  std::uint64_t waited_ms = 0;
  std::vector<LockBlocker> blockers;  ///< Those who hold first; each once.

  /// "the exclusive lock on key 'k': transaction 3, which began 1200 ms ago, holds it"
  std::string ToString() const;
};

/// Owners that wait for each other in a ring, and the one whose wait was ended because of it.
struct Deadlock {
  std::vector<std::string> cycle;  ///< Names; each waits for the next, the last for the first.
  std::string victim;              ///< The youngest of them.
  std::uint64_t victim_order = 0;
  LockRequestId request;  ///< The victim's, which waits no more.
  LockWait wait;          ///< What it waited for.

  std::string ToString() const;
};

/// timed_out and deadlock, as all who use locks say it.
Status LockTimedOut(const LockWait& wait);
Status DeadlockStatus(const Deadlock& deadlock);

}  // namespace bedrock::txn
