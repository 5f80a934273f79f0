#include "storaged/engine/live_state.h"

#include <utility>

namespace bedrock::engine {

LiveState::LiveState(std::shared_ptr<const TableSet> tables, std::size_t memtable_bytes,
                     AppliedMark durable, std::string client_state)
    : memory_(std::make_shared<BlockPool>(memtable_bytes / kHugePageBytes)),
      active_(std::make_shared<Memtable>(memory_)),
      durable_(durable),
      client_state_(std::move(client_state)),
      cell_(std::make_shared<const ReadState>(ReadState::Memtables{active_}, std::move(tables))) {}

void LiveState::Freeze(AppliedMark mark, std::string client_state) {
  const std::size_t bytes = active_->bytes();
  auto next_active = std::make_shared<Memtable>(memory_);
  const MutexLock lock(mutex_);
  frozen_.push_back({active_, mark, std::move(client_state)});
  active_ = std::move(next_active);
  const auto before = cell_.Get();
  ReadState::Memtables memtables = before->memtables();
  memtables.insert(memtables.begin(), active_);
  memtables_.store(memtables.size(), std::memory_order_relaxed);
  frozen_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  cell_.Replace(std::make_shared<const ReadState>(*before, std::move(memtables)));
}

std::optional<FrozenMemtable> LiveState::TakeFrozen() {
  const MutexLock lock(mutex_);
  if (frozen_taken_ == frozen_.size()) return std::nullopt;
  return frozen_[frozen_taken_++];
}

bool LiveState::IsOldest(AppliedMark mark) const {
  const MutexLock lock(mutex_);
  return !frozen_.empty() && frozen_.front().mark == mark;
}

void LiveState::ReplaceFlushed(std::shared_ptr<const TableSet> tables) {
  FrozenMemtable flushed;  // let go after the mutex: it may free a memtable
  const MutexLock lock(mutex_);
  flushed = std::move(frozen_.front());
  frozen_.pop_front();
  --frozen_taken_;
  ReadState::Memtables memtables = cell_.Get()->memtables();
  memtables.pop_back();
  memtables_.store(memtables.size(), std::memory_order_relaxed);
  frozen_bytes_.fetch_sub(flushed.memtable->bytes(), std::memory_order_relaxed);
  durable_ = flushed.mark;
  client_state_ = std::move(flushed.client_state);
  cell_.Replace(std::make_shared<const ReadState>(std::move(memtables), std::move(tables)));
}

void LiveState::ReplaceTables(std::shared_ptr<const TableSet> tables) {
  const MutexLock lock(mutex_);
  cell_.Replace(std::make_shared<const ReadState>(cell_.Get()->memtables(), std::move(tables)));
}

AppliedMark LiveState::durable() const {
  const MutexLock lock(mutex_);
  return durable_;
}

std::string LiveState::client_state() const {
  const MutexLock lock(mutex_);
  return client_state_;
}

}  // namespace bedrock::engine
