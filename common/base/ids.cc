#include "common/base/ids.h"

#include <charconv>
#include <cstdio>

namespace bedrock {

namespace {

/// Parses all of `text` as an unsigned number of at most `digits_max` digits.
Result<std::uint64_t> ParseNumber(std::string_view text, int base, std::size_t digits_max,
                                  std::string_view what) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (text.empty() || text.size() > digits_max || error != std::errc() || stop != end ||
      value == 0) {
    return Status::InvalidArgument(std::string(what) + " '" + std::string(text) + "'");
  }
  return value;
}

}  // namespace

std::string FormatNodeId(NodeId id) { return id ? "n" + std::to_string(id.value()) : "-"; }

Result<NodeId> ParseNodeId(std::string_view text) {
  std::string_view digits = text;
  if (digits.starts_with('n')) digits.remove_prefix(1);
  auto number = ParseNumber(digits, 10, 18, "not a node id, such as n1:");
  if (!number.ok()) return std::move(number).status();
  return NodeId(*number);
}

std::string FormatClusterId(ClusterId id) { return FormatHex(id.value()); }

Result<ClusterId> ParseClusterId(std::string_view text) {
  auto number = ParseNumber(text, 16, 16, "not a cluster id, 1 to 16 hex digits:");
  if (!number.ok()) return std::move(number).status();
  return ClusterId(*number);
}

std::string FormatHex(std::uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(number));
  return text;
}

namespace {
std::string RoutingIdPrefix(std::string_view program, NodeId node) {
  return std::string(program) + "/" + FormatNodeId(node) + "/";
}
}  // namespace

std::string FormatTransactionName(NodeId node, BootId router, std::uint64_t number) {
  return FormatNodeId(node) + "-" + FormatHex(router.value()) + "-" + std::to_string(number);
}

std::string RoutingId(std::string_view program, NodeId node, BootId boot) {
  return RoutingIdPrefix(program, node) + FormatHex(boot.value());
}

bool IsRoutingIdOf(std::string_view routing_id, std::string_view program, NodeId node) {
  return routing_id.starts_with(RoutingIdPrefix(program, node));
}

}  // namespace bedrock
