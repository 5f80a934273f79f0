#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/ids.h"
#include "storaged/engine/compaction/key_ranges.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/keys/range_tombstones.h"
#include "storaged/engine/read/key_buffer.h"
#include "storaged/engine/read/key_compare.h"

namespace bedrock::engine {

/// At which versions reads can ask: at the pinned ones, and at any from the watermark on.
struct Retention {
  Version watermark;
  std::vector<Version> pins;  ///< In any order; those from the watermark on change nothing.
};

/// Decides what a flush or a compaction keeps so that each read Retention allows for has the same
/// answer before and after. Watermark and pins part the versions into stripes; above the watermark
/// each version is a stripe of its own:
///
///   pins 3 and 5, watermark 8:     1 2 3 | 4 5 | 6 7 8 | 9 | 10 | …
///
/// No reader can tell two versions of a stripe apart. So of each key the newest of each stripe is
/// kept, unless a range tombstone of the same stripe hides it. In the lowest stripe a tombstone has
/// nothing more to hide among the entries that go by; it is kept only where `below`, what stands in
/// older tables that are not merged here, may have the key. Higher tombstones always stay: what
/// they hide may be in a lower stripe.
///
/// (key, version) is unique among points; a range tombstone hides lower versions only.
///
/// Thread: one. Where there are neither pins nor range tombstones it costs a copy and a compare of
/// the key an entry.
class VersionFilter {
 public:
  /// `tombstones`: all range tombstones of what is merged; null: there are none.
  VersionFilter(Retention retention, std::shared_ptr<const FragmentedTombstones> tombstones,
                KeyRanges below);

  /// Whether an entry stays. REQUIRES: called for every entry, in internal key order.
  bool Keep(InternalKeyView key) {
    if (first_ || !SameKey(key.user_key, user_key_.view())) {
      user_key_.Assign(key.user_key);
      stripe_ = kNoStripe;
      first_ = false;
    }
    if (key.version() > watermark_) return true;
    const std::size_t stripe = pins_.empty() ? 0 : StripeOf(key.version());
    if (stripe == stripe_) return false;
    stripe_ = stripe;
    if (stripe == pins_.size() && key.kind() == EntryKind::kDelete &&
        !below_.Contains(key.user_key)) {
      return false;
    }
    return tombstones_ == nullptr || !IsHidden(key, stripe);
  }

  /// Whether a range tombstone hides every point in `range` whose version is in [version_min,
  /// version_max] from every reader.
  bool HidesAll(const KeyRange& range, Version version_min, Version version_max) const;
  /// What stays of the range tombstones. Const: may come before, between or after the entries.
  FragmentedTombstones KeptTombstones() const;

 private:
  static constexpr std::size_t kNoStripe = SIZE_MAX;

  /// 0: at or below the watermark and above all pins; i: at or below pin i - 1 and above pin i.
  /// REQUIRES: version <= watermark_.
  std::size_t StripeOf(Version version) const;
  /// The highest version of a stripe.
  Version TopOf(std::size_t stripe) const { return stripe == 0 ? watermark_ : pins_[stripe - 1]; }
  bool IsHidden(InternalKeyView key, std::size_t stripe);

  Version watermark_;
  std::vector<Version> pins_;                               ///< Below the watermark, descending.
  std::shared_ptr<const FragmentedTombstones> tombstones_;  ///< Null or not empty.
  KeyRanges below_;

  bool first_ = true;
  KeyBuffer user_key_;              ///< Of the entry before.
  std::size_t stripe_ = kNoStripe;  ///< Of the last entry of this key at or below the watermark.
  std::size_t fragment_ = 0;        ///< The first that ends behind user_key_.
};

}  // namespace bedrock::engine
