#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bedrock/snapshot.h"
#include "bedrock/status.h"
#include "bedrock/version.h"

namespace bedrock {

struct Environment;

enum class Compression : std::uint8_t { kNone = 0, kLz4 = 1, kZstd = 2 };

/// How a database is opened. Every default is meant to be left alone; each field says when not to.
struct Options {
  /// Makes the directory and an empty database where there is none. Otherwise that is not_found.
  bool create_if_missing = true;
  /// Refuses (invalid_argument) a directory that holds a database already.
  bool error_if_exists = false;

  /// Memory for all that a database holds, in bytes; at least 1 MiB. A fourth goes to memtables:
  /// the one that is written to and up to three that wait for their flush, a sixteenth each. An
  /// eighth is left to what comes and goes: the log's mapped files, and the buffers of flushes and
  /// compactions (a few MiB for each background thread, whatever the budget). The rest goes to what
  /// is held of tables (index, filter), and what that leaves, but at least an eighth of the rest,
  /// to blocks. More makes reads hit memory and writes be compacted less often.
  std::size_t memory_budget = std::size_t{256} << 20;
  /// Fixes the size of one memtable, in bytes, apart from memory_budget; 64 KiB to 4 GiB. A
  /// memtable this large is written to a file while the next one takes the writes.
  std::optional<std::size_t> memtable_bytes;
  /// Fixes the memory for blocks read from files, in bytes, apart from memory_budget; may be 0.
  std::optional<std::size_t> block_cache_bytes;

  /// Reads up to so many bytes of files through memory maps instead of by system calls, beside
  /// memory_budget; 0: none. Makes reads of what is in the system's page cache but not in the block
  /// cache faster, by a fifth to a third. The pages that were read count as this process's resident
  /// memory, though the system may take them back at any time. And a disk that fails to give a
  /// page, or somebody who cuts a file of the database short while it is open, then ends the
  /// process with SIGBUS, where otherwise the read gets an error: so it is off unless asked for.
  /// Ignored with an `env`.
  std::size_t mapped_bytes_max = 0;

  /// Size of a data block before compression, in bytes; 512 to 1 MiB. Larger ones compress better
  /// and make smaller indexes, smaller ones read less for a single key.
  std::size_t block_bytes = std::size_t{4} << 10;
  /// Compression of tables; unset: none where data are rewritten soon (levels 0 and 1), LZ4 below.
  /// kZstd makes data smaller at the price of CPU.
  std::optional<Compression> compression;
  /// Bits of Bloom filter for each key, 0 (no filter) to 30. 10 let about one in a hundred lookups
  /// of an absent key through to a block.
  std::uint32_t filter_bits_per_key = 10;
  /// Values of at least this many bytes are kept in files of their own, written once, instead of
  /// being copied by compactions. 0: never.
  std::size_t blob_bytes_min = std::size_t{8} << 10;

  /// Threads for flushes and compactions, 1 to 64. Ignored with an `env`, which brings its own.
  std::size_t background_threads = 2;

  /// How long versions that were overwritten or deleted stay readable (ReadOptions::at_version).
  /// What a snapshot or an iterator needs stays as long as it lives, whatever this says.
  std::chrono::milliseconds history{0};

  /// Where files, time and threads come from; null: this machine's. Borrowed, and outlives the
  /// database. For tests and simulations.
  const Environment* env = nullptr;

  /// invalid_argument names the field that is out of its bounds.
  Status Validate() const;
};

struct ReadOptions {
  /// Reads the state of this snapshot, of the same database; unset: the newest state.
  OptionalSnapshot snapshot;
  /// Reads the state at this version instead. invalid_argument where it is not kept any more
  /// (Options::history), or together with a snapshot. One above the newest is the newest.
  std::optional<Version> at_version;
  /// Keeps the blocks that were read in memory. A long walk need not turn it off: what it reads
  /// ahead, from the third block in a row on, is kept only where there is room to spare, and puts
  /// nothing out that is cached already. Off, not even a lookup's block is kept.
  bool fill_cache = true;
  /// Checks each block that comes from a file against its checksum. Blocks in memory were checked
  /// when they came.
  bool verify_checksums = true;
};

enum class Sync : std::uint8_t {
  kYes,  ///< Durable on the disk when the call returns. Writers that wait at once share a sync.
  kNo,   ///< Survives the death of the process, not that of the machine.
};

struct WriteOptions {
  Sync sync = Sync::kYes;
};

/// Keys in [begin, end), bytewise. An empty `end` is unbounded. Views are borrowed.
struct Range {
  std::string_view begin;
  std::string_view end;
};

/// All keys that start with `prefix`, as the bounds of a range. The returned end lives in the
/// result; `prefix` is borrowed.
class PrefixRange {
 public:
  explicit PrefixRange(std::string_view prefix);
  operator Range() const { return {begin_, end_}; }  // NOLINT: it is a range

 private:
  std::string_view begin_;
  std::string end_;
};

}  // namespace bedrock
