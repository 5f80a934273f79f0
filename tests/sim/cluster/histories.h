#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/checker/history.h"
#include "tests/checker/linearizability.h"

namespace bedrock::sim {

/// What all clients of a run saw. One thread.
struct Histories {
  struct Counter {
    std::set<std::int64_t> answered;   ///< The numbers that adds gave; each add gives another.
    std::uint64_t unknown = 0;         ///< Adds whose fate nobody knows.
    std::optional<std::int64_t> last;  ///< As it was read in the end.
  };

  /// The one order of events.
  std::uint64_t Now() { return ++moments; }
  /// What is wrong; empty: nothing. Counts what could not be decided.
  std::string Judge(std::uint64_t& undecided) const;

  std::uint64_t moments = 0;
  std::uint64_t values = 0;  ///< Numbers what is written, so that no two are alike.
  std::map<std::string, std::vector<checker::RegisterOperation>> registers;
  checker::History lists;
  std::uint64_t appends = 0;
  std::map<std::string, Counter> counters;
  static constexpr std::string_view kArchive = "v";
  std::vector<std::uint64_t> archived;  ///< What is in the archive for certain.
};

}  // namespace bedrock::sim
