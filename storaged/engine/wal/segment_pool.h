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

namespace bedrock::engine::wal {

/// A file of the log. Who may touch which part stands at each.
struct Segment {
  // Set when it becomes part of the log, by the log, before anybody else sees it so.
  FileNumber number;
  std::string path;
  Version first;

  // Set when it is made.
  std::uint64_t bytes = 0;          ///< What it holds when it is filled.
  std::unique_ptr<File> file;       ///< Written and synced by the log.
  std::unique_ptr<MappedFile> map;  ///< Of `bytes`; null where files can't be mapped.
  std::unique_ptr<File> filler;     ///< The pool's, for zeroes.

  /// Up to here it may be written to: it holds zeroes, or leftovers of an earlier life. The pool
  /// moves it, and never writes below it.
  std::atomic<std::uint64_t> filled{0};
  /// A sync of zeroes failed, and with it maybe one of records.
  std::atomic<bool> sync_failed{false};

  // The log's, under its mutex.
  Version last;           ///< Once it is closed.
  std::uint64_t end = 0;  ///< Once it is closed: where its commits end.
  bool name_durable = false;
  std::atomic<std::uint64_t> durable{0};  ///< Synced up to here; 0: not even the header.
};

/// Makes the files of the log, zero-fills them ahead of need and takes them back. A sync of bytes
/// that overwrite others costs less than of bytes that make a file grow; but nobody shall wait for
/// 64 MiB of zeroes before the first commit either. So a new file begins with a few zeroes and
/// doubles in the background while it is written to; while it fills, the next one is prepared; and
/// files whose commits nobody needs become the next ones as they are.
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
  /// Zero-fills on this thread until `target` bytes are; waits for a job that is at it.
  Status FillTo(Segment& segment, std::uint64_t target);
  /// Posts the doubling of the filled part, or the making of a spare where that is whole.
  void Prepare(std::shared_ptr<Segment> segment);
  /// Takes back a segment that nobody needs. Others may hold it until they have synced it.
  void Retire(std::shared_ptr<Segment> segment);
  /// From now on zeroes are synced in the background as well: somebody waits for syncs.
  void SyncFills() { sync_fills_.store(true, std::memory_order_relaxed); }
  /// Waits for a running job to end; jobs that wait do nothing any more.
  void Close();

  /// Files that wait to be used again.
  std::size_t spares();

  /// The most that is zero-filled by one write.
  static constexpr std::uint64_t kFillBytes = std::uint64_t{1} << 20;

 private:
  void Post() REQUIRES(mutex_);
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
  std::shared_ptr<Segment> TakeSpare(std::uint64_t bytes_min) EXCLUDES(mutex_);
  FileNumber NewNumber() EXCLUDES(mutex_);

  const Options options_;
  std::atomic<bool> sync_fills_{false};
  Mutex mutex_;
  std::condition_variable idle_;
  FileNumber next_number_ GUARDED_BY(mutex_);
  /// Whole files that wait to be used: prepared or retired ones.
  std::vector<std::shared_ptr<Segment>> spares_ GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Segment>> condemned_ GUARDED_BY(mutex_);  // to be removed
  std::shared_ptr<Segment> growing_ GUARDED_BY(mutex_);                 // the log writes to it
  std::uint64_t growth_target_ GUARDED_BY(mutex_) = 0;
  std::shared_ptr<Segment> preparing_ GUARDED_BY(mutex_);  // becomes a spare
  bool spare_wanted_ GUARDED_BY(mutex_) = false;
  bool posted_ GUARDED_BY(mutex_) = false;   // a job waits or runs
  bool running_ GUARDED_BY(mutex_) = false;  // a job runs
  bool filling_ GUARDED_BY(mutex_) = false;  // somebody writes zeroes
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace bedrock::engine::wal
