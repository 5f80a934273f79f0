#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"

namespace bedrock::router {

/// Names an interactive transaction and the router that holds it: "n1-00c0ffee00c0ffee-42" is the
/// 42nd of the life of n1's router that drew that boot id. A router that has begun anew knows the
/// transactions of its earlier lives for gone.
struct TransactionId {
  NodeId node;
  BootId boot;
  std::uint64_t number = 0;  ///< From 1.

  friend bool operator==(const TransactionId&, const TransactionId&) = default;
};

std::string FormatTransactionId(const TransactionId& id);
/// nullopt where the text is not what FormatTransactionId makes.
std::optional<TransactionId> ParseTransactionId(std::string_view text);

}  // namespace bedrock::router
