#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "common/base/ids.h"
#include "raftd/core/log_view.h"
#include "raftd/core/raft.h"

namespace bedrock::raft {

/// The appends in flight to one follower, bounded in messages and bytes. Bytes may pass their bound
/// by the one message that crosses it.
class Window {
 public:
  void Add(LogIndex last, std::size_t bytes);
  /// All that ends at or below `index` has arrived.
  void FreeUpTo(LogIndex index);
  void Clear();
  bool Full(const Limits& limits) const;
  std::size_t messages() const { return in_flight_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct InFlight {
    LogIndex last;
    std::size_t bytes;
  };
  std::deque<InFlight> in_flight_;
  std::size_t bytes_ = 0;
};

/// What a leader knows of one follower.
///
///            Accepted                       Refused, Reset
///   kProbe ────────────► kStream    kStream ────────────► kProbe
///   kProbe ── Refused, and the match lies before our log ──► kSnapshot ── Accepted ──► kStream
///   kStream ── KeepWithin: the log was trimmed beyond it ──► kProbe
///
/// kProbe looks for the last entry both logs share, one append in flight; kStream sends ahead of
/// the answers within the window; kSnapshot needs what this log no longer holds: it is offered a
/// snapshot once a heartbeat, and asked as often whether it still needs one, so that no lost
/// message and no snapshot that fails leaves it there (R66). The window is empty after every change
/// (R79).
///
/// Invariants: holds <= match; holds < next.
struct Progress {
  ReplicationState state = ReplicationState::kProbe;
  /// The highest index the follower ever acknowledged in this term (R23).
  LogIndex match;
  /// What the follower holds durably as far as is known; counts for the commit and trim indexes. It
  /// is `match` but for a follower that lost part of its log and says so (raftd/log/README.md).
  LogIndex holds;
  LogIndex next;
  Window window;
  LogIndex installing;       ///< kSnapshot: where the snapshot that it fetches ends; 0: not known.
  bool probe_sent = false;   ///< kProbe and kSnapshot: an answer is awaited.
  std::uint64_t probes = 0;  ///< Sent since the state changed.
  std::uint64_t probed_at = 0;            ///< When the last one was, in ticks.
  LogIndex told_commit;                   ///< What the follower was last told of the commit index.
  std::optional<LogIndex> fetching;       ///< The first of the entries being read from the disk.
  bool recently_active = false;           ///< Heard from since the last check of the quorum.
  std::optional<std::uint64_t> heard_at;  ///< When it answered last in this term, in ticks.
  std::uint64_t round = 0;                ///< The newest read round it confirmed.
  std::uint64_t lease_until = 0;          ///< It votes for nobody else before this tick (R55).

  /// It answered less than the shortest election timeout ago.
  bool Alive(std::uint64_t now, const Limits& limits) const;
  /// It may be sent an append now. `last`: the last index of the leader's log.
  bool Ready(LogIndex last, const Limits& limits) const;
  /// An append with the entries up to `last` went out (`last` = next - 1: an empty one).
  void Sent(LogIndex last, std::size_t bytes, std::uint64_t now);
  /// The follower is there: a probe that is a heartbeat old without an answer is sent again.
  void MayProbeAgain(std::uint64_t now, const Limits& limits);
  /// The follower holds everything up to `index` durably.
  void Accepted(LogIndex index);
  /// The follower's log does not hold the entry at `refused`; `hint` is the last of its entries
  /// that could match. Ignored where stale (R23): below what it holds, or not what was asked.
  void Refused(LogIndex refused, const LogPosition& hint, const LogView& log);
  /// What was in flight may be lost.
  void Reset();
  /// The log was trimmed: what is not there any more can't be sent.
  void KeepWithin(const LogView& log);
  /// The log is kept from behind this entry on for the sake of this follower; none: it isn't kept.
  /// `alive`: it answers, or had no chance to yet.
  std::optional<LogIndex> Needs(const LogView& log, bool alive) const;

 private:
  void Become(ReplicationState new_state);
};

}  // namespace bedrock::raft
