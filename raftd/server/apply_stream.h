#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "proto/errors.h"
#include "proto/raft_messages.h"
#include "proto/storage_messages.h"
#include "raftd/core/raft.h"

namespace bedrock::raft {

/// What the own storaged is sent, when, and what its silence means. The core hands out ranges of
/// committed entries within a window (Limits::apply_window_bytes_max); this fills in from the log
/// what the core no longer has, asks storaged how far it is, and notices that it restarted or that
/// something got lost on the way.
///
///              first ApplyProgress of a life
///   unknown ───────────────────────────────► known ──► Send, Probe when silent
///      ▲                                       │
///      └────────────── a send failed ──────────┘      another boot id, more applied than was
///                                                     sent, or no advance after a Probe:
///                                                     kRestart, hand out from there again
///
/// A pure value; one thread. Times are any monotonic milliseconds.
class ApplyStream {
 public:
  struct Limits {
    std::uint64_t probe_ms = 250;          ///< Silence after which storaged is asked.
    std::uint64_t reconnect_ms = 50;       ///< The same while nothing is known of it.
    std::uint64_t unresponsive_ms = 1000;  ///< Silence after which it counts as down.
    std::size_t load_bytes_max = 1 << 20;  ///< Payload bytes read from the log at once.
  };

  /// Send these entries, in order and contiguous.
  struct Send {
    std::vector<Entry> entries;
  };
  /// Send an empty Apply.
  struct Probe {};
  /// Read [first, last] from the log as far as bytes_max goes and call Loaded with `round`.
  struct Load {
    std::uint64_t round = 0;
    LogIndex first;
    LogIndex last;
    std::size_t bytes_max = 0;
  };
  using Action = std::variant<Send, Probe, Load>;

  /// What an ApplyProgress means for the core.
  enum class Effect : std::uint8_t {
    kAdvance,  ///< Raft::Applied.
    kRestart,  ///< Raft::ApplyFrom: what was handed out is forgotten here.
  };

  ApplyStream(const Limits& limits, std::uint64_t now_ms);

  /// The core handed out a range. REQUIRES: contiguous with those before, since the last kRestart.
  void Add(ApplyRange range);
  /// storaged of life `boot` said how far it is.
  Effect OnProgress(BootId boot, const proto::ApplyProgress& progress, std::uint64_t now_ms);
  /// The core hands out anew, from where it said: what it handed out before is forgotten here.
  void Restart();
  /// What was to be sent could not be: storaged is gone, or its queue is full.
  void SendFailed(std::uint64_t now_ms);
  /// Answers a Load. Those of an earlier round are ignored.
  void Loaded(std::uint64_t round, std::vector<Entry> entries);

  /// What to do next; none: wait. Called until it gives none.
  std::optional<Action> Next(std::uint64_t now_ms);

  /// kOk; what storaged reports of itself; or kStorageUnavailable where it has not been heard for
  /// unresponsive_ms though something was sent, or never.
  proto::ErrorCode Health(std::uint64_t now_ms) const;
  LogIndex applied() const { return applied_; }
  LogIndex durable_applied() const { return durable_applied_; }

 private:
  bool ProbeIsDue(std::uint64_t now_ms) const;
  Probe MakeProbe(std::uint64_t now_ms);
  void Forget();

  Limits limits_;
  std::deque<ApplyRange> ranges_;  // handed out and not sent yet; the front's `first` moves
  bool known_ = false;             // the present life's progress is known and nothing got lost
  bool heard_ = false;
  BootId boot_;
  LogIndex applied_;
  LogIndex durable_applied_;
  LogIndex sent_;  // the last entry sent since the last restart; applied_ where none was
  proto::ErrorCode reported_ = proto::ErrorCode::kOk;
  std::uint64_t round_ = 0;  // numbers the stretches between restarts
  bool loading_ = false;
  std::optional<std::uint64_t> silent_since_ms_;  // since when an answer is owed
  std::optional<std::uint64_t> probed_at_ms_;
  /// Set by a probe while entries were under way: where storaged was. An answer that still says
  /// that proves them lost.
  std::optional<LogIndex> stuck_at_;
  std::uint64_t heard_at_ms_;
};

}  // namespace bedrock::raft
