#include "routerd/core/interactive/transaction_id.h"

#include <charconv>
#include <cstddef>

namespace bedrock::router {
namespace {

constexpr std::size_t kBootDigits = 16;

/// All of `text`, digits of `base` only.
std::optional<std::uint64_t> ParseNumber(std::string_view text, int base) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

std::string FormatTransactionId(const TransactionId& id) {
  return FormatTransactionName(id.node, id.boot, id.number);
}

std::optional<TransactionId> ParseTransactionId(std::string_view text) {
  const std::size_t first = text.find('-');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = first + 1 + kBootDigits;
  if (text.size() <= second || text[second] != '-') return std::nullopt;
  const auto node = ParseNodeId(text.substr(0, first));
  const auto boot = ParseNumber(text.substr(first + 1, kBootDigits), 16);
  const auto number = ParseNumber(text.substr(second + 1), 10);
  if (!node.ok() || !boot || !number) return std::nullopt;
  const TransactionId id{*node, BootId(*boot), *number};
  if (FormatTransactionId(id) != text) return std::nullopt;  // one spelling each
  return id;
}

}  // namespace bedrock::router
