#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "common/base/ids.h"
#include "raftd/core/raft.h"

namespace bedrock::raft {

// Leader leases (thesis 6.4.1; rules R55-R60): while a quorum has promised to vote for nobody else,
// nobody else leads, and the leader may confirm reads by its own clock instead of a round of
// messages. raftd/core/README.md has the argument. Times are ticks:
//
//   leader    ──┬─ round sent, at tick s or later ────────── the lease ends at s + promise / drift
//   ─┐
//               ▼ ▼
//   follower    └─► heard ─ next tick n ───────────── no vote for anyone else before n + timeout
//   ────►
//
// A tick is a moment rounded down, so: a send counts from the tick before it; hearing counts from
// the tick after it; and the promise, n + timeout being up to a tick early, is a tick shorter than
// the timeout.

/// What a voter has promised: no vote for anyone but one node before a certain tick. Outlives terms
/// and roles, as the lease that rests on it does not end with them.
class VotePromise {
 public:
  /// `to` leads, or got this node's vote, since the last tick (R55, R57). None: it got that at a
  /// leader's wish, while what was promised to others still runs.
  void Make(NodeId to) {
    to_ = to;
    fresh_ = true;
  }
  /// An earlier life of this node may have promised somebody (R56).
  void MakeToUnknown(std::uint64_t until) { until_ = std::max(until_, until); }
  /// What was promised since the last tick runs `ticks` from `now` on.
  void Tick(std::uint64_t now, std::uint64_t ticks) {
    if (fresh_) until_ = std::max(until_, now + ticks);
    fresh_ = false;
  }
  /// Whether it forbids a vote for `candidate` at `now`.
  bool Binds(NodeId candidate, std::uint64_t now) const {
    return (fresh_ || now < until_) && (!to_ || to_ != candidate);
  }
  bool fresh() const { return fresh_; }
  std::uint64_t until() const { return until_; }

 private:
  NodeId to_;  ///< None: unknown, so nobody is exempt.
  bool fresh_ = false;
  std::uint64_t until_ = 0;
};

/// What a node says that it promises with every answer to a leader, in milliseconds; 0: nothing.
inline std::uint32_t PromiseMs(const Limits& limits) {
  return limits.lease_reads ? (limits.election_ticks_min - 1) * limits.tick_ms : 0;
}

/// How long a leader may build on such a promise, in its own ticks.
inline std::uint64_t LeaseTicks(std::uint32_t promise_ms, const Limits& limits) {
  return std::uint64_t{promise_ms} * 1000 / (1000 + limits.clock_drift_per_mille) / limits.tick_ms;
}

/// When a leader sent its rounds, as far as leases can still come of them.
class RoundTimes {
 public:
  /// Ticks that are remembered; older rounds bring no lease.
  static constexpr std::size_t kTicksMax = 1024;

  /// `round` begins at `now`. Rounds and times never decrease.
  void Sent(std::uint64_t round, std::uint64_t now) {
    if (!sent_.empty() && sent_.back().tick == now) return;
    if (sent_.size() == kTicksMax) sent_.pop_front();
    sent_.push_back({round, now});
  }
  /// The tick in which `round` was sent; none where that is not known any more.
  std::optional<std::uint64_t> TickOf(std::uint64_t round) const {
    const auto after = std::upper_bound(
        sent_.begin(), sent_.end(), round,
        [](std::uint64_t wanted, const Tick& tick) { return wanted < tick.first_round; });
    if (after == sent_.begin()) return std::nullopt;
    return std::prev(after)->tick;
  }
  void Clear() { sent_.clear(); }

 private:
  struct Tick {
    std::uint64_t first_round;
    std::uint64_t tick;
  };
  std::deque<Tick> sent_;
};

}  // namespace bedrock::raft
