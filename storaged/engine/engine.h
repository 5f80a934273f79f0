#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/ids.h"
#include "common/base/units.h"
#include "common/env/environment.h"

namespace bedrock::engine {

struct EngineOptions {
  std::string directory;
  std::size_t memtable_bytes = 64 * kMiB;  ///< A memtable this large wants a flush.
  std::size_t memtables_max = 4;           ///< Active and waiting ones; beyond it Apply gets busy.
  std::size_t block_bytes = 4 * kKiB;      ///< Target size of a data block before compression.
  std::size_t table_bytes = 32 * kMiB;     ///< Target size of a compaction's output file.
  std::uint32_t filter_bits_per_key = 10;  ///< 0: no filter.
  std::uint32_t level0_files_trigger = 4;  ///< This many flushed files start a compaction.
  std::uint32_t level0_files_stop = 20;    ///< This many make Apply busy.
  std::size_t block_cache_bytes = 64 * kMiB;
  /// Makes WantsFlush() true after this many applied entries even if the memtable is small: what is
  /// not flushed has to be kept in the Raft log and applied again after a crash.
  std::uint64_t unflushed_entries_max = 1'000'000;
  bool compress = true;  ///< LZ4 for compacted tables; flushed ones are never compressed.
};

/// Where in the replicated log the data stand.
struct AppliedMark {
  LogIndex index;
  Term term;

  friend bool operator==(const AppliedMark&, const AppliedMark&) = default;
};

/// One change of one key. Views are borrowed for the call.
struct Mutation {
  enum class Kind : std::uint8_t { kPut = 1, kDelete = 2 };
  Kind kind = Kind::kPut;
  std::string_view key;
  std::string_view value;
};

/// A key's state at a version.
struct Lookup {
  bool found = false;  ///< False: no version at or below, or a tombstone.
  Version version;     ///< Of the value or the tombstone; 0: the engine knows nothing of the key.
  std::string value;
};

enum class EngineState : std::uint8_t {
  kHealthy,
  kNoSpace,  ///< The disk is full: flushes wait; clears by itself.
  kFailed,   ///< A sync or the MANIFEST failed: nothing more is made durable; the process must
             ///< restart.
};

struct EngineStats {
  EngineState state = EngineState::kHealthy;
  std::string detail;  ///< Why it is not healthy.
  std::vector<std::size_t> files_per_level;
  std::uint64_t table_bytes = 0;
  std::size_t memtable_bytes = 0;
  std::size_t memtables = 0;
};

/// Walks keys in ascending order at one version, tombstones left out. Holds the files and memtables
/// that it reads for as long as it lives. One thread at a time. After an error Valid() is false and
/// status() says so.
class Iterator {
 public:
  virtual ~Iterator() = default;
  virtual bool Valid() const = 0;
  virtual void SeekToFirst() = 0;
  virtual void Seek(std::string_view key) = 0;  ///< The first key at or after `key`.
  virtual void Next() = 0;                      ///< REQUIRES: Valid().
  virtual std::string_view key() const = 0;     ///< Until the next call that moves.
  virtual std::string_view value() const = 0;
  virtual Version version() const = 0;
  virtual Status status() const = 0;
};

/// The LSM storage engine: versioned keys in memtables and sorted tables, one ordered keyspace. A
/// commit's version is the log index it is applied at. It has no log of its own here: what is only
/// in memory is applied again from the Raft log after a crash, from durable_applied() on.
///
/// Threads: Apply, StartFlush, SetWatermark, Tick, OnProgress and the destructor by one owner
/// thread; the rest by any. Flushes and compactions run on the environment's executor, one step
/// of bounded size at a time, whatever the number of its threads. Iterators end before the engine.
/// The destructor waits for a running step; it flushes nothing.
///
/// Reads see whole commits: a read at a version above applied() is one at applied().
class Engine {
 public:
  /// Opens the directory, made where missing, and recovers it: CURRENT, MANIFEST, every live file
  /// present with its size; files that nothing names are removed. corruption: it must not be
  /// served. unavailable: in use elsewhere.
  static Result<std::unique_ptr<Engine>> Open(const Environment& environment,
                                              const EngineOptions& options);
  virtual ~Engine() = default;

  /// Applies all mutations at version mark.index and moves applied() to mark, together. The last
  /// mutation of a key wins. An empty list only moves the mark. Where it gives an error nothing was
  /// applied. busy: too much waits for flush or compaction. invalid_argument: a key above 64 KiB or
  /// a value above 128 MiB. io_error: the state is kFailed. REQUIRES: mark.index is
  /// applied().index + 1.
  virtual Status Apply(const std::vector<Mutation>& mutations, AppliedMark mark) = 0;

  virtual AppliedMark applied() const = 0;
  /// What is in files; a restart begins here. Any thread.
  virtual AppliedMark durable_applied() const = 0;
  /// The client state that was handed to the flush that durable_applied() comes from; empty in a
  /// new database.
  virtual std::string client_state() const = 0;

  /// The active memtable is full, or too old a part of the log waits for it.
  virtual bool WantsFlush() const = 0;
  /// Freezes the active memtable and flushes it in the background; `client_state` becomes durable
  /// with it, in the same MANIFEST edit as the applied mark. Does nothing unless applied() has
  /// moved since the last time, and where memtables_max are waiting already.
  virtual void StartFlush(std::string client_state) = 0;
  /// Called on a background thread whenever durable_applied() has moved or the state changed. Set
  /// once, before Apply. The callback may read, not destroy the engine.
  virtual void OnProgress(std::function<void()> callback) = 0;

  /// Tries again what failed and waits (a full disk, a damaged table), once its time has come, and
  /// removes files that readers held. Apply and StartFlush try, too; an engine that nobody writes
  /// to needs this call now and then, each second or so. Cheap.
  virtual void Tick() = 0;

  /// The newest version of `key` at or below `at`. corruption names file and offset; other keys
  /// stay readable. invalid_argument: `at` is below a watermark that has been used, so the answer
  /// may have vanished.
  virtual Result<Lookup> Get(std::string_view key, Version at) const = 0;
  /// `at` and errors as in Get; keys in [begin, end), an empty `end` is unbounded. Stands nowhere
  /// until it is positioned.
  virtual std::unique_ptr<Iterator> NewIterator(Version at, std::string_view begin,
                                                std::string_view end) const = 0;

  /// Versions that only readers below `watermark` could tell apart may vanish. Never goes back: a
  /// lower one is ignored. Becomes durable with the flush or compaction that uses it; one above
  /// what is durable counts as that, so that what is applied again after a crash can be read as it
  /// was.
  virtual void SetWatermark(Version watermark) = 0;

  virtual EngineStats Stats() const = 0;
  /// Reads and checks every block of every live table. Slow; other calls go on meanwhile.
  virtual Status Verify() const = 0;
};

}  // namespace bedrock::engine
