#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/env/file_system.h"
#include "storaged/snapshot/manifest.h"

namespace bedrock::storage {

// A node's data, and where they are while a snapshot takes their place. BASE is "storage":
//
//   BASE                     the engine's folder until a snapshot is installed
//   BASE.current             names the engine's folder since then; missing: BASE
//   BASE.0123456789abcdef    a folder of that snapshot's id: being fetched, with a SNAPSHOT file in
//                            it until BASE.current has named it the engine's
//   BASE.checkpoints/ID      a checkpoint that other nodes read, with a SNAPSHOT file
//   BASE.quarantine          the data in the folder that it names differ from other replicas'
//
//   BASE.current = name of the folder and a newline, then eight hex digits, the CRC-32C of the
//   name, and a newline. Replacing it is the one step by which a snapshot is installed: before it
//   the old folder counts, whatever has become of the new one; after it the new one. What does not
//   count any more is removed later, and after a crash at the next start.
//
//   BASE.quarantine = name of the folder, a space, the index of the entry at which they differed in
//   decimal, and a newline, then CRC-32C and newline as above, over all before. It says nothing of
//   any other folder, so that installing a snapshot ends it, and goes where BASE.* is moved to.

/// Knows these names and which folder counts. One thread, but Point and Quarantine, which may run
/// on another.
/// Borrows the file system.
class DataFolder {
 public:
  /// Reads what stands there and changes nothing. corruption: BASE.current is damaged or missing,
  /// or what it names is; an empty database must not be begun then.
  static Result<DataFolder> Open(FileSystem& file_system, std::string base);

  /// Where the engine's files are, or will be in a node without any.
  const std::string& engine() const { return engine_; }
  std::string SnapshotFolder(SnapshotId id) const;
  std::string CheckpointFolder(SnapshotId id) const;
  std::string checkpoints() const { return base_ + ".checkpoints"; }
  /// Folders of snapshots that were begun, other than the engine's. By name.
  Result<std::vector<SnapshotId>> Begun() const;
  /// Folders that no longer count: BASE where another one is the engine's.
  std::vector<std::string> Replaced() const;

  enum class Outcome : std::uint8_t {
    kDone,
    kNothing,  ///< The engine's folder is what it was, and stays it.
    kUnknown,  ///< A crash decides which one it is: nothing more must be made durable in either.
  };
  struct Pointed {
    Outcome outcome = Outcome::kDone;
    Status why;
  };
  /// Makes the folder of snapshot `id` the engine's, durably. REQUIRES: what is in it is durable.
  Pointed Point(SnapshotId id) const;
  /// Notes durably that the engine's data differ from other replicas' at entry `index`. May run on
  /// another thread, like Point.
  Status Quarantine(LogIndex index) const;
  /// What is noted of the engine's folder; 0: nothing. A note that can't be read says that it is,
  /// but not since when: kQuarantineUnclear.
  Result<LogIndex> quarantined_at() const;
  static constexpr LogIndex kQuarantineUnclear{1};  // a leader's first entry, never a check
  /// Durably: no note is there, nor comes back with a crash. One that is of another folder than the
  /// engine's does no harm where it stays.
  Status ForgetQuarantine() const;
  /// Point is done: the engine's folder is that one.
  void Moved(SnapshotId id) { engine_ = SnapshotFolder(id); }

 private:
  DataFolder(FileSystem& file_system, std::string base)
      : file_system_(&file_system), base_(std::move(base)), engine_(base_) {}

  std::string pointer() const { return base_ + ".current"; }
  std::string quarantine() const { return base_ + ".quarantine"; }
  /// Makes "PATH.tmp" of a line and its checksum, durably but for its name.
  Status WriteTemporary(const std::string& path, std::string_view line) const;

  FileSystem* file_system_;
  std::string base_;
  std::string engine_;
};

}  // namespace bedrock::storage
