#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/env/file_system.h"
#include "storaged/engine/manifest/version_edit.h"

namespace bedrock::engine {

// MANIFEST-NNNNNN: a log of version edits. The first is the whole state when the file was begun.
//
//   header   32 bytes
//   0   8  magic "BRKMANIF"
//   8   4  format version, 2
//   12  4  CRC-32C of the other 28 bytes
//   16  8  file number
//   24  8  zero
//
//   records  (common/record), stream = file number, ordinal = 1, 2, …, aux = bytes of this file
//   that
//            were durable when the record was written
//   type 1   a piece of an edit: flag 1 says that the edit goes on in the next record
//   type 2   seal: no payload. Written behind each edit once that is durable, not synced itself. It
//            tells damage from a torn tail: a whole record behind the damage, with an aux above it,
//            proves that the damaged bytes were once whole.
//
// CURRENT: the MANIFEST's name and a newline, then eight hex digits, the CRC-32C of the name, and a
// newline. Replaced by rename, after the MANIFEST and its folder entry are durable.
//
// Torn tails (a cut or damaged last record with no proof behind it, zeroes) are what a crash in the
// middle of an append leaves; the edit before them is the last. Anything else that does not add up
// is corruption. A MANIFEST is never appended to after a restart: recovery begins a new one.

/// Appends edits. One thread at a time. After an error the file's tail is unknown: never append
/// again; the edit may or may not be found by a recovery.
///
/// Errors: no_space where a write found the disk full, nothing was promised and a new MANIFEST may
/// be tried later; everything else, a failed sync above all, is final.
class ManifestWriter {
 public:
  /// Begins MANIFEST-number with `state` and makes CURRENT name it, durably.
  static Result<std::unique_ptr<ManifestWriter>> Create(FileSystem& file_system,
                                                        const std::string& directory,
                                                        FileNumber number,
                                                        const ManifestState& state);

  /// Returns once the edit is durable.
  Status Append(const VersionEdit& edit);

  FileNumber number() const { return number_; }
  std::uint64_t bytes() const { return offset_; }
  /// What the state that began this file takes.
  std::uint64_t first_edit_bytes() const { return first_edit_bytes_; }

 private:
  ManifestWriter(std::unique_ptr<File> file, FileNumber number)
      : file_(std::move(file)), number_(number) {}

  void EncodeEdit(const VersionEdit& edit, std::string& out);
  void EncodeSeal(std::string& out);

  std::unique_ptr<File> file_;
  FileNumber number_;
  std::uint64_t offset_ = 0;   ///< Where the next record goes.
  std::uint64_t durable_ = 0;  ///< Synced; below offset_ by a seal that the next sync takes along.
  std::uint64_t first_edit_bytes_ = 0;
  std::uint64_t next_ordinal_ = 1;
};

/// What CURRENT says. not_found: there is none. corruption: it is damaged.
Result<FileNumber> ReadCurrent(FileSystem& file_system, const std::string& directory);

/// Adds up a MANIFEST's bytes. corruption says at which offset.
Result<ManifestState> DecodeManifest(std::string_view content, FileNumber number);

/// Whether these bytes of a MANIFEST-000001 are what the making of a new database, cut short by a
/// crash before CURRENT named it, leaves: nothing in it can be missed.
bool IsUnbornManifest(std::string_view content, FileNumber number);

}  // namespace bedrock::engine
