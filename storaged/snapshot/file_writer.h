#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bedrock/status.h"
#include "common/base/units.h"
#include "common/env/file_system.h"
#include "proto/storage_messages.h"
#include "storaged/engine/table/hash.h"

namespace bedrock::storage {

/// So much of a file is synced at once while it grows, not all of it at its end.
inline constexpr std::uint64_t kSyncStepBytes = 16 * kMiB;

/// "000002.sst.part": a file that is not whole yet.
std::string PartName(std::string_view name);

/// Writes a snapshot's files, one after another, each under PartName until it is whole, has the
/// hash that the manifest says, and is durable. Its own name becomes durable with the folder.
///
/// One thread at a time. Borrows the file system.
class FileWriter {
 public:
  FileWriter(FileSystem& file_system, std::string folder);

  struct Piece {
    proto::SnapshotFile file;
    std::uint64_t offset = 0;
    Bytes data;
  };
  /// Puts the piece that follows the last one of this file, or the first since a restart, into it.
  /// What such a file has before the piece is read back, for its hash. corruption: the file is
  /// whole and not what it should be. After an error nothing is left of it, and it begins anew.
  Status Write(const Piece& piece);

 private:
  Status Append(const Piece& piece);
  Status Begin(const Piece& piece);
  Status Finish(const proto::SnapshotFile& file);
  void Hash(const proto::SnapshotFile& file, std::uint64_t offset, std::string_view data);
  std::string Part(const proto::SnapshotFile& file) const;

  FileSystem& file_system_;
  const std::string folder_;
  std::string name_;  // of the file that is open
  std::unique_ptr<File> file_;
  std::uint64_t end_ = 0;
  std::uint64_t unsynced_ = 0;
  std::optional<engine::StreamingHash64> hash_;
};

}  // namespace bedrock::storage
