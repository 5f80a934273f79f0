#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/ids.h"
#include "common/base/units.h"
#include "common/env/environment.h"
#include "raftd/core/types.h"

namespace bedrock::raft {

struct LogOptions {
  std::string directory;  ///< Holds log/ (segments) and the vote file; made where missing.
  ClusterId cluster;      ///< Segments of another cluster or node are refused (R15).
  NodeId node;
  std::uint64_t segment_bytes = 64 * kMiB;
  std::uint32_t spare_segments = 1;  ///< Zero-filled ones kept ahead (R75).
};

/// What is left for the log to grow in (R75). kLittle: of the segment that is written a fourth at
/// most, and the spare that should come after it can't be made. kNone: an eighth at most, which is
/// for the small writes of elections; a large one may find no room.
enum class Room : std::uint8_t { kEnough, kLittle, kNone };

/// What a step of a scrub found.
struct Scrubbed {
  /// Bytes that can't be read as they were written.
  struct Damage {
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;
    /// Recovery can tell which entries are in doubt and let a leader refill them; it could not go
    /// on past a segment whose header is gone.
    bool recoverable = true;
  };
  bool done = false;  ///< All closed segments were read; the next step begins anew.
  std::optional<Damage> damage;
};

/// The replicated log and the vote on disk. The layout is drawn in segment_format.h.
///
/// Writes are submitted in order and are durable only when Sync has returned ok. Any failed write
/// or sync poisons the log: every later call fails and the process has to end (R37, R68). One
/// thread, except that spare segments are prepared on the environment's executor.
class RaftLog {
 public:
  /// Opens or makes the log and recovers it, with the verdicts of raftd/log/README.md: clean and
  /// torn tails give a healthy node, damage and loss are told in Recovered::health. unavailable:
  /// another process holds it. corruption: it must not start at all (an unknown vote, another
  /// cluster or node, a gap between segments): the operator wipes it and adds the node under a new
  /// id. io_error is never taken for the end of the log. `membership` is what a new log begins
  /// with; an older one knows its own, as its entries tell, and goes by that.
  static Result<std::unique_ptr<RaftLog>> Open(const Environment& environment,
                                               const LogOptions& options,
                                               const Membership& membership);
  virtual ~RaftLog() = default;

  /// What Open found; the core is started from it.
  virtual const Recovered& recovered() const = 0;

  /// Takes a write: one batch together with all others submitted before the next Sync. It may be
  /// written to the file at once or at Sync. REQUIRES: seq ascends; entries are contiguous with
  /// what is there after the cut.
  virtual Status Submit(const Write& write) = 0;
  /// Writes what was submitted and makes it durable: one write and one fdatasync, and the vote file
  /// where the vote changed. Gives the last seq that is durable now.
  virtual Result<WriteSeq> Sync() = 0;
  /// After 10 ms without a write: proves the last batch durable on disk, so that damage to it is
  /// never taken for a torn tail. Does nothing where nothing needs it.
  virtual Status SyncIdle() = 0;

  /// Entries [first, last] as far as `bytes_max` of payload goes, at least one. REQUIRES: they are
  /// in the log. corruption where they can't be read back as they were written (the node must stop
  /// serving them).
  virtual Result<std::vector<Entry>> Read(LogIndex first, LogIndex last, std::size_t bytes_max) = 0;

  /// Entries at or below `index` are not needed any more: whole segments below it are recycled or
  /// removed.
  virtual Status Compact(LogIndex index) = 0;

  /// Goes on with the scrub: reads about `bytes_max` more of the segments that are not written any
  /// more and checks them as recovery would. A segment whose damage was told, here or by recovery,
  /// is left out from then on. io_error: what could not be read is passed over, too. Neither says
  /// anything of the log's other calls.
  virtual Result<Scrubbed> Scrub(std::size_t bytes_max) {
    static_cast<void>(bytes_max);
    return Scrubbed{.done = true, .damage = {}};
  }

  /// Goes on trying to make a spare where there is none.
  virtual Room RoomLeft() { return Room::kEnough; }

  virtual std::uint64_t SizeOnDisk() const = 0;
  /// Up to here the entries would have to be compacted for the segments to take no more than
  /// `bytes_max`; 0: they take no more (see Raft::SetLogPressure). The segment that is written
  /// always stays, so that the log may be larger by it.
  virtual LogIndex LastBeyond(std::uint64_t bytes_max) const = 0;
};

}  // namespace bedrock::raft
