#include "raftd/server/log_writer.h"

#include <deque>
#include <utility>

#include "common/base/check.h"
#include "common/base/thread_annotations.h"

namespace bedrock::raft {

namespace {

class InlineLogWriter final : public LogWriter {
 public:
  explicit InlineLogWriter(RaftLog& log) : log_(log) {}

  void Start(Callbacks callbacks) override { callbacks_ = std::move(callbacks); }

  void Submit(Write write) override {
    if (failed_) return;
    waiting_.push_back(std::move(write));
    if (!stuck_) SubmitWaiting();
  }

  void Flush() override {
    if (failed_) return;
    const Result<WriteSeq> durable = log_.Sync();
    if (!Check(durable.status())) return;
    callbacks_.on_durable(*durable);
    TellRoom();
  }

  void SyncIdle() override {
    if (!failed_ && Check(log_.SyncIdle())) callbacks_.on_idle_done();
  }

  void Read(LogIndex first, LogIndex last, std::size_t bytes_max, OnRead on_read) override {
    if (failed_) return;
    Result<std::vector<Entry>> entries = log_.Read(first, last, bytes_max);
    if (Check(entries.status())) on_read(std::move(entries).value());
  }

  void Compact(LogIndex index) override {
    if (!failed_) Check(log_.Compact(index));
  }

  void Retry() override {
    if (failed_ || room_ == Room::kEnough) return;
    const std::size_t waited = waiting_.size();
    SubmitWaiting();
    if (waiting_.size() < waited) Flush();
  }

  void Measure(std::uint64_t bytes_max, OnMeasured on_measured) override {
    if (failed_) return;
    on_measured({.over = log_.LastBeyond(bytes_max), .far_over = log_.LastBeyond(2 * bytes_max)});
  }

  void Scrub(std::size_t bytes_max, OnScrubbed on_scrubbed) override {
    if (!failed_) on_scrubbed(log_.Scrub(bytes_max));
  }

 private:
  void SubmitWaiting() {
    stuck_ = false;
    while (!waiting_.empty() && !stuck_ && !failed_) {
      const Status submitted = log_.Submit(waiting_.front());
      // A log that has failed for lack of room says so of each call; one that is only full does
      // not.
      stuck_ = submitted.IsNoSpace() && Check(log_.Sync().status());
      if (!stuck_ && Check(submitted)) waiting_.pop_front();
    }
    TellRoom();
  }

  void TellRoom() {
    if (failed_) return;
    const Room room = stuck_ ? Room::kNone : log_.RoomLeft();
    if (room != std::exchange(room_, room)) callbacks_.on_room(room);
  }

  /// False after a failure, the first of which is told.
  bool Check(const Status& status) {
    if (failed_) return false;
    if (status.ok()) return true;
    failed_ = true;
    callbacks_.on_failed(status);
    return false;
  }

  RaftLog& log_;
  Callbacks callbacks_;
  bool failed_ = false;
  Room room_ = Room::kEnough;  // as was told
  bool stuck_ = false;         // the front of waiting_ found no room
  /// Empty unless stuck. Bounded by the core: a follower's by what a leader may have in flight to
  /// it, a leader's by Limits::uncommitted_bytes_max until it has handed over.
  std::deque<Write> waiting_;
};

/// Runs the jobs of an InlineLogWriter on the executor and brings the answers back.
class ThreadedLogWriter final : public LogWriter {
 public:
  ThreadedLogWriter(RaftLog& log, Executor& executor,
                    std::function<void(std::function<void()>)> post)
      : inline_(log), executor_(executor), post_(std::move(post)) {}

  void Start(Callbacks callbacks) override {
    callbacks_ = std::move(callbacks);
    // These run on the executor and hand over to the driver's thread.
    inline_.Start(
        {.on_durable = [this](WriteSeq seq) { post_([this, seq] { callbacks_.on_durable(seq); }); },
         .on_idle_done = [this] { post_([this] { callbacks_.on_idle_done(); }); },
         .on_room = [this](Room room) { post_([this, room] { callbacks_.on_room(room); }); },
         .on_failed =
             [this](const Status& status) {
               post_([this, status] { callbacks_.on_failed(status); });
             }});
  }

  void Submit(Write write) override {
    const MutexLock lock(mutex_);
    submitted_.push_back({asked_, std::move(write)});
  }

  void Flush() override {
    executor_.Post(Executor::Priority::kHigh, [this, asked = asked_] { FlushSubmitted(asked); });
  }

  void SyncIdle() override {
    executor_.Post(Executor::Priority::kHigh, [this] { inline_.SyncIdle(); });
  }

  void Read(LogIndex first, LogIndex last, std::size_t bytes_max, OnRead on_read) override {
    executor_.Post(Executor::Priority::kHigh, [this, first, last, bytes_max, asked = asked_++,
                                               on_read = std::move(on_read)]() mutable {
      SubmitThose(asked);
      inline_.Read(first, last, bytes_max, [this, &on_read](std::vector<Entry> entries) {
        post_([on_read = std::move(on_read), entries = std::move(entries)]() mutable {
          on_read(std::move(entries));
        });
      });
    });
  }

  void Compact(LogIndex index) override {
    executor_.Post(Executor::Priority::kHigh, [this, index, asked = asked_++] {
      SubmitThose(asked);
      inline_.Compact(index);
    });
  }

  void Retry() override {
    executor_.Post(Executor::Priority::kHigh, [this] { inline_.Retry(); });
  }

  void Measure(std::uint64_t bytes_max, OnMeasured on_measured) override {
    executor_.Post(Executor::Priority::kHigh, [this, bytes_max,
                                               on_measured = std::move(on_measured)]() mutable {
      inline_.Measure(bytes_max, [this, &on_measured](const LogPressure& pressure) {
        post_([on_measured = std::move(on_measured), pressure] { on_measured(pressure); });
      });
    });
  }

  void Scrub(std::size_t bytes_max, OnScrubbed on_scrubbed) override {
    executor_.Post(Executor::Priority::kHigh, [this, bytes_max,
                                               on_scrubbed = std::move(on_scrubbed)]() mutable {
      inline_.Scrub(bytes_max, [this, &on_scrubbed](Result<Scrubbed> scrubbed) {
        post_([on_scrubbed = std::move(on_scrubbed), scrubbed = std::move(scrubbed)]() mutable {
          on_scrubbed(std::move(scrubbed));
        });
      });
    });
  }

 private:
  struct Submitted {
    std::uint64_t asked;  // the reads and compactions asked for before it
    Write write;
  };

  /// Hands the log what was submitted before more than `asked` reads and compactions were asked
  /// for: what came later may cut what the next one of them is about.
  void SubmitThose(std::uint64_t asked) {
    std::deque<Submitted> batch;
    {
      const MutexLock lock(mutex_);
      while (!submitted_.empty() && submitted_.front().asked <= asked) {
        batch.push_back(std::move(submitted_.front()));
        submitted_.pop_front();
      }
    }
    for (Submitted& submitted : batch) inline_.Submit(std::move(submitted.write));
    unflushed_ = unflushed_ || !batch.empty();
  }

  /// All that came while the last sync ran is one batch, but for what has to wait for a read; the
  /// jobs of its other Flush calls then find nothing.
  void FlushSubmitted(std::uint64_t asked) {
    SubmitThose(asked);
    if (std::exchange(unflushed_, false)) inline_.Flush();
  }

  InlineLogWriter inline_;  // the executor's, but for Start
  Executor& executor_;
  std::function<void(std::function<void()>)> post_;
  Callbacks callbacks_;      // the driver's
  std::uint64_t asked_ = 0;  // the driver's: reads and compactions so far
  bool unflushed_ = false;   // the executor's: the log was handed writes since its last Flush
  Mutex mutex_;
  /// Bounded by the core: Limits::uncommitted_bytes_max and what leaders may have in flight.
  std::deque<Submitted> submitted_ GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<LogWriter> MakeInlineLogWriter(RaftLog& log) {
  return std::make_unique<InlineLogWriter>(log);
}

std::unique_ptr<LogWriter> MakeThreadedLogWriter(RaftLog& log, Executor& executor,
                                                 std::function<void(std::function<void()>)> post) {
  return std::make_unique<ThreadedLogWriter>(log, executor, std::move(post));
}

}  // namespace bedrock::raft
