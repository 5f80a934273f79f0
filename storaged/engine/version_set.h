#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/thread_annotations.h"
#include "common/base/typed_bool.h"
#include "common/env/file_system.h"
#include "storaged/engine/manifest/manifest_log.h"
#include "storaged/engine/manifest/table_set.h"
#include "storaged/engine/manifest/version_edit.h"
#include "storaged/engine/recovery.h"

namespace bedrock::engine {

/// What is in files: the MANIFEST and what it says, the opened tables, the numbers of files, and
/// the files that nothing names any more.
///
/// Threads: any; but Commit and BeginManifest by whoever has the turn to commit, one at a time.
/// mutex_ is held for a few assignments and never over I/O.
class VersionSet {
 public:
  /// Whether the memory of tables is taken off the cache's.
  using TablesCount = TypedBool<struct TablesCountTag>;

  VersionSet(FileSystem& file_system, std::string directory, std::shared_ptr<BlockCache> cache,
             TablesCount tables_count, Recovered& recovered);

  /// What the MANIFEST says, and the same, opened. Immutable.
  struct Current {
    std::shared_ptr<const ManifestState> state;
    std::shared_ptr<const TableSet> tables;
  };
  Current current() const EXCLUDES(mutex_);
  /// A number that was never given before.
  FileNumber NewNumber() { return FileNumber(next_file_.fetch_add(1, std::memory_order_relaxed)); }

  // ---- Commits

  /// Takes the turn; false while another has it. Who was refused is told by whoever gives it back.
  bool TakeTurn() { return !turn_.exchange(true, std::memory_order_acquire); }
  void GiveTurn() { turn_.store(false, std::memory_order_release); }

  enum class Outcome : std::uint8_t {
    kDone,
    kNoSpace,  ///< Nothing changed; the edit may be on disk, so its files stay: commit it again.
    kRewrite,  ///< An output can't be opened; nothing changed, and the outputs may go.
    kFinal,    ///< What is durable is unknown: nothing may be made durable any more.
  };
  struct Result {
    Outcome outcome = Outcome::kDone;
    Status why;
  };
  /// Makes what `edit` says durable, and then live: `install` gets the tables, with what they are
  /// of, once the edit is durable. next_file and watermark of the edit are filled in, the latter
  /// raised to what it is already, and blob files that nothing refers to any more are removed with
  /// it. REQUIRES: the turn; the edit fits.
  Result Commit(VersionEdit edit, const std::function<void(const Current&)>& install)
      EXCLUDES(mutex_);
  /// Begins another MANIFEST with the current state, where the tail of the last one is unknown or
  /// there is none. REQUIRES: the turn.
  Result BeginManifest() EXCLUDES(mutex_);
  /// There is no MANIFEST whose tail is known. Only the opening and a full disk bring that about.
  bool manifest_missing() const { return manifest_missing_.load(std::memory_order_acquire); }

  // ---- Files that nothing names

  /// Removes those that no reader holds, as far as the disk lets it. Nothing while an edit's fate
  /// is unknown, or somebody holds files.
  void CollectObsolete() EXCLUDES(mutex_);
  bool obsolete_waiting() const EXCLUDES(mutex_);
  /// While it lives no file is removed.
  class FileHold {
   public:
    explicit FileHold(VersionSet& versions) : versions_(versions) { versions_.Hold(+1); }
    ~FileHold() { versions_.Hold(-1); }
    FileHold(const FileHold&) = delete;
    FileHold& operator=(const FileHold&) = delete;

   private:
    VersionSet& versions_;
  };

  const std::string& directory() const { return directory_; }
  FileSystem& file_system() const { return file_system_; }

 private:
  void Hold(int change) EXCLUDES(mutex_);
  bedrock::Result<std::shared_ptr<const TableSet>> OpenFiles(const ManifestState& state,
                                                             const TableSet& before) const;
  bedrock::Result<std::shared_ptr<const BlobSet>> OpenBlobs(const ManifestState& state,
                                                            const BlobSet& before) const;
  Status WriteEdit(const VersionEdit& edit, const ManifestState& after);
  Status StartManifest(ManifestState state);
  void RemoveOlderManifests(FileNumber number);
  void Publish(Current next) EXCLUDES(mutex_);
  void CountTables(const TableSet& tables);
  void NoteObsolete(const TableSet& before, const TableSet& after) REQUIRES(mutex_);

  FileSystem& file_system_;
  const std::string directory_;
  const std::shared_ptr<BlockCache> cache_;
  const TablesCount tables_count_;
  std::atomic<std::uint64_t> next_file_;
  std::atomic<bool> turn_{false};
  std::atomic<bool> manifest_missing_;
  /// Of whoever has the turn. Null: its tail is unknown, begin another one.
  std::unique_ptr<ManifestWriter> manifest_;

  mutable Mutex mutex_;
  Current current_ GUARDED_BY(mutex_);
  /// A file that nothing names, opened: readers may still hold it.
  struct Obsolete {
    std::shared_ptr<const void> file;
    std::string name;
  };
  std::vector<Obsolete> obsolete_ GUARDED_BY(mutex_);
  int holds_ GUARDED_BY(mutex_) = 0;
  bool frozen_ GUARDED_BY(mutex_) = false;  ///< A final error: nothing is removed any more.
};

}  // namespace bedrock::engine
