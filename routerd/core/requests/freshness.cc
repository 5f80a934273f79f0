#include "routerd/core/requests/freshness.h"

namespace bedrock::router {

void Freshness::OnIndex(std::uint64_t asked_ms, Version index) {
  if (index <= applied_) return Reached(asked_ms, index);
  if (pending_.size() < kPendingMax) pending_.push_back({asked_ms, index});
}

void Freshness::OnApplied(Version applied) {
  applied_ = applied;  // which goes back where a storaged begins anew
  while (!pending_.empty() && pending_.front().index <= applied) {
    Reached(pending_.front().at_ms, pending_.front().index);
    pending_.pop_front();
  }
}

void Freshness::Reached(std::uint64_t asked_ms, Version index) {
  if (in_step_ && in_step_->at_ms >= asked_ms) return;
  in_step_ = InStep{asked_ms, index};
}

}  // namespace bedrock::router
