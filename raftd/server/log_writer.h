#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/ids.h"
#include "common/env/executor.h"
#include "raftd/core/raft.h"
#include "raftd/core/types.h"
#include "raftd/log/raft_log.h"

namespace bedrock::raft {

/// Carries out the driver's work on the log, in order: inline, or on a thread of its own for disks
/// whose sync would keep heartbeats waiting. Answers come on the driver's thread; inline ones
/// before the call returns.
///
/// Reads and compactions see the writes that were submitted before them, and none that were
/// submitted after: those may have cut, compacted or replaced what was asked for.
///
/// A failed write, sync, compaction or read is final: `on_failed` is called once, and nothing after
/// it (R37, R68). That there is no room for another segment is no failure: on_room says so as soon
/// as it shows, while small writes still fit; what does not fit waits here, in order, until Retry
/// finds room (R75). Driver's thread only.
class LogWriter {
 public:
  struct Callbacks {
    std::function<void(WriteSeq)> on_durable;  ///< Everything up to it is durable.
    std::function<void()> on_idle_done;        ///< A SyncIdle is done.
    /// How much room is left has changed; kEnough at the start. kNone, too, while a write waits.
    std::function<void(Room)> on_room;
    std::function<void(const Status&)> on_failed;
  };
  using OnRead = std::function<void(std::vector<Entry>)>;
  using OnMeasured = std::function<void(const LogPressure&)>;
  using OnScrubbed = std::function<void(Result<Scrubbed>)>;

  virtual ~LogWriter() = default;

  /// Once, before all else.
  virtual void Start(Callbacks callbacks) = 0;
  virtual void Submit(Write write) = 0;
  /// Makes what was submitted durable: on_durable follows.
  virtual void Flush() = 0;
  /// RaftLog::SyncIdle; on_idle_done follows.
  virtual void SyncIdle() = 0;
  virtual void Read(LogIndex first, LogIndex last, std::size_t bytes_max, OnRead on_read) = 0;
  virtual void Compact(LogIndex index) = 0;
  /// Where there is not room enough: looks for it, and writes what waits for it.
  virtual void Retry() = 0;
  /// How far the log is beyond `bytes_max`, and far beyond: twice that.
  virtual void Measure(std::uint64_t bytes_max, OnMeasured on_measured) = 0;
  /// RaftLog::Scrub. An error of it is no failure of the log.
  virtual void Scrub(std::size_t bytes_max, OnScrubbed on_scrubbed) = 0;
};

/// Works on the caller's thread. Borrows the log.
std::unique_ptr<LogWriter> MakeInlineLogWriter(RaftLog& log);

/// Works on the executor, which has to run jobs one at a time and in order (one thread of its own).
/// `post` runs a task on the driver's thread. Borrows the log, the executor and what `post` holds;
/// the executor has to be gone before the writer is.
std::unique_ptr<LogWriter> MakeThreadedLogWriter(RaftLog& log, Executor& executor,
                                                 std::function<void(std::function<void()>)> post);

}  // namespace bedrock::raft
