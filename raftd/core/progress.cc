#include "raftd/core/progress.h"

#include <algorithm>

namespace bedrock::raft {

void Window::Add(LogIndex last, std::size_t bytes) {
  in_flight_.push_back({last, bytes});
  bytes_ += bytes;
}

void Window::FreeUpTo(LogIndex index) {
  while (!in_flight_.empty() && in_flight_.front().last <= index) {
    bytes_ -= in_flight_.front().bytes;
    in_flight_.pop_front();
  }
}

void Window::Clear() {
  in_flight_.clear();
  bytes_ = 0;
}

bool Window::Full(const Limits& limits) const {
  return in_flight_.size() >= limits.window_messages_max || bytes_ >= limits.window_bytes_max;
}

void Progress::Become(ReplicationState new_state) {
  state = new_state;
  window.Clear();
  installing = LogIndex();
  probe_sent = false;
  probes = 0;
}

bool Progress::Alive(std::uint64_t now, const Limits& limits) const {
  return heard_at && now - *heard_at < limits.election_ticks_min;
}

bool Progress::Ready(LogIndex last, const Limits& limits) const {
  if (fetching) return false;
  if (state != ReplicationState::kStream) return !probe_sent;
  return next <= last && !window.Full(limits);
}

void Progress::Sent(LogIndex last, std::size_t bytes, std::uint64_t now) {
  if (state != ReplicationState::kStream) {
    probe_sent = true;
    ++probes;
    probed_at = now;
    return;
  }
  if (last < next) return;
  window.Add(last, bytes);
  next = last.Next();
}

void Progress::MayProbeAgain(std::uint64_t now, const Limits& limits) {
  if (now - probed_at >= limits.heartbeat_ticks) probe_sent = false;
}

void Progress::Accepted(LogIndex index) {
  match = std::max(match, index);
  holds = std::max(holds, index);
  if (state == ReplicationState::kStream) {
    window.FreeUpTo(index);
    next = std::max(next, holds.Next());
    return;
  }
  // An answer to an older message than the probe says less than what is asked.
  if (index.Next() < next) return;
  next = holds.Next();
  Become(ReplicationState::kStream);
}

void Progress::Refused(LogIndex refused, const LogPosition& hint, const LogView& log) {
  const bool streaming = state == ReplicationState::kStream;
  if (streaming ? (refused < holds || refused >= next) : refused.Next() != next) return;
  if (refused == LogIndex()) return;
  // A refusal of what it holds comes from a follower that lost it; or late and twice from one that
  // did not, and then costs a probe.
  if (refused == holds) holds = std::min(refused.Prev(), hint.index);
  const std::optional<LogPosition> shared =
      log.LastAtMost(std::min(hint.index, refused.Prev()), hint.term);
  const LogIndex anchor = std::max(shared ? shared->index : LogIndex(), holds);
  if (anchor < log.prev_index()) {
    next = log.first_index();
    if (state != ReplicationState::kSnapshot) Become(ReplicationState::kSnapshot);
    probe_sent = true;
    ++probes;
    return;
  }
  next = anchor.Next();
  Become(ReplicationState::kProbe);
}

void Progress::Reset() {
  // A prober keeps its place: while nothing was accepted, `holds` says nothing.
  if (state == ReplicationState::kStream) {
    next = holds.Next();
    Become(ReplicationState::kProbe);
  }
  probe_sent = false;
  probes = 0;
}

void Progress::KeepWithin(const LogView& log) {
  if (next >= log.first_index()) return;
  next = log.first_index();
  if (state == ReplicationState::kStream) Become(ReplicationState::kProbe);
}

std::optional<LogIndex> Progress::Needs(const LogView& log, bool alive) const {
  if (state != ReplicationState::kSnapshot) return std::max(holds, log.prev_index());
  if (installing) return std::max(installing, log.prev_index());
  // One that fetches nothing will need a snapshot, whatever is kept.
  return alive ? std::optional(log.prev_index()) : std::nullopt;
}

}  // namespace bedrock::raft
