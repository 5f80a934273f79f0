#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/env/memory_file_system.h"
#include "common/env/random.h"

// What MemoryFileSystem is made of; nobody else includes it.

namespace bedrock::memory_internal {

/// A write or a truncation that no Sync has made durable.
struct Change {
  enum class Kind : std::uint8_t { kWrite, kTruncate };

  Kind kind = Kind::kWrite;
  std::uint64_t offset = 0;  ///< kTruncate: the new size.
  std::string data;
  /// A Sync has failed with it: the kernel has forgotten that it is dirty.
  bool forgotten = false;

  std::uint64_t end() const { return offset + data.size(); }
};

/// Puts `data` there, growing the content where needed.
void ApplyWrite(std::string& content, std::uint64_t offset, std::string_view data);

/// A file or a folder. Both kinds have a durable and a current form, and a file what lies between:
/// this is the model of what a disk does with writes. No lock of its own.
struct Inode {
  using Entries = std::map<std::string, std::shared_ptr<Inode>, std::less<>>;

  bool is_directory = false;

  // Of files.
  std::string current;
  std::string durable;
  std::vector<Change> unsynced;  ///< durable + unsynced = current.
  std::uint64_t links = 0;       ///< Current names.

  // Of folders.
  Entries entries;
  Entries durable_entries;

  /// Makes all of it durable.
  void SyncAll();
  /// What a successful Sync does, as far as earlier ones have not failed.
  void Sync();
  /// What a write with sync does after the write: only the sectors of [offset, offset + n).
  void SyncRange(std::uint64_t offset, std::uint64_t n);
  /// Decides what becomes of a file's un-synced changes.
  void Crash(Random& random, MemoryFileSystem::CrashMode mode);

 private:
  std::set<std::uint64_t> RememberedSectors() const;
  void SyncSectors(const std::set<std::uint64_t>& sectors);
  void CrashSectors(Random& random);
};

using InodePtr = std::shared_ptr<Inode>;

}  // namespace bedrock::memory_internal
