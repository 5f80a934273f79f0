#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/thread_annotations.h"
#include "common/env/environment.h"

namespace bedrock::raft {

/// Keeps files ready that segments are made of, so that the log neither waits for a file to be
/// zero-filled nor meets a full disk while it appends (R75). Segments that are not needed any more
/// come back here and are kept as spares or removed, oldest first, each durably before the next.
///
/// The log's thread calls it; the work runs on the environment's executor, one job at a time. A
/// spare that can't be made (no_space, or any other error) is tried again a second later: it is no
/// failure of the log.
class SparePool : public std::enable_shared_from_this<SparePool> {
 public:
  struct Options {
    Environment environment;
    std::string directory;
    std::uint64_t segment_bytes = 0;
    std::uint32_t spares = 1;  ///< How many to keep ready.
  };

  explicit SparePool(Options options) : options_(std::move(options)) {}

  /// Takes over the spares that stand in the folder and removes what was never finished. `names`:
  /// what the folder holds. Before anything else.
  Status Load(const std::vector<std::string>& names);
  /// Posts the making of what is missing. Cheap where nothing is.
  void TopUp();
  /// The path of a spare of segment_bytes, which is the caller's from now on.
  std::optional<std::string> Take();
  /// No spare is ready and the last attempt to make one failed. Goes on trying.
  bool Lacking();
  /// Puts a spare back that wasn't used after all.
  void GiveBack(std::string path);
  /// Makes one of `bytes` at once, on this thread.
  Result<std::string> Make(std::uint64_t bytes);
  /// Recycles or removes a segment's file, some time later.
  void Retire(std::string path, std::uint64_t bytes);
  /// Waits for a running job to end; jobs that wait do nothing any more.
  void Close();

  /// Of the spares and of what waits to be recycled.
  std::uint64_t SizeOnDisk();

 private:
  struct Retired {
    std::string path;
    std::uint64_t bytes = 0;
  };
  using Task = std::function<Status()>;

  void RunJob();
  std::optional<Task> NextTask() REQUIRES(mutex_);
  bool HasWork() REQUIRES(mutex_);
  Status PrepareOne();
  Status RetireOne(const Retired& retired);
  Result<std::string> Fill(std::uint64_t bytes, const std::function<bool()>& stop);
  std::string NewName() EXCLUDES(mutex_);
  bool closed() EXCLUDES(mutex_);

  const Options options_;
  Mutex mutex_;
  std::condition_variable idle_;
  std::vector<std::string> ready_ GUARDED_BY(mutex_);
  std::deque<Retired> retired_ GUARDED_BY(mutex_);
  bool posted_ GUARDED_BY(mutex_) = false;   // a job waits or runs
  bool running_ GUARDED_BY(mutex_) = false;  // a job runs
  bool closed_ GUARDED_BY(mutex_) = false;
  std::optional<std::uint64_t> failed_at_ms_ GUARDED_BY(mutex_);  // the last task's failure
  bool failed_ GUARDED_BY(mutex_) = false;                        // the task that ended last did
  std::uint64_t next_name_ GUARDED_BY(mutex_) = 1;
};

}  // namespace bedrock::raft
