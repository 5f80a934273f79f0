#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "common/base/ids.h"

namespace bedrock::router {

/// Decides which versions may vanish: those that were no longer the newest `history_ms` ago. Every
/// router samples what its node has applied; the one on the leader's node proposes the watermark
/// (Operation::kDropHistory). A watermark is itself a version: where nothing but watermarks was
/// committed there is nothing to drop, so that an idle cluster's log comes to rest.
///
/// Pure; one thread.
class HistoryKeeper {
 public:
  static constexpr std::uint64_t kSampleMsMin = 1'000;
  static constexpr std::uint64_t kProposeMsMax = 10'000;  ///< Between two proposals; or history/10.
  static constexpr std::size_t kSamplesMax = 600;         ///< Of a long history they are rarer.

  /// 0: every version is kept.
  explicit HistoryKeeper(std::uint64_t history_ms);

  /// What this node's storaged has applied, and what it has of history.
  void OnApplied(Version applied, Version history_from, std::uint64_t now_ms);
  /// Whether it is time to ask Due.
  bool IsTime(std::uint64_t now_ms) const;
  /// The watermark to propose, where it would move. `held`: the oldest version that somebody still
  /// reads.
  std::optional<Version> Due(std::optional<Version> held, std::uint64_t now_ms);
  /// How the proposal that Due gave ended: the version of its command where it was applied.
  void OnProposed(std::optional<Version> committed);

 private:
  struct Sample {
    std::uint64_t at_ms;
    Version newest;
  };

  const std::uint64_t history_ms_;
  const std::uint64_t sample_ms_;
  const std::uint64_t propose_ms_;
  std::deque<Sample> samples_;  // the front is the newest that is old enough, once there is one
  Version history_from_;
  // Commands (own_after_, own_until_] were watermarks of this router's.
  Version own_after_;
  Version own_until_;
  std::uint64_t next_proposal_ms_ = 0;
  bool proposing_ = false;
};

}  // namespace bedrock::router
