#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>

#include "common/base/ids.h"
#include "proto/client_messages.h"
#include "proto/errors.h"

namespace bedrock::router {

/// How interactive transactions ended, for a while after, so that a commit that is sent again gets
/// the same answer and a late step learns what has become of its transaction. Pure; one thread.
class EndedTransactions {
 public:
  static constexpr std::uint64_t kKeepMs = 60'000;

  enum class How : std::uint8_t {
    kCommitted,
    kRefused,     ///< Its commit was, for good; or its outcome is unknown, as the error says.
    kRolledBack,  ///< By its client.
    kAborted,     ///< By the router: time, a deadlock, shutdown.
  };
  struct Ending {
    How how = How::kCommitted;
    Version version;     ///< kCommitted.
    proto::Error error;  ///< kRefused, kAborted.
  };
  /// What a step of an ended transaction is told.
  struct Answer {
    proto::Error error;
    Version version;
  };

  /// Of more than `count_max` the oldest are forgotten.
  explicit EndedTransactions(std::size_t count_max) : count_max_(count_max) {}

  void Add(std::uint64_t number, Ending ending, std::uint64_t now_ms);
  /// kTransactionNotFound for one that is not remembered; a commit's outcome is unknown then.
  Answer AnswerOf(std::uint64_t number, proto::ClientTransaction::Action action) const;
  void Advance(std::uint64_t now_ms);

  std::size_t size() const { return endings_.size(); }

 private:
  const std::size_t count_max_;
  std::unordered_map<std::uint64_t, Ending> endings_;           // by number
  std::deque<std::pair<std::uint64_t, std::uint64_t>> by_age_;  // number, when it ended
};

}  // namespace bedrock::router
