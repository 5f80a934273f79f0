#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/typed_bool.h"
#include "common/env/file_system.h"
#include "common/env/random.h"

namespace bedrock {

/// A disk in memory that fails as real ones do, from a seed: for tests and simulators.
///
/// It knows what is durable and what is not yet. Each file has its durable content and the writes
/// and truncations since its last Sync; each folder its durable entries and the changes since its
/// last SyncDirectory. Crash decides from a Random what becomes of the rest. The same calls and
/// seeds give the same disk, byte for byte.
///
/// Harsher than ext4 on purpose, as POSIX allows: Sync of a file does not make its name durable,
/// and changes of a folder's entries become durable in any order unless they touch the same name. A
/// rename is atomic: after a crash the old state or the new one stands there.
///
/// WriteAtAndSync counts as two calls and makes no other sectors durable than those it writes.
/// Files can't be mapped.
///
/// Any thread; files and locks may outlive the file system. Paths are taken apart at '/', "." is
/// skipped, ".." is refused, and relative and absolute paths start at the same root, which is there
/// from the beginning.
class MemoryFileSystem final : public FileSystem {
 public:
  /// Kinds of calls, for faults.
  enum class Operation : std::uint8_t {
    kOpen,    ///< Open in any mode: kCreate, too.
    kRead,    ///< ReadAt.
    kWrite,   ///< WriteAt, and the first half of WriteAtAndSync.
    kSync,    ///< File::Sync, and the second half of WriteAtAndSync.
    kResize,  ///< Truncate.
    kCreateDirectory,
    kList,
    kSyncDirectory,
    kRename,
    kLink,
    kRemove,
    kRemoveDirectory,
    kLock,
  };

  enum class CrashMode : std::uint8_t {
    /// Only the process dies: open files and locks go, and what it wrote stays as it is, not yet
    /// synced.
    kProcessOnly,
    kLoseUnsynced,  ///< Power cut; nothing that was not synced survives.
    kKeepUnsynced,  ///< Power cut; all of it happened to be written.
    /// Power cut; each file draws whether its un-synced bytes are lost, kept, cut after one of its
    /// writes, or torn: every 512-byte sector for itself. Entries of folders are drawn one by one.
    kRandom,
  };

  using Forever = TypedBool<struct ForeverTag>;

  /// "The nth call of one of these kinds on such a path fails."
  struct Fault {
    std::vector<Operation> operations;
    std::string path_suffix;  ///< Only paths that end so; empty: all.
    std::uint64_t nth = 1;    ///< 1: the next one.
    Forever forever = Forever::kNo;
    StatusCode error = StatusCode::kIoError;
  };

  static constexpr std::uint64_t kSectorBytes = 512;
  static constexpr std::uint64_t kUnlimited = std::uint64_t{1} << 60;

  MemoryFileSystem();
  ~MemoryFileSystem() override;
  MemoryFileSystem(const MemoryFileSystem&) = delete;
  MemoryFileSystem& operator=(const MemoryFileSystem&) = delete;

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Status CreateDirectories(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Status SyncDirectory(const std::string& directory) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status RemoveDirectory(const std::string& path) override;
  Result<bool> Exists(const std::string& path) override;
  Result<std::uint64_t> FileSize(const std::string& path) override;
  Result<std::uint64_t> FreeSpace(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

  /// The machine (or only the process, by `mode`) dies and comes back: what is left is durable,
  /// files and locks of before are dead (io_error from each call), faults and CrashAtOperation are
  /// forgotten. The capacity stays.
  void Crash(Random& random, CrashMode mode);

  /// Makes calls fail. A failed write has put its first half there; a failed Sync has synced
  /// nothing, and what was un-synced may be lost in a crash even though later Syncs succeed, while
  /// reads still show it (fsyncgate).
  void Inject(Fault fault);
  void ClearFaults();

  /// Calls so far that change something: writes, truncations, syncs, creations (Open with kCreate
  /// and Lock of a new file included), renames, links, removals.
  std::uint64_t mutations() const;
  /// The call that makes mutations() reach `mutation`, and every call after it whatever its kind,
  /// fails with io_error until Crash. That call is done in memory first (a Sync is not), so that
  /// the crash may keep it or lose it. Counting from 1: a test runs its scenario once to learn the
  /// number of calls, then crashes at each.
  void CrashAtMutation(std::uint64_t mutation);
  bool crashed() const;  ///< That point was reached, and Crash not yet called.

  /// What files may hold together, in bytes; by default kUnlimited. A write that does not fit puts
  /// there what fits and gives no_space.
  void SetCapacity(std::uint64_t bytes);

  /// Turns one bit, counted from the file's start, over, on the disk and in the cache: rot.
  Status FlipBit(const std::string& path, std::uint64_t bit);
  /// Puts `data` there as a misdirected write would: durably, without a trace. Never grows a file:
  /// invalid_argument.
  Status Overwrite(const std::string& path, std::uint64_t offset, std::string_view data);

  /// The whole disk once more, un-synced parts included. Open files, locks and faults stay behind.
  std::unique_ptr<MemoryFileSystem> Clone() const;

 private:
  struct State;
  class MemoryFile;
  class MemoryLock;

  explicit MemoryFileSystem(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace bedrock
