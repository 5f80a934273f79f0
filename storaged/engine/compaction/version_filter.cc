#include "storaged/engine/compaction/version_filter.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "common/base/check.h"

namespace bedrock::engine {

VersionFilter::VersionFilter(Retention retention,
                             std::shared_ptr<const FragmentedTombstones> tombstones,
                             KeyRanges below)
    : watermark_(retention.watermark),
      pins_(std::move(retention.pins)),
      tombstones_(std::move(tombstones)),
      below_(std::move(below)) {
  if (tombstones_ != nullptr && tombstones_->empty()) tombstones_ = nullptr;
  std::erase_if(pins_, [this](Version pin) { return pin >= watermark_; });
  std::sort(pins_.begin(), pins_.end(), std::greater<>());
  pins_.erase(std::unique(pins_.begin(), pins_.end()), pins_.end());
}

std::size_t VersionFilter::StripeOf(Version version) const {
  // How many pins are at or above it.
  const auto below =
      std::partition_point(pins_.begin(), pins_.end(), [&](Version pin) { return pin >= version; });
  return static_cast<std::size_t>(below - pins_.begin());
}

bool VersionFilter::IsHidden(InternalKeyView key, std::size_t stripe) {
  // A merge starts anywhere and then goes on from fragment to fragment.
  if (fragment_ == 0) fragment_ = tombstones_->FindFragment(key.user_key);
  while (fragment_ < tombstones_->size() &&
         !IsBeforeEnd(key.user_key, tombstones_->fragment(fragment_).end)) {
    ++fragment_;
  }
  if (fragment_ == tombstones_->size()) return false;
  const auto fragment = tombstones_->fragment(fragment_);
  if (key.user_key < fragment.begin) return false;
  const auto newest = std::lower_bound(fragment.versions.begin(), fragment.versions.end(),
                                       TopOf(stripe), std::greater<>());
  return newest != fragment.versions.end() && *newest > key.version();
}

bool VersionFilter::HidesAll(const KeyRange& range, Version version_min,
                             Version version_max) const {
  if (tombstones_ == nullptr || version_max > watermark_) return false;
  const std::size_t stripe = StripeOf(version_max);
  if (StripeOf(version_min) != stripe) return false;
  std::string_view from = range.begin;
  for (std::size_t i = tombstones_->FindFragment(from); i < tombstones_->size(); ++i) {
    const auto fragment = tombstones_->fragment(i);
    if (from < fragment.begin) return false;
    const auto newest = std::lower_bound(fragment.versions.begin(), fragment.versions.end(),
                                         TopOf(stripe), std::greater<>());
    if (newest == fragment.versions.end() || *newest <= version_max) return false;
    if (!EndsBefore(HalfOpen(fragment.begin, fragment.end).end, range.end)) return true;
    from = fragment.end;
  }
  return false;
}

FragmentedTombstones VersionFilter::KeptTombstones() const {
  FragmentedTombstones::Builder builder;
  if (tombstones_ == nullptr) return builder.Finish();
  std::vector<Version> kept;
  for (std::size_t i = 0; i < tombstones_->size(); ++i) {
    const auto fragment = tombstones_->fragment(i);
    const bool older_below = below_.Overlaps(HalfOpen(fragment.begin, fragment.end));
    std::size_t last_stripe = kNoStripe;
    kept.clear();
    for (const Version version : fragment.versions) {
      if (version > watermark_) {
        kept.push_back(version);
        continue;
      }
      // The newest of a stripe hides all that the others do.
      const std::size_t stripe = StripeOf(version);
      if (stripe == last_stripe) continue;
      last_stripe = stripe;
      if (stripe < pins_.size() || older_below) kept.push_back(version);
    }
    builder.Add(fragment.begin, fragment.end, kept);
  }
  return builder.Finish();
}

}  // namespace bedrock::engine
