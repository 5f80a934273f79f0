#include "raftd/server/apply_stream.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace bedrock::raft {

ApplyStream::ApplyStream(const Limits& limits, std::uint64_t now_ms)
    : limits_(limits), heard_at_ms_(now_ms) {}

void ApplyStream::Add(ApplyRange range) {
  CHECK(ranges_.empty() || ranges_.back().last.Next() == range.first);
  CHECK(range.first <= range.last);
  ranges_.push_back(std::move(range));
}

void ApplyStream::Forget() {
  ranges_.clear();
  loading_ = false;
  ++round_;
  stuck_at_.reset();
}

ApplyStream::Effect ApplyStream::OnProgress(BootId boot, const proto::ApplyProgress& progress,
                                            std::uint64_t now_ms) {
  // What storaged holds beyond what was sent came from this raftd's life before.
  const bool restarted = !known_ || boot != boot_ || progress.applied > sent_;
  const bool lost = stuck_at_ && progress.applied <= *stuck_at_ && sent_ > progress.applied;
  if (progress.applied > applied_) stuck_at_.reset();
  known_ = heard_ = true;
  boot_ = boot;
  reported_ = progress.health;
  heard_at_ms_ = now_ms;
  silent_since_ms_.reset();
  applied_ = progress.applied;
  // More on disk than in memory makes no sense; the lower one is safe to build on.
  durable_applied_ = std::min(progress.durable_applied, progress.applied);
  if (!restarted && !lost) return Effect::kAdvance;
  Forget();
  sent_ = applied_;
  return Effect::kRestart;
}

void ApplyStream::Restart() {
  Forget();
  sent_ = applied_;
}

void ApplyStream::SendFailed(std::uint64_t now_ms) {
  known_ = false;
  if (!silent_since_ms_) silent_since_ms_ = now_ms;
  Forget();
}

void ApplyStream::Loaded(std::uint64_t round, std::vector<Entry> entries) {
  if (round != round_ || !loading_) return;
  loading_ = false;
  CHECK(!ranges_.empty() && !entries.empty() && entries.front().index == ranges_.front().first);
  ApplyRange& front = ranges_.front();
  CHECK(entries.back().index <= front.last);
  ApplyRange loaded{.first = entries.front().index, .last = entries.back().index, .entries = {}};
  loaded.entries = std::move(entries);
  if (loaded.last == front.last) {
    front = std::move(loaded);
    return;
  }
  front.first = loaded.last.Next();
  ranges_.push_front(std::move(loaded));
}

std::optional<ApplyStream::Action> ApplyStream::Next(std::uint64_t now_ms) {
  if (!known_) {
    if (!ProbeIsDue(now_ms)) return std::nullopt;
    return MakeProbe(now_ms);
  }
  if (!ranges_.empty() && !loading_) {
    ApplyRange& front = ranges_.front();
    if (front.entries.empty() || front.entries.front().index != front.first) {
      loading_ = true;
      const LogIndex last = front.entries.empty() ? front.last : front.entries.front().index.Prev();
      return Load{
          .round = round_, .first = front.first, .last = last, .bytes_max = limits_.load_bytes_max};
    }
    Send send{std::move(front.entries)};
    sent_ = front.last;
    ranges_.pop_front();
    if (!silent_since_ms_) silent_since_ms_ = now_ms;
    return send;
  }
  if (!ProbeIsDue(now_ms)) return std::nullopt;
  return MakeProbe(now_ms);
}

bool ApplyStream::ProbeIsDue(std::uint64_t now_ms) const {
  if (!known_) return !probed_at_ms_ || now_ms - *probed_at_ms_ >= limits_.reconnect_ms;
  return now_ms - heard_at_ms_ >= limits_.probe_ms &&
         (!probed_at_ms_ || now_ms - *probed_at_ms_ >= limits_.probe_ms);
}

ApplyStream::Probe ApplyStream::MakeProbe(std::uint64_t now_ms) {
  probed_at_ms_ = now_ms;
  if (!silent_since_ms_) silent_since_ms_ = now_ms;
  if (known_ && sent_ > applied_) stuck_at_ = applied_;
  return {};
}

proto::ErrorCode ApplyStream::Health(std::uint64_t now_ms) const {
  const bool silent = silent_since_ms_ && now_ms - *silent_since_ms_ >= limits_.unresponsive_ms;
  if (!heard_ || silent) return proto::ErrorCode::kStorageUnavailable;
  return reported_;
}

}  // namespace bedrock::raft
