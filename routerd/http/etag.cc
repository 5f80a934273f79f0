#include "routerd/http/etag.h"

#include <algorithm>
#include <cstdint>

#include "common/config/values.h"

namespace bedrock::router {
namespace {

std::string_view Trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

/// A version as ETags spell it: no sign, no leading zero.
Version VersionIn(std::string_view opaque) {
  if (opaque.empty() || opaque.front() == '0') return Version();
  return Version(config::ParseNumber(opaque, 1, UINT64_MAX).value_or(std::uint64_t{0}));
}

/// Takes one entity tag off the front.
std::optional<EntityTag> TakeTag(std::string_view* text) {
  EntityTag tag;
  if (text->substr(0, 2) == "W/") {
    tag.weak = true;
    text->remove_prefix(2);
  }
  if (text->empty() || text->front() != '"') return std::nullopt;
  const std::size_t end = text->find('"', 1);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view opaque = text->substr(1, end - 1);
  // etagc (RFC 9110 8.8.3): no blanks and no control characters.
  for (const char c : opaque) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x21 || byte == 0x7F) return std::nullopt;
  }
  tag.version = VersionIn(opaque);
  text->remove_prefix(end + 1);
  return tag;
}

}  // namespace

bool TagList::MatchesStrongly(Version version) const {
  if (!version) return false;
  return any || std::any_of(tags.begin(), tags.end(), [version](const EntityTag& tag) {
           return !tag.weak && tag.version == version;
         });
}

bool TagList::MatchesWeakly(Version version) const {
  if (!version) return false;
  return any || std::any_of(tags.begin(), tags.end(),
                            [version](const EntityTag& tag) { return tag.version == version; });
}

std::optional<TagList> ParseTagList(std::string_view text) {
  TagList list;
  text = Trim(text);
  if (text == "*") {
    list.any = true;
    return list;
  }
  while (!text.empty()) {
    if (text.front() == ',') {  // empty elements are allowed (RFC 9110 5.6.1.2)
      text = Trim(text.substr(1));
      continue;
    }
    const auto tag = TakeTag(&text);
    if (!tag || list.tags.size() == kTagsMax) return std::nullopt;
    list.tags.push_back(*tag);
    text = Trim(text);
    if (!text.empty() && text.front() != ',') return std::nullopt;
  }
  if (list.tags.empty()) return std::nullopt;
  return list;
}

}  // namespace bedrock::router
