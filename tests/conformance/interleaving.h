#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/conformance/store.h"

namespace bedrock::conformance {

/// One request of one session.
struct Step {
  enum class Kind : std::uint8_t {
    kBegin,
    kGet,
    kGetForUpdate,
    kScan,
    kPut,
    kDelete,
    kDeleteRange,
    kCommit,
    kRollback,
    kAwait,  ///< Nothing is asked; all that this session was asked before is answered then.
  };

  Kind kind;
  std::size_t session;
  std::string key = {};    ///< Of ranges their begin.
  std::string value = {};  ///< Of ranges their end.
  bool read_only = false;
  std::optional<std::chrono::milliseconds> lock_timeout = std::nullopt;
};

/// What a step came to.
struct Answer {
  /// Unset: it was not asked, as the transaction was over.
  std::optional<Outcome> outcome;
  std::optional<std::string> value;  ///< Of Get and GetForUpdate.
  Content content;                   ///< Of Scan.
  bool waited = false;               ///< For a lock, when all else had come to rest.
};

/// What came of a schedule.
struct Trace {
  std::vector<Answer> answers;                ///< One for each step.
  std::vector<bool> committed;                ///< By session: its last transaction was.
  std::vector<std::optional<Outcome>> ended;  ///< By session: what ended it before its commit.
  Content after;
  std::string story;  ///< A line for each step.

  const std::optional<std::string>& value(std::size_t step) const { return answers[step].value; }
};

/// Runs the steps in their order, each when all before it are answered or wait for locks; what is
/// asked of a session that waits is asked when it goes on. Each session is a thread, so that it can
/// wait; nothing depends on when those run. `before` is what the store holds at the beginning,
/// besides what it held: all of it is committed by one transaction.
Trace RunSchedule(Store& store, Mode mode, const Content& before, const std::vector<Step>& steps);

}  // namespace bedrock::conformance
