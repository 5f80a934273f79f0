#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/units.h"
#include "proto/client_messages.h"
#include "proto/command.h"
#include "proto/errors.h"
#include "routerd/http/etag.h"
#include "routerd/http/key_range.h"
#include "routerd/http/request.h"

namespace bedrock::router {

/// Which part of the interface a request is about: a label of the metrics.
enum class Route : std::uint8_t {
  kKv,
  kRange,
  kShortForm,
  kTxn,
  kTransaction,
  kCluster,
  kLive,
  kReady,
  kMetrics,
  kFront,
  kNone
};
inline constexpr std::size_t kRoutes = 11;
std::string_view RouteName(Route route);

/// What a scan reads.
struct ScanPlan {
  KeyRange rest;  ///< What this request has to read: all of it, or from its page on.
  std::uint32_t bounds_check = 0;  ///< Of the whole scan's bounds, for the next page's token.
  proto::Scan scan;                ///< With the limits of a page.
  bool stream = false;             ///< Every item, a line each.
  std::uint64_t items_max = 0;     ///< Of a stream; 0: unbounded.
};

/// What a request asks for, decided from its head alone, before a byte of its body is read.
struct Plan {
  enum class Kind : std::uint8_t {
    kRefuse,  ///< `error` says why.
    kRead,
    kPut,
    kDelete,
    kScan,
    kDeleteRange,
    kTxn,
    kBegin,
    kCommit,
    kRollback,
    kCompact,
    kAddMember,
    kPromoteMember,
    kDemoteMember,
    kRemoveMember,
    kMoveLeader,
    kCluster,
    kLive,
    kReady,
    kMetrics,
    kFront,
  };
  Kind kind = Kind::kRefuse;
  Route route = Route::kNone;
  bool short_form = false;
  proto::Error error;
  std::string allow;  ///< For method_not_allowed.

  std::string key;
  /// The interactive transaction that this is a step of; empty: none.
  std::string transaction;
  NodeId member;  ///< kPromoteMember, kDemoteMember, kRemoveMember.
  bool for_update = false;
  proto::Consistency consistency = proto::Consistency::kLinearizable;
  Version min_version;
  Version at;
  std::uint64_t max_staleness_ms = 0;
  std::uint64_t timeout_ms = 0;
  std::optional<TagList> if_match;
  std::optional<TagList> if_none_match;
  std::string idempotency_key;    ///< Empty: none.
  std::optional<ScanPlan> range;  ///< kScan, kDeleteRange.

  std::uint64_t body_limit = 0;  ///< 0: a body means nothing here and is dropped.
  proto::ErrorCode body_code = proto::ErrorCode::kRequestTooLarge;

  bool streams() const { return range.has_value() && range->stream; }
  /// Asks the core for something.
  bool needs_core() const { return kind >= Kind::kRead && kind <= Kind::kMoveLeader; }
  /// Nothing of the same connection may run beside it: it writes, takes a step of a transaction
  /// (each sees those before it), or has a reply of many MiB, of which one at a time is enough.
  bool runs_alone() const { return needs_core() && (kind != Kind::kRead || !transaction.empty()); }
  bool takes_body() const { return body_limit > 0; }
  /// The conditions of a PUT or DELETE, in the command's terms. They borrow `key`.
  std::vector<proto::Condition> Conditions() const;
};

inline constexpr std::uint64_t kTimeoutMsDefault = 5'000;
inline constexpr std::uint64_t kTimeoutMsMax = 60'000;
inline constexpr std::uint64_t kTxnBodyBytesMax = 16 * kMiB;
inline constexpr std::uint64_t kSmallBodyBytesMax = 64 * kKiB;  ///< Of any other document.
inline constexpr std::size_t kTransactionIdBytesMax = 128;

/// `value_bytes_max` bounds a PUT's body.
Plan PlanRequest(const RequestHead& head, std::uint64_t value_bytes_max);

}  // namespace bedrock::router
