#include "routerd/http/accept.h"

#include <algorithm>
#include <cstddef>

#include "routerd/http/text.h"

namespace bedrock::router {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kMessagePack = "application/msgpack";
constexpr std::string_view kStream = "application/x-ndjson";

std::string_view Trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Takes what stands before the next `separator` off the front.
std::string_view TakePart(std::string_view* text, char separator) {
  const std::size_t end = std::min(text->find(separator), text->size());
  const std::string_view part = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return Trim(part);
}

/// A weight (RFC 9110 12.4.2) in thousandths; one that is no weight counts as 1.
int ParseWeight(std::string_view text) {
  if (text.empty() || text.front() != '0') return 1000;
  int weight = 0;
  for (std::size_t i = 2; i < 5; ++i) {
    const bool digit = i < text.size() && text[i] >= '0' && text[i] <= '9';
    weight = weight * 10 + (digit ? text[i] - '0' : 0);
  }
  return weight;
}

/// What a list of media ranges gives to `type`, in thousandths; 0 where it does not name it.
int WeightOf(std::string_view accept, std::string_view type) {
  while (!accept.empty()) {
    std::string_view range = TakePart(&accept, ',');
    if (!EqualsIgnoringCase(TakePart(&range, ';'), type)) continue;
    while (!range.empty()) {
      const std::string_view parameter = TakePart(&range, ';');
      if (EqualsIgnoringCase(parameter.substr(0, 2), "q=")) return ParseWeight(parameter.substr(2));
    }
    return 1000;
  }
  return 0;
}

}  // namespace

Format AcceptedFormat(std::string_view accept) {
  const int weight = WeightOf(accept, kMessagePack);
  const bool packed = weight > 0 && weight >= WeightOf(accept, kJson);
  return packed ? Format::kMessagePack : Format::kJson;
}

bool AcceptsStream(std::string_view accept) {
  const int weight = WeightOf(accept, kStream);
  return weight > 0 && weight >= std::max(WeightOf(accept, kJson), WeightOf(accept, kMessagePack));
}

Format FormatOfContent(std::string_view content_type) {
  const std::string_view type = TakePart(&content_type, ';');
  const bool packed =
      EqualsIgnoringCase(type, kMessagePack) || EqualsIgnoringCase(type, "application/x-msgpack");
  return packed ? Format::kMessagePack : Format::kJson;
}

}  // namespace bedrock::router
