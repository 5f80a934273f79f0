#pragma once

#include <optional>
#include <string>

#include "tests/checker/history.h"

namespace bedrock::checker {

/// Why a history can't have come about one transaction at a time.
struct Violation {
  /// What it is called: "internal", "aborted read", "unwritten read", "incompatible orders",
  /// "malformed history"; or of a cycle, after Adya (1999): "G0" (writes alone), "G1c" (writes and
  /// reads of them), "G-single" (one read of what was overwritten), "G2" (several); with
  /// "-realtime" where it takes that one had ended before the other began.
  std::string kind;
  std::string story;  ///< A line each step.
};

/// Whether a history of list appends is strictly serializable: whether there is an order of its
/// transactions that keeps those that did not overlap in time in theirs, and in which each read
/// sees all appends before it and no others. Unknown ones may have taken effect or not.
///
/// Lists show their own past, so each read tells the order of all the appends it sees. From these
/// orders come the dependencies that any such order of transactions would have to keep (Adya's
/// write, read and anti-dependencies, found as Elle does: Kingsbury and Alvaro 2020), and there is
/// one if and only if they form no cycle. What nobody has read follows what somebody has: let the
/// last transaction read everything, lest lost appends pass for unread ones.
///
/// O(n log n + edges); edges are few for each operation, but for appends that nobody read.
std::optional<Violation> FindViolation(const History& history);

}  // namespace bedrock::checker
