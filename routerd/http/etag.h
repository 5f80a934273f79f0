#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "common/base/ids.h"

namespace bedrock::router {

/// One entity tag of a list, as far as it can name a version: `"5"` is version 5, and any other
/// quoted text names none.
struct EntityTag {
  Version version;    ///< 0: no version of any key.
  bool weak = false;  ///< W/"…"

  friend bool operator==(const EntityTag&, const EntityTag&) = default;
};

/// The value of If-Match or If-None-Match (RFC 9110 13.1): `*`, or a list of entity tags.
struct TagList {
  bool any = false;  ///< `*`
  std::vector<EntityTag> tags;

  /// Whether a tag names `version` by the strong comparison (weak tags never match) or the weak one
  /// (RFC 9110 8.8.3.2). `*` matches any but version 0, which stands for an absent key.
  bool MatchesStrongly(Version version) const;
  bool MatchesWeakly(Version version) const;

  friend bool operator==(const TagList&, const TagList&) = default;
};

inline constexpr std::size_t kTagsMax = 256;

/// nullopt where it is no such value, or has over kTagsMax tags.
std::optional<TagList> ParseTagList(std::string_view text);

}  // namespace bedrock::router
