#include "raftd/server/slow_log.h"

#include <utility>

namespace bedrock::raft {

namespace {

class SlowLog final : public RaftLog {
 public:
  SlowLog(std::unique_ptr<RaftLog> log, std::uint64_t delay_ms,
          std::function<void(std::uint64_t)> sleep_ms)
      : log_(std::move(log)), delay_ms_(delay_ms), sleep_ms_(std::move(sleep_ms)) {}

  const Recovered& recovered() const override { return log_->recovered(); }
  Status Submit(const Write& write) override { return log_->Submit(write); }
  Result<WriteSeq> Sync() override {
    sleep_ms_(delay_ms_);
    return log_->Sync();
  }
  Status SyncIdle() override {
    sleep_ms_(delay_ms_);
    return log_->SyncIdle();
  }
  Result<std::vector<Entry>> Read(LogIndex first, LogIndex last, std::size_t bytes_max) override {
    return log_->Read(first, last, bytes_max);
  }
  Status Compact(LogIndex index) override { return log_->Compact(index); }
  Result<Scrubbed> Scrub(std::size_t bytes_max) override { return log_->Scrub(bytes_max); }
  Room RoomLeft() override { return log_->RoomLeft(); }
  std::uint64_t SizeOnDisk() const override { return log_->SizeOnDisk(); }
  LogIndex LastBeyond(std::uint64_t bytes_max) const override {
    return log_->LastBeyond(bytes_max);
  }

 private:
  std::unique_ptr<RaftLog> log_;
  std::uint64_t delay_ms_;
  std::function<void(std::uint64_t)> sleep_ms_;
};

}  // namespace

std::unique_ptr<RaftLog> MakeSlowLog(std::unique_ptr<RaftLog> log, std::uint64_t delay_ms,
                                     std::function<void(std::uint64_t)> sleep_ms) {
  return std::make_unique<SlowLog>(std::move(log), delay_ms, std::move(sleep_ms));
}

}  // namespace bedrock::raft
