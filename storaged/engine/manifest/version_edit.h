#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "common/base/ids.h"
#include "storaged/engine/blob/blob_format.h"
#include "storaged/engine/table/table_format.h"

namespace bedrock::engine {

/// Level 0 holds flushed tables, whose keys may overlap; each deeper level is sorted, its tables
/// share no user key. The last one is 1 so far; the formats allow kLevelsMax.
inline constexpr std::uint32_t kLevelsMax = 7;

// A version edit, as it stands in a MANIFEST record: fields one after another, each a varint tag
// and its contents. Unknown tags are corruption: skipping what a newer release meant loses data.
//
//   1  added table     level, number, size: varints; content hash: 8 bytes;
//                      smallest, largest: length and bytes; kind of largest, version min,
//                      version max, entries, tombstones, range tombstones, data blocks,
//                      dense blocks, raw bytes: varints; blob references: count, then file and
//                      bytes of each, by file; garbage: count, then version and bytes of each,
//                      by version
//   2  removed table   level, number: varints
//   3  next file number   varint
//   4  applied         index, term: varints
//   5  watermark       varint
//   6  client state    length and bytes
//   7  quarantined     varint: the number of a table
//   8  added blob file    number, size, value bytes: varints; content hash: 8 bytes
//   9  removed blob file  varint
//   10 released        varint: the number of a table that was quarantined

/// One step from a state of the engine's files to the next; applied as a whole or not at all.
struct VersionEdit {
  struct Added {
    std::uint32_t level = 0;
    TableMetadata table;
    friend bool operator==(const Added&, const Added&) = default;
  };
  struct Removed {
    std::uint32_t level = 0;
    FileNumber number;
    friend bool operator==(const Removed&, const Removed&) = default;
  };
  struct Applied {
    LogIndex index;
    Term term;
    friend bool operator==(const Applied&, const Applied&) = default;
  };

  std::vector<Added> added;
  std::vector<Removed> removed;
  std::vector<FileNumber> quarantined;  ///< Live tables, damaged, from now on left as they are.
  std::vector<FileNumber> released;     ///< Quarantined tables that proved to be whole.
  std::vector<BlobFile> added_blobs;
  std::vector<FileNumber> removed_blobs;
  std::optional<FileNumber> next_file;
  std::optional<Applied> applied;
  std::optional<Version> watermark;
  std::optional<std::string> client_state;

  std::string Encode() const;
  /// corruption: not an edit. Any bytes may come in.
  static Result<VersionEdit> Decode(std::string_view text);

  friend bool operator==(const VersionEdit&, const VersionEdit&) = default;
};

/// What all edits so far add up to. A value.
struct ManifestState {
  std::vector<std::vector<TableMetadata>> levels =
      std::vector<std::vector<TableMetadata>>(kLevelsMax);
  /// Live tables that failed their checks: kept, and no compaction's input. Gone with the table.
  std::set<FileNumber> quarantined;
  /// Every one that a table refers to, perhaps more.
  std::map<FileNumber, BlobFile> blobs;
  FileNumber next_file{1};
  VersionEdit::Applied applied;
  Version watermark;
  std::string client_state;

  /// corruption, and the state is worthless: the edit does not fit (removes or quarantines what is
  /// not there, adds what is, turns back applied, watermark or the next file number, breaks a
  /// level's order, leaves a table without a blob file that it refers to).
  Status Apply(const VersionEdit& edit);
  /// Bytes of each blob file that live tables refer to; those without any, too.
  std::map<FileNumber, std::uint64_t> BlobLiveBytes() const;
  /// The edit that makes this state out of an empty one.
  VersionEdit AsEdit() const;

 private:
  Status ApplyTables(const VersionEdit& edit);
  Status ApplyBlobs(const VersionEdit& edit);
  Status ApplyQuarantine(const VersionEdit& edit);
  Status ApplyMarks(const VersionEdit& edit);
  Status AddTable(const VersionEdit::Added& added);
  Status CheckLevels() const;
  Status CheckBlobs() const;
};

}  // namespace bedrock::engine
