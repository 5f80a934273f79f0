#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "bedrock/version.h"

namespace bedrock::embedded {

/// Knows, coarsely, which version was the newest how long ago: a list of (time, version) samples,
/// thinned out to a bounded number. So it answers "everything that was readable `history` ago stays
/// readable" with a watermark that may be too old by a 64th of the history, never too young.
///
/// Times are any that never go back. A pure value; one thread.
class History {
 public:
  /// Keeps versions for `history_ms`; 0: no history at all. Of what there is at `now_ms`, from
  /// version `oldest` to `newest`, nobody knows the age: it counts as written then.
  History(std::uint64_t history_ms, std::uint64_t now_ms, Version oldest, Version newest);

  /// `newest` is the last commit at `now_ms`. As often as convenient: more samples than are needed
  /// are dropped at once.
  void Sample(std::uint64_t now_ms, Version newest);

  /// Versions below it need not be readable any more: the highest there is where no history is
  /// kept.
  Version Watermark(std::uint64_t now_ms);

  static constexpr std::size_t kSamplesPerHistory = 64;

  std::size_t samples() const { return samples_.size(); }

 private:
  struct At {
    std::uint64_t ms;
    Version newest;
  };

  std::uint64_t history_ms_;
  std::uint64_t spacing_ms_;
  std::deque<At> samples_;  // ascending; the first one is the watermark's
};

}  // namespace bedrock::embedded
