#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/units.h"
#include "proto/client_messages.h"
#include "proto/command.h"
#include "proto/errors.h"
#include "routerd/http/document.h"
#include "routerd/http/format.h"

namespace bedrock::router {

inline constexpr std::uint32_t kScanLimitDefault = 1000;
inline constexpr std::uint32_t kScanBytesDefault = 1 * kMiB;

/// The body of a POST /v1/txn in the command's terms, which borrow from it: it must outlive them
/// and may be moved.
struct TxnRequest {
  Document document;
  std::deque<std::string> decoded;  ///< What stands in base64 there, and the ends of prefixes.
  std::vector<proto::Condition> conditions;
  std::vector<proto::Operation> then;
  std::vector<proto::Operation> otherwise;
  /// Parallel to `then` and `otherwise`: scans that named their limit themselves.
  std::vector<bool> then_limited;
  std::vector<bool> otherwise_limited;

  TxnRequest() = default;
  TxnRequest(TxnRequest&&) = default;
  TxnRequest& operator=(TxnRequest&&) = default;
};

/// Reads such a body; kOk, or the first thing that is wrong with it, by its place
/// ("then[2].put.key: …"): invalid_argument, key_too_large, value_too_large, transaction_too_large.
proto::Error ParseTxn(std::string_view body, Format format, std::uint64_t value_bytes_max,
                      TxnRequest* request);

inline constexpr std::uint64_t kTransactionTimeoutMsMax = 5 * std::uint64_t{60'000};
inline constexpr std::uint64_t kTransactionIdleMsMax = 60'000;
inline constexpr std::uint64_t kTransactionLockMsMax = 60'000;

/// The body of a POST /v1/transactions; an empty one asks for the defaults.
proto::Error ParseTransactionOptions(std::string_view body, Format format,
                                     proto::TransactionOptions* options);

/// The body of a POST /v1/cluster/compact.
proto::Error ParseCompact(std::string_view body, Format format, Version* version);

/// A body that says nothing: empty, or an object without members.
proto::Error ParseNothing(std::string_view body, Format format);

}  // namespace bedrock::router
