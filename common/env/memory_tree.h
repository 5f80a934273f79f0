#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/env/memory_file_system.h"
#include "common/env/memory_inode.h"
#include "common/env/random.h"

// What MemoryFileSystem is made of; nobody else includes it.

namespace bedrock::memory_internal {

/// One name in one folder, and what it means from now on (null: nothing).
struct EntryChange {
  InodePtr directory;
  std::string name;
  InodePtr target;
};

/// A change of the name space that no SyncDirectory has made durable: all of its entries or none.
/// The last entry's folder is the one whose SyncDirectory counts.
struct NameChange {
  std::vector<EntryChange> entries;
  InodePtr removed_directory;  ///< Of RemoveDirectory.

  void MakeDurable() const;
};

/// The names of a disk in memory, and through them its files: what is there now, what a power cut
/// leaves, and how many bytes the files have. No lock of its own.
struct MemoryTree {
  InodePtr root = NewDirectory();
  std::vector<NameChange> unsynced;  ///< Oldest first.
  std::uint64_t used = 0;            ///< Bytes of files that have a name.

  static InodePtr NewDirectory();

  void Apply(NameChange change);
  void SyncDirectory(const InodePtr& directory);
  /// The power goes, and comes back.
  void Crash(Random& random, MemoryFileSystem::CrashMode mode);
  /// All of it once more, un-synced parts included.
  MemoryTree Clone() const;

 private:
  void CrashNames(Random& random, MemoryFileSystem::CrashMode mode);
  void CrashInodes(Random& random, MemoryFileSystem::CrashMode mode);
};

}  // namespace bedrock::memory_internal
