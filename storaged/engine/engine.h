#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/iterator.h"
#include "bedrock/options.h"
#include "bedrock/pinned_value.h"
#include "bedrock/result.h"
#include "bedrock/snapshot.h"
#include "bedrock/stats.h"
#include "bedrock/status.h"
#include "bedrock/write_batch.h"
#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "common/base/units.h"
#include "common/env/environment.h"
#include "storaged/engine/engine_health.h"

namespace bedrock::engine {

inline constexpr std::size_t kFlushJobsMax = 2;

struct EngineOptions {
  std::string directory;
  std::size_t memtable_bytes = 64 * kMiB;  ///< A memtable this large wants a flush.
  std::size_t memtables_max = 4;           ///< Active and waiting ones; beyond it Apply gets busy.
  std::size_t block_bytes = 4 * kKiB;      ///< Target size of a data block before compression.
  std::size_t table_bytes = 32 * kMiB;     ///< Target size of a compaction's output file.
  std::uint32_t filter_bits_per_key = 10;  ///< 0: no filter.
  std::uint32_t level0_files_trigger = 4;  ///< This many flushed files start a compaction.
  std::uint32_t level0_files_stop = 24;    ///< This many make Apply busy; half of it slows it down.
  std::uint64_t level1_bytes = 256 * kMiB;  ///< Target of the first sorted level.
  std::uint32_t level_multiplier = 10;      ///< Of each level's target over the one above it.
  /// Of compacted tables; unset: none on level 1, LZ4 below. Flushed ones are never compressed.
  std::optional<bedrock::Compression> compression;
  std::size_t block_cache_bytes = 64 * kMiB;
  /// What is held of open tables (indexes, filters) counts as part of block_cache_bytes, of which
  /// an eighth is always left to blocks.
  bool tables_count_as_cache = false;
  /// Values of at least this many bytes go to files of their own; 0: never.
  std::size_t blob_bytes_min = 8 * kKiB;
  /// Makes WantsFlush() true after this many applied entries even if the memtable is small: what is
  /// not flushed has to be kept in the log and applied again after a crash.
  std::uint64_t unflushed_entries_max = 1'000'000;
  /// A file of so many zeros is kept, once the data are some times as large, and given back when
  /// the disk is full, so that there is room to flush and to compact what is deleted; 0: none.
  std::size_t reserve_bytes = 16 * kMiB;
  /// So many memtables are written at once, 1 or 2, and so many compactions beside them: no more
  /// together than the executor has threads for.
  std::size_t flush_jobs_max = 1;
  std::size_t compaction_jobs_max = 1;
  /// Is told, in one line that a person reads, what went wrong and what was done about it. Called
  /// on any thread, by one at a time, with no lock of the engine held.
  std::function<void(std::string_view line)> on_event;
};

/// Where in the log the data stand: in a cluster the Raft log, embedded the sequence of commits
/// (term 0).
struct AppliedMark {
  LogIndex index;
  Term term;

  friend bool operator==(const AppliedMark&, const AppliedMark&) = default;
};

/// A key's state at a version.
struct Lookup {
  bool found = false;  ///< False: no version at or below, or a tombstone.
  Version version;     ///< Of the value or the tombstone; 0: the engine knows nothing of the key.
  std::string value;
};

/// Whether blocks that a read fetches stay in the cache; a long walk's would only push others out.
using FillCache = TypedBool<struct FillCacheTag>;
/// Whether blocks that come from files are checked against their checksums.
using VerifyChecksums = TypedBool<struct VerifyChecksumsTag>;

/// How to read.
struct ReadSettings {
  /// Unset: newest(), as of the call. One above newest() is newest(). One below the watermark is
  /// invalid_argument unless a snapshot pins just it.
  std::optional<Version> at;
  FillCache fill_cache = FillCache::kYes;
  VerifyChecksums verify_checksums = VerifyChecksums::kYes;
};

/// The LSM storage engine: versioned keys in memtables and sorted tables, one ordered keyspace. A
/// commit's version is the log index it is applied at. It has no log of its own here: what is only
/// in memory is applied again from the log after a crash, from durable_applied() on.
///
/// Threads: Apply, Admit, WriteDelayUs, WantsFlush, StartFlush, SetWatermark, OnProgress and the
/// destructor by one owner thread at a time; the rest by any. Flushes and compactions run on the
/// environment's executor, one step of bounded size at a time, whatever the number of its threads.
/// The destructor waits for running steps; it flushes nothing. PinnedValues, snapshots and
/// iterators may outlive the engine; such an iterator answers aborted.
///
/// Reads see whole commits: a read at a version above newest() is one at newest().
class Engine {
 public:
  /// Opens the directory, made where missing, and recovers it: CURRENT, MANIFEST, every live file
  /// present with its size; files that nothing names are removed. corruption: it must not be
  /// served. unavailable: in use elsewhere.
  static Result<std::unique_ptr<Engine>> Open(const Environment& environment,
                                              const EngineOptions& options);
  virtual ~Engine() = default;

  // ---- The owner's thread

  /// Applies all changes at version mark.index and moves applied() to mark, together: they are
  /// visible when it returns. A later change of a key wins over an earlier one. No changes only
  /// move the mark. Where it gives an error nothing was applied: those of Admit, and
  /// invalid_argument for a key above 64 KiB or a value above 128 MiB. REQUIRES: mark.index is
  /// applied().index + 1.
  Status Apply(const WriteBatch& batch, AppliedMark mark) { return Apply(batch.encoded(), mark); }
  /// `changes` in the encoding of WriteBatch. corruption: they are not.
  Status Apply(std::string_view changes, AppliedMark mark);

  // The two halves of Apply, for who has to write a log in between.
  /// Whether there is room for `changes`. busy: too much waits for flush or compaction. no_space:
  /// the same, because the disk is full; batches of nothing but deletes still pass, up to a
  /// reserve. io_error: the state is kReadOnly or kFailed. Costs next to nothing.
  virtual Status Admit(std::string_view changes) = 0;
  /// As Apply, whether there is room or not. REQUIRES: CheckChanges(changes) is ok.
  virtual Status ApplyAdmitted(std::string_view changes, AppliedMark mark) = 0;

  /// Whether WriteDelayUs may give anything but 0. Costs one load.
  virtual bool writes_slowed() const = 0;
  /// How long, in microseconds, whoever wants to Apply `bytes` should wait first so that flushes
  /// and compactions keep up: 0 nearly always. A hint that smooths what would end in busy.
  /// Whoever was told has waited once it has: it does not ask again.
  virtual std::uint64_t WriteDelayUs(std::size_t bytes) = 0;

  /// The active memtable is full, or too old a part of the log waits for it.
  virtual bool WantsFlush() const = 0;
  /// Freezes the active memtable and flushes it in the background; `client_state` becomes durable
  /// with it, in the same MANIFEST edit as the applied mark. Does nothing unless applied() has
  /// moved since the last time, and where memtables_max are waiting already.
  virtual void StartFlush(std::string client_state) = 0;
  /// Versions that only readers below `watermark` could tell apart may vanish, unless a snapshot
  /// pins them. Never goes back: a lower one is ignored. Becomes durable with the flush or
  /// compaction that uses it; one above what that has in hand counts as that. A watermark of
  /// UINT64_MAX, set once, keeps no history at all.
  virtual void SetWatermark(Version watermark) = 0;
  /// Called on a background thread whenever durable_applied() has moved, there is room again, or
  /// the state changed. Set once, before Apply. The callback may read, not destroy the engine.
  virtual void OnProgress(std::function<void()> callback) = 0;

  // ---- Any thread

  virtual AppliedMark applied() const = 0;
  /// The version of the last commit: what a read sees. Lock-free.
  virtual Version newest() const = 0;
  /// What is in files; a restart begins here.
  virtual AppliedMark durable_applied() const = 0;
  /// The client state that was handed to the flush that durable_applied() comes from; empty in a
  /// new database.
  virtual std::string client_state() const = 0;

  /// The value of `key`, not copied. not_found: absent. corruption names file and offset; other
  /// keys stay readable.
  virtual Status Get(std::string_view key, const ReadSettings& settings,
                     PinnedValue* value) const = 0;
  /// All at one version, in the order of `keys`.
  virtual std::vector<Result<PinnedValue>> MultiGet(std::span<const std::string_view> keys,
                                                    const ReadSettings& settings) const = 0;
  /// The newest version of `key` at or below `at`, tombstones told from ignorance.
  virtual Result<Lookup> Get(std::string_view key, Version at) const = 0;
  /// The version of the newest change of `key`, a tombstone's, too; 0: the engine knows nothing of
  /// it. Reads no value.
  virtual Result<Version> NewestVersion(std::string_view key) const = 0;
  /// Whether anything in `range` was put or deleted above version `since`, by key or by range.
  /// REQUIRES: a snapshot pins `since`, or the watermark is not above it, so that no compaction
  /// takes away what would show it.
  virtual Result<bool> ChangedSince(Range range, Version since) const = 0;
  /// The same for versions in (after, until] alone. REQUIRES: as ChangedSince, for `after`.
  virtual Result<bool> ChangedBetween(Range range, Version after, Version until) const = 0;
  /// Keys within `bounds`, which are copied. Never null.
  virtual std::unique_ptr<Iterator> NewIterator(const ReadSettings& settings,
                                                Range bounds) const = 0;
  /// Pins newest(): flushes and compactions that begin later keep what a read at it needs, until
  /// the last copy is gone.
  virtual Snapshot GetSnapshot() const = 0;

  /// Tries again what failed and waits (a full disk, a damaged table), once its time has come, and
  /// removes files that readers held. Needed now and then, each second or so. Cheap.
  virtual void Tick() = 0;
  /// Tries again at once what failed and waits for its time: somebody knows, or wants to know,
  /// whether it works now. Any thread.
  virtual void RetryNow() = 0;

  /// Rewrites all tables that share keys with `range` down to the last level they reach, in the
  /// background, then calls `done` there, once; aborted when the engine is destroyed before. Takes
  /// only what is in tables.
  virtual void CompactRange(Range range, std::function<void(Status)> done) = 0;
  /// Makes a database of its own in `directory`, which must not exist, out of what
  /// durable_applied() covers: hard links where the file system is the same, copies elsewhere.
  /// Everything else goes on meanwhile. After an error what was made is removed again.
  virtual Status Checkpoint(const std::string& directory) = 0;
  /// Bytes of tables and blobs for keys of `range`, about.
  virtual std::uint64_t ApproximateSize(Range range) const = 0;
  /// What Stats() says of it, at next to no cost.
  virtual EngineHealth health() const = 0;
  virtual EngineStats Stats() const = 0;
  /// Reads and checks every block of every live file. Slow; other calls go on meanwhile.
  virtual Status Verify() const = 0;
};

}  // namespace bedrock::engine
