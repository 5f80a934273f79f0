#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "bedrock/version.h"
#include "common/base/ids.h"
#include "common/base/thread_annotations.h"
#include "common/env/environment.h"
#include "common/env/huge_pages.h"

namespace bedrock::engine::wal {

/// A file of the log. Who may touch which part stands at each.
struct Segment {
  // Set when it becomes part of the log, by the log, before anybody else sees it so.
  FileNumber number;
  std::string path;
  Version first;

  // Set when it is made.
  std::uint64_t bytes = 0;       ///< What it holds when it is filled.
  std::unique_ptr<File> file;    ///< Written and synced by the log.
  std::unique_ptr<File> filler;  ///< The pool's, to take room.

  /// Of `bytes`, while commits are stored to it; null before, and where files can't be mapped. Set
  /// by the pool, under its mutex, on the log's calls or before the log has the segment.
  std::shared_ptr<MappedFile> map;
  bool huge_pages = false;  ///< It is or was mapped by them, so a sync of little writes much.
  /// It began with less than a huge page, and will always be mapped by small ones.
  bool small_pages = false;
  /// Up to here it has its room on the disk and may be written to: it holds zeroes, or leftovers of
  /// an earlier life. The pool moves it.
  std::atomic<std::uint64_t> filled{0};
  /// A sync of the room failed, and with it maybe one of records.
  std::atomic<bool> sync_failed{false};

  // The log's, under its mutex.
  Version last;           ///< Once it is closed.
  std::uint64_t end = 0;  ///< Once it is closed: where its commits end.
  bool name_durable = false;
  std::atomic<std::uint64_t> durable{0};  ///< Synced up to here; 0: not even the header.
};

/// Makes the files of the log, takes their room on the disk ahead of need and takes them back. A
/// sync of bytes within a file costs less than of bytes that make it grow, and a store to a mapped
/// byte without room could not even fail in order; but a database with a few commits shall not take
/// megabytes. So a new file begins small and doubles in the background while it is written to;
/// while it fills, the next one is prepared; and files whose commits nobody needs become the next
/// ones as they are.
///
/// The room is taken, not written: zeroes that commits soon overwrite would be a fourth of all
/// bytes that a database writes while it is filled. Mapped pages of it are made ahead, by huge
/// pages while nobody syncs: a tenth of what small ones cost. Spares are for those who go on
/// writing: where no file was begun for a while they are given back, but for files that syncs go
/// to, as those that were written once before are cheaper to sync.
///
/// Any thread. Background work runs on the environment's executor, at most one job at a time, at
/// most kFillBytes a job. What it fails to do is done again when it is needed, by whoever needs it,
/// and the error is theirs.
class SegmentPool : public std::enable_shared_from_this<SegmentPool> {
 public:
  struct Options {
    Environment environment;
    std::string directory;
    std::uint64_t segment_bytes = 0;
    std::uint64_t first_fill_bytes = 0;
    std::size_t spares_max = 0;
    bool map = true;
  };

  SegmentPool(Options options, FileNumber next_number)
      : options_(std::move(options)), next_number_(next_number) {}

  /// A file of at least `bytes_min` under the name of a new segment: a spare, or one made at once
  /// with its first part filled.
  Result<std::shared_ptr<Segment>> Take(std::uint64_t bytes_min);
  /// Takes room on this thread until there is `target`; waits for a job that is at it.
  Status FillTo(Segment& segment, std::uint64_t target);
  /// Posts the doubling of the filled part, or the making of a spare where that is whole.
  void Prepare(std::shared_ptr<Segment> segment);
  /// Sets segment.map, if it can be.
  void Map(Segment& segment);
  /// Resets segment.map, which is freed in the background.
  void Unmap(Segment& segment);
  /// Takes back a segment that nobody needs. Others may hold it until they have synced it.
  void Retire(std::shared_ptr<Segment> segment);
  /// From now on somebody waits for syncs: room is synced in the background as well, mapped pages
  /// are small, and spares stay.
  void ServeSyncs() { serves_syncs_.store(true, std::memory_order_relaxed); }
  bool serves_syncs() const { return serves_syncs_.load(std::memory_order_relaxed); }
  /// Waits for a running job to end; jobs that wait do nothing any more.
  void Close();

  /// Files that wait to be used again.
  std::size_t spares();

  /// The most room that is taken in one step.
  static constexpr std::uint64_t kFillBytes = kHugePageBytes;
  /// No file begun for so long: nobody writes.
  static constexpr std::uint64_t kIdleMs = 50;

 private:
  void Post() REQUIRES(mutex_);
  void WatchIdle() REQUIRES(mutex_);
  void DropIdleSpares(std::uint64_t taken_before) EXCLUDES(mutex_);
  void RunJob();
  Status RunStep();
  bool HasWork() const REQUIRES(mutex_);
  void GiveUp() REQUIRES(mutex_);
  /// Fills the next part of `segment`, up to `target`. Called by whoever set filling_.
  Status FillPart(Segment& segment, std::uint64_t target);
  Status FillInBackground(const std::shared_ptr<Segment>& segment, std::uint64_t target);
  Status PrepareSpare();
  Result<std::shared_ptr<Segment>> Create(FileNumber number, std::string_view suffix,
                                          std::uint64_t bytes);
  /// Null: there is none. `first`: nothing was taken before.
  std::shared_ptr<Segment> TakeSpare(std::uint64_t bytes_min, bool& first) EXCLUDES(mutex_);
  /// A sync of little in them would write much.
  void DropHugeSpares() REQUIRES(mutex_);
  FileNumber NewNumber() EXCLUDES(mutex_);

  const Options options_;
  std::atomic<bool> serves_syncs_{false};
  Mutex mutex_;
  std::condition_variable idle_;
  FileNumber next_number_ GUARDED_BY(mutex_);
  /// Whole files that wait to be used: prepared or retired ones.
  std::vector<std::shared_ptr<Segment>> spares_ GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Segment>> condemned_ GUARDED_BY(mutex_);  // to be removed
  std::vector<std::shared_ptr<MappedFile>> unmapping_ GUARDED_BY(mutex_);
  std::shared_ptr<Segment> growing_ GUARDED_BY(mutex_);  // the log writes to it
  std::uint64_t growth_target_ GUARDED_BY(mutex_) = 0;
  std::shared_ptr<Segment> preparing_ GUARDED_BY(mutex_);  // becomes a spare
  bool spare_wanted_ GUARDED_BY(mutex_) = false;
  std::uint64_t taken_ GUARDED_BY(mutex_) = 0;  // calls of Take
  bool watching_ GUARDED_BY(mutex_) = false;    // DropIdleSpares is to come
  bool posted_ GUARDED_BY(mutex_) = false;      // a job waits or runs
  bool running_ GUARDED_BY(mutex_) = false;     // a job runs
  bool filling_ GUARDED_BY(mutex_) = false;     // somebody takes room
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace bedrock::engine::wal
