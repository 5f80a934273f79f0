#include "storaged/core/read_queue.h"

namespace bedrock::storage {

bool ReadQueue::Add(WaitingRead read) {
  if (reads_.size() >= kWaitingReadsMax) return false;
  if (subject_bytes_ + read.subject.size() > kWaitingReadsBytesMax) return false;
  subject_bytes_ += read.subject.size();
  read.subject = Bytes::Copy(read.subject.view());
  const Place place{read.needed(), arrivals_++};
  deadlines_.emplace(read.deadline_ms, place);
  reads_.emplace(place, std::move(read));
  return true;
}

bool ReadQueue::HasReady(Version applied) const {
  return !reads_.empty() && reads_.begin()->first.first <= applied;
}

std::optional<WaitingRead> ReadQueue::TakeReady(Version applied) {
  if (!HasReady(applied)) return std::nullopt;
  return Take(reads_.begin());
}

std::optional<WaitingRead> ReadQueue::TakeExpired(std::uint64_t now_ms) {
  if (deadlines_.empty() || deadlines_.begin()->first > now_ms) return std::nullopt;
  return Take(reads_.find(deadlines_.begin()->second));
}

std::optional<WaitingRead> ReadQueue::TakeAny() {
  if (reads_.empty()) return std::nullopt;
  return Take(reads_.begin());
}

std::optional<std::uint64_t> ReadQueue::NextDeadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

WaitingRead ReadQueue::Take(Reads::iterator read) {
  deadlines_.erase({read->second.deadline_ms, read->first});
  WaitingRead taken = std::move(read->second);
  reads_.erase(read);
  subject_bytes_ -= taken.subject.size();
  return taken;
}

}  // namespace bedrock::storage
