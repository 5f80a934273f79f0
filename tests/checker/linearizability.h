#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/checker/serializability.h"

namespace bedrock::checker {

/// One operation on a register as its client saw it. Values are numbers; 0 is an absent key's.
struct RegisterOperation {
  enum class Kind : std::uint8_t {
    kRead,
    kWrite,          ///< Of `value`; a delete writes 0.
    kCompareAndSet,  ///< Writes `value` where the register holds `expected`, else nothing.
  };
  enum class Fate : std::uint8_t {
    kDone,     ///< As asked: a compare-and-set has set.
    kRefused,  ///< A compare-and-set that found something else. Of others: surely without effect.
    kUnknown,  ///< It may have taken effect, or may do so at any later time.
  };

  std::string name;
  Kind kind = Kind::kRead;
  Fate fate = Fate::kDone;
  std::uint64_t value = 0;  ///< Read or written.
  std::uint64_t expected = 0;
  /// Moments in the one order of events that the test keeps. `ended` of an unknown one says
  /// nothing.
  std::uint64_t begun = 0;
  std::uint64_t ended = 0;
};

/// Says whether a history of one register is linearizable (Herlihy and Wing 1990): whether each
/// operation can have taken effect at one moment between its beginning and its end.
struct LinearizabilityVerdict {
  /// Kind "not linearizable", with the operations that could not be placed and those around them.
  std::optional<Violation> violation;
  /// The search was given up after `steps_max`; nothing is known.
  bool undecided = false;
};

inline constexpr std::uint64_t kLinearizabilityStepsMax = 2'000'000;

/// Search by Wing and Gong (1993), with the memory of tried states that Lowe (2017) added: places
/// one operation after the other, whichever has begun before the first end of those that are left,
/// and goes back where none fits. Exponential at worst; with few operations at a time, and values
/// that are written once, near n log n. `initial` is what the register holds before all.
LinearizabilityVerdict CheckLinearizable(const std::vector<RegisterOperation>& history,
                                         std::uint64_t initial = 0,
                                         std::uint64_t steps_max = kLinearizabilityStepsMax);

}  // namespace bedrock::checker
