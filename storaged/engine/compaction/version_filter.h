#pragma once

#include <optional>
#include <string>

#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "storaged/engine/keys/internal_key.h"

namespace bedrock::engine {

/// Whether entries of the same keys may stand in tables below the one that is being made.
using OlderBelow = TypedBool<struct OlderBelowTag>;

/// Decides, entry by entry in internal key order, what a flush or a compaction keeps: of each key
/// all versions above the watermark and the newest at or below it; the rest no reader at or above
/// the watermark can see. If the newest at or below the watermark is a tombstone, it goes, too,
/// unless it still hides something older below. One thread.
class VersionFilter {
 public:
  VersionFilter(Version watermark, OlderBelow older_below)
      : watermark_(watermark), older_below_(older_below) {}

  bool Keep(InternalKeyView key) {
    if (!user_key_ || *user_key_ != key.user_key) {
      user_key_ = std::string(key.user_key);
      base_seen_ = false;
    }
    if (key.version() > watermark_) return true;
    if (base_seen_) return false;
    base_seen_ = true;
    return key.kind() != EntryKind::kDelete || static_cast<bool>(older_below_);
  }

 private:
  Version watermark_;
  OlderBelow older_below_;
  std::optional<std::string> user_key_;
  bool base_seen_ = false;  ///< The newest version at or below the watermark has gone by.
};

}  // namespace bedrock::engine
