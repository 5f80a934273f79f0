#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "bedrock/version.h"
#include "common/base/thread_annotations.h"
#include "common/base/typed_bool.h"
#include "common/base/units.h"
#include "common/env/environment.h"
#include "storaged/engine/wal/recovery.h"
#include "storaged/engine/wal/segment_pool.h"
#include "storaged/engine/wal/wal_format.h"

namespace bedrock::engine::wal {

using Salvage = TypedBool<struct SalvageTag>;
using UseMapping = TypedBool<struct UseMappingTag>;

struct LogOptions {
  std::string directory;  ///< Must exist. Other files in it are left alone.
  /// Tells this database's files from others'.
  std::uint64_t database_id = 0;
  /// Size of a file, in bytes; a multiple of 4 KiB from 8 KiB to 1 GiB. A commit that does not fit
  /// gets a file of its own size.
  std::uint64_t segment_bytes = 64 * kMiB;
  /// The room that a new file takes before its first commit; from there it doubles in the
  /// background.
  std::uint64_t first_fill_bytes = 256 * kKiB;
  /// How many files that nobody needs any more are kept to be written again. Where nobody syncs,
  /// only while they are written to.
  std::size_t spares_max = 4;
  /// Opens a damaged log, too: with the commits before the first damage. What follows is gone for
  /// good then.
  Salvage salvage = Salvage::kNo;
  /// Whether commits that only have to survive the process are stored into a mapping of the file,
  /// where the file system has such, instead of being written by a system call each.
  UseMapping mapping = UseMapping::kYes;

  Status Validate() const;
};

/// What a commit has to survive.
enum class Durability : std::uint8_t {
  kProcess,  ///< The death of the process, from when Append returns.
  kDisk,     ///< That of the machine, from when Sync returns.
};

/// Where the log stood after an append.
struct Position {
  Version version;
  std::uint64_t undos = 0;  ///< How often commits were undone: a version alone may come again.
};

struct LogStats {
  std::uint64_t appends = 0;
  std::uint64_t bytes = 0;   ///< Appended, framing included.
  std::uint64_t syncs = 0;   ///< Calls that made records durable.
  std::size_t segments = 0;  ///< Files that hold commits, the current one included.
  std::size_t spares = 0;    ///< Files that wait to be written again.
};

/// The write-ahead log of the embedded library: commits, one record each, in the order of their
/// contiguous versions (wal_format.h draws the files, README.md has the verdicts of recovery).
///
/// Threads: Append, ReleaseThrough and the destructor belong to one thread at a time, the owner
/// (the database holds its commit lock). Sync may be called by any thread at any time, also while
/// the owner appends; stats, last_version and durable_version, too. A leader of a group commit
/// appends for all, lets go of the commit lock, syncs and publishes.
///
/// Errors. Append: invalid_argument for a commit above kPayloadBytesMax; no_space and any other
/// error of the disk leave the log as it was, and a later Append of the same version may succeed.
/// Append and Sync: when a write fails, that file is never written to again, and what was not
/// synced and not reported as appended with kProcess is undone: last_version() says what is left,
/// later ones get aborted, and the next version to append is the one behind it. A failed sync is
/// final: from then on everything returns its status; nobody can say what is on the disk.
///
/// Lock order: the owner's lock, then the log's mutex, then the pool's. The log's mutex is held
/// over its own writes and never over a sync.
class Log {
 public:
  /// Hands all commits above `after` that the folder holds to `replay`, in order, makes them
  /// durable, and is ready for the next one. `after`: up to there commits are durable elsewhere
  /// (in tables); it never goes back from one open to the next.
  ///
  /// corruption where something durable is damaged or missing, unless options.salvage;
  /// an error of `replay` is passed on.
  static Result<std::unique_ptr<Log>> Open(const Environment& environment, LogOptions options,
                                           Version after, const Replay& replay);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// Adds a commit. With kProcess it survives the process when this returns, which usually costs no
  /// system call; it waits where a Sync is writing commits before it. With kDisk it is only kept in
  /// memory until somebody calls Sync, or appends with kProcess behind it. `version` is
  /// last_version() + 1, or aborted. The payload is copied.
  Status Append(Version version, std::string_view payload, Durability durability);

  /// Where the log stands: what Sync takes. The owner's.
  Position position() const EXCLUDES(mutex_);
  /// Makes all commits up to `through` durable. Waits for another Sync that runs; returns at once
  /// where they are durable already. aborted where some were undone meanwhile.
  Status Sync(Position through) EXCLUDES(mutex_);

  /// Commits up to `version` are durable elsewhere: files that hold no others are written again as
  /// new ones, or removed in the background. Where nobody syncs, that may be the last one.
  void ReleaseThrough(Version version);

  Version last_version() const { return Version(next_.load(std::memory_order_acquire)).Prev(); }
  Version durable_version() const { return Version(durable_.load(std::memory_order_acquire)); }
  LogStats stats() const EXCLUDES(mutex_);
  /// With Salvage::kYes: what was given up, for a person to read; else empty.
  const std::string& salvaged() const { return salvaged_; }

  /// What Append keeps in memory at most before it writes by itself.
  static constexpr std::size_t kStagedBytesMax = 4 * kMiB;

 private:
  /// Records that are not in the file yet: of one segment, contiguous.
  struct Batch {
    std::string bytes;
    std::uint64_t at = 0;
    Version first;
  };
  enum class Outcome : std::uint8_t { kDone, kWriteFailed, kSyncFailed };
  /// What a running Sync has to do; its thread's alone.
  struct SyncWork {
    std::vector<std::shared_ptr<Segment>> closed;  ///< Not durable yet; oldest first.
    std::shared_ptr<Segment> active;
    Batch batch;            ///< Behind all else that is in `active`.
    std::uint64_t end = 0;  ///< Of `active`, the batch included.
    bool names = false;     ///< The folder has to be synced.
    Version through;
  };

  Log(const Environment& environment, LogOptions options);

  Status Recover(Version after, const Replay& replay);
  Status Adopt(const RecoveredSegment& recovered);
  WalRecord RecordOf(RecordType type, Version version, std::string_view payload) const;
  void Advance(std::uint64_t end, Version next);
  Status AppendSlow(Version version, std::string_view payload, Durability durability)
      EXCLUDES(mutex_);
  Status CheckAppend(Version version) const REQUIRES(mutex_);
  bool NeedsSegment(std::uint64_t bytes) const REQUIRES(mutex_);
  Status MakeRoom(std::uint64_t bytes) REQUIRES(mutex_);
  Status BeginSegment(std::uint64_t bytes) REQUIRES(mutex_);
  SegmentHeader HeaderOf(const Segment& segment) const REQUIRES(mutex_);
  void CloseActive() REQUIRES(mutex_);
  void Stage(Version version, std::string_view payload) REQUIRES(mutex_);
  Status WriteStaged() REQUIRES(mutex_);
  void Undo(const Batch& batch, const Status& why) REQUIRES(mutex_);
  bool WasUndone(Position position) const REQUIRES(mutex_);
  void RefreshDirect() REQUIRES(mutex_);
  void ReleaseActive() REQUIRES(mutex_);

  void TakeSyncWork(SyncWork& work) REQUIRES(mutex_);
  Status RunSync(const SyncWork& work, Outcome& outcome);
  Status FinishSync(SyncWork& work, const Status& done, Outcome outcome) REQUIRES(mutex_);

  const Environment environment_;
  const LogOptions options_;
  std::shared_ptr<SegmentPool> pool_;
  std::string salvaged_;

  // The owner's; Sync reads the atomic ones.
  std::atomic<std::uint64_t> next_{1};  // the version to append next
  std::atomic<std::uint64_t> end_{0};   // of the active segment; set before next_
  std::uint64_t limit_ = 0;             // the direct way goes up to here
  std::uint64_t mark_ = 0;              // from here on the pool prepares more

  /// Stores into the mapping may go on: nothing before them waits to be written.
  std::atomic<bool> direct_{false};
  std::atomic<std::uint64_t> durable_{0};  // version

  mutable Mutex mutex_;
  std::condition_variable idle_;
  std::shared_ptr<Segment> active_;  // changed by the owner, under mutex_; Sync reads it under it
  bool broken_ GUARDED_BY(mutex_) = false;                          // a write to active_ failed
  std::deque<std::shared_ptr<Segment>> closed_ GUARDED_BY(mutex_);  // oldest first
  Batch staged_ GUARDED_BY(mutex_);
  bool syncing_ GUARDED_BY(mutex_) = false;
  bool flying_ GUARDED_BY(mutex_) = false;  // the running Sync writes a batch
  std::uint64_t undos_ GUARDED_BY(mutex_) = 0;
  std::deque<Version> undone_firsts_ GUARDED_BY(mutex_);  // of the newest undos
  Status failure_ GUARDED_BY(mutex_);                     // of a sync: final
  Status undone_ GUARDED_BY(mutex_);  // why commits were undone, for who asks to sync them
  std::uint64_t bytes_closed_ GUARDED_BY(mutex_) = 0;  // appended to segments closed by now
  std::uint64_t syncs_ GUARDED_BY(mutex_) = 0;
  Version opened_at_;
};

}  // namespace bedrock::engine::wal
