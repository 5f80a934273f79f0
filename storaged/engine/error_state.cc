#include "storaged/engine/error_state.h"

namespace bedrock::engine {

EngineState ErrorState::StateLocked() const {
  if (!failure_.ok()) return EngineState::kFailed;
  if (!writes_ended_.ok()) return EngineState::kReadOnly;
  EngineState state = quarantined_ > 0 ? EngineState::kDegraded : EngineState::kHealthy;
  for (const Status& why : troubles_) {
    if (why.IsNoSpace()) return EngineState::kNoSpace;
    if (!why.ok()) state = EngineState::kDegraded;
  }
  return state;
}

std::string ErrorState::DetailLocked() const {
  if (!failure_.ok()) return failure_.ToString();
  if (!writes_ended_.ok()) return writes_ended_.ToString();
  for (const Status& why : troubles_) {
    if (why.IsNoSpace()) return why.ToString();
  }
  for (const Status& why : troubles_) {
    if (!why.ok()) return why.ToString();
  }
  return quarantine_detail_;
}

std::string ErrorState::Settle(bool news) {
  const EngineState before = state_.load(std::memory_order_relaxed);
  const EngineState now = StateLocked();
  state_.store(now, std::memory_order_release);
  if (now == before && !news) return {};
  std::string line = "engine is " + std::string(EngineStateName(now));
  if (now != before) line += ", was " + std::string(EngineStateName(before));
  const std::string why = DetailLocked();
  return why.empty() ? line : line + ": " + why;
}

void ErrorState::Tell(std::string_view line) {
  if (line.empty() || !on_event_) return;
  const MutexLock lock(telling_);
  on_event_(line);
}

void ErrorState::Fail(const Status& why) {
  std::string line;
  {
    const MutexLock lock(mutex_);
    if (failure_.ok()) failure_ = why;
    line = Settle(false);
  }
  Tell(line);
}

void ErrorState::EndWrites(const Status& why) {
  std::string line;
  {
    const MutexLock lock(mutex_);
    if (writes_ended_.ok()) writes_ended_ = why;
    line = Settle(false);
  }
  Tell(line);
}

void ErrorState::Trouble(Job job, const Status& why) {
  std::string line;
  {
    const MutexLock lock(mutex_);
    Status& trouble = troubles_[static_cast<std::size_t>(job)];
    const bool news = !(trouble == why);
    trouble = why;
    line = Settle(news);
  }
  Tell(line);
}

bool ErrorState::Well(Job job) {
  std::string line;
  {
    const MutexLock lock(mutex_);
    Status& trouble = troubles_[static_cast<std::size_t>(job)];
    if (trouble.ok()) return false;
    trouble = {};
    line = Settle(false);
  }
  Tell(line);
  return true;
}

void ErrorState::Quarantined(std::size_t files, std::string_view detail) {
  std::string line;
  {
    const MutexLock lock(mutex_);
    const bool news = files > quarantined_;
    quarantined_ = files;
    quarantine_detail_ = detail;
    line = Settle(news);
  }
  Tell(line);
}

bool ErrorState::HasNoSpace(Job job) const {
  if (state() == EngineState::kHealthy) return false;
  const MutexLock lock(mutex_);
  return troubles_[static_cast<std::size_t>(job)].IsNoSpace();
}

EngineHealth ErrorState::health() const {
  const MutexLock lock(mutex_);
  return {.state = StateLocked(), .detail = DetailLocked()};
}

Status ErrorState::Refusal() const {
  if (!ended()) return {};
  return Status::IoError(health().detail);
}

}  // namespace bedrock::engine
