#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/conformance/interleaving.h"
#include "tests/conformance/store.h"

namespace bedrock::conformance {

/// Stores that are broken in a way that is known: each scenario has to show at least one of them
/// for what it is, or it would show nothing.
enum class Breakage : std::uint8_t {
  kUncheckedSnapshot,  ///< Reads one snapshot; commits without locks and certification.
  kUncheckedNewest,    ///< Reads the newest committed state each time; no locks, no certification.
  kWriteThrough,       ///< What is written is there for all at once; rollback undoes nothing.
  kStale,              ///< Reads an old state for ever, without own writes; commits blindly.
  kRefusing,           ///< Refuses every commit.
};

std::string NameOf(Breakage breakage);

/// A schedule, and what may not come of it.
struct Scenario {
  std::string name;
  Content before;
  std::vector<Step> steps;
  /// Whether this run could not be of a strictly serializable store that lets through what it can.
  std::function<bool(const Trace&)> wrong;
  std::set<Breakage> shown_by;
  std::optional<Mode> only = std::nullopt;  ///< Says nothing of the other mode.
};

/// In the order of tests/conformance/README.md.
const std::vector<Scenario>& AllScenarios();

}  // namespace bedrock::conformance
