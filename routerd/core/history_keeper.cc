#include "routerd/core/history_keeper.h"

#include <algorithm>

namespace bedrock::router {

HistoryKeeper::HistoryKeeper(std::uint64_t history_ms)
    : history_ms_(history_ms),
      sample_ms_(std::max<std::uint64_t>(kSampleMsMin, history_ms / kSamplesMax)),
      propose_ms_(std::clamp<std::uint64_t>(history_ms / 10, kSampleMsMin, kProposeMsMax)) {}

void HistoryKeeper::OnApplied(Version applied, Version history_from, std::uint64_t now_ms) {
  history_from_ = history_from;
  if (!samples_.empty() && now_ms < samples_.back().at_ms + sample_ms_) return;
  const bool own = own_after_ < applied && applied <= own_until_;
  samples_.push_back({now_ms, own ? own_after_ : applied});
  // All but the newest of those that are old enough.
  while (samples_.size() > 1 && samples_[1].at_ms + history_ms_ <= now_ms) samples_.pop_front();
}

bool HistoryKeeper::IsTime(std::uint64_t now_ms) const {
  return history_ms_ != 0 && !proposing_ && now_ms >= next_proposal_ms_ && !samples_.empty() &&
         now_ms >= samples_.front().at_ms + history_ms_;
}

std::optional<Version> HistoryKeeper::Due(std::optional<Version> held, std::uint64_t now_ms) {
  if (!IsTime(now_ms)) return std::nullopt;
  next_proposal_ms_ = now_ms + propose_ms_;
  Version watermark = samples_.front().newest;
  if (held) watermark = std::min(watermark, *held);
  if (watermark <= history_from_) return std::nullopt;
  proposing_ = true;
  return watermark;
}

void HistoryKeeper::OnProposed(std::optional<Version> committed) {
  proposing_ = false;
  if (!committed) return;
  const Version before(committed->value() - 1);
  if (own_until_ != before) own_after_ = before;
  own_until_ = *committed;
}

}  // namespace bedrock::router
