#include "routerd/http/routes.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/status_macros.h"
#include "routerd/http/parameters.h"
#include "routerd/http/target.h"
#include "routerd/http/text.h"

namespace bedrock::router {
namespace {

using proto::ErrorCode;
using Kind = Plan::Kind;

/// A version that no key can have: a condition on it always fails, and its failure tells the key's
/// true version.
constexpr Version kNoVersion{UINT64_MAX};
constexpr std::size_t kIdempotencyKeyBytesMin = 1;

// What stands in a row for all paths of a shape.
constexpr std::string_view kKeyPath = "/v1/kv/";
constexpr std::string_view kTransactionsPath = "/v1/transactions/";
constexpr std::string_view kTransactionKeyPath = "/v1/transactions/{id}/kv/";
constexpr std::string_view kTransactionRangePath = "/v1/transactions/{id}/kv";
constexpr std::string_view kCommitPath = "/v1/transactions/{id}/commit";
constexpr std::string_view kRollbackPath = "/v1/transactions/{id}/rollback";
constexpr std::string_view kMembersPath = "/v1/cluster/members/";
constexpr std::string_view kMemberPath = "/v1/cluster/members/{id}";
constexpr std::string_view kPromotePath = "/v1/cluster/members/{id}/promote";
constexpr std::string_view kDemotePath = "/v1/cluster/members/{id}/demote";

constexpr std::uint8_t kShortRead = kKeyParameter | kReadParameters;
constexpr std::uint8_t kScan = kReadParameters | kBoundParameters | kScanParameters;
constexpr std::uint8_t kInnerScan = kBoundParameters | kScanParameters | kLockParameters;

struct Row {
  std::string_view path;
  Method method;
  Route route;
  Plan::Kind kind;
  std::uint8_t parameters;  ///< ParameterGroups; `timeout` beside them.
};

// HEAD is served wherever GET is.
constexpr std::array kRows = {
    Row{"/put", Method::kPut, Route::kShortForm, Kind::kPut, kKeyParameter | kLeaseParameters},
    Row{"/get", Method::kGet, Route::kShortForm, Kind::kRead, kShortRead},
    Row{"/delete", Method::kDelete, Route::kShortForm, Kind::kDelete, kKeyParameter},
    Row{kKeyPath, Method::kGet, Route::kKv, Kind::kRead, kReadParameters},
    Row{kKeyPath, Method::kPut, Route::kKv, Kind::kPut, kLeaseParameters},
    Row{kKeyPath, Method::kDelete, Route::kKv, Kind::kDelete, kNoParameters},
    Row{"/v1/kv", Method::kGet, Route::kRange, Kind::kScan, kScan},
    Row{"/v1/kv", Method::kDelete, Route::kRange, Kind::kDeleteRange, kBoundParameters},
    Row{"/v1/txn", Method::kPost, Route::kTxn, Kind::kTxn, kNoParameters},
    Row{"/v1/transactions", Method::kPost, Route::kTransaction, Kind::kBegin, kNoParameters},
    Row{kTransactionKeyPath, Method::kGet, Route::kTransaction, Kind::kRead, kLockParameters},
    Row{kTransactionKeyPath, Method::kPut, Route::kTransaction, Kind::kPut, kLeaseParameters},
    Row{kTransactionKeyPath, Method::kDelete, Route::kTransaction, Kind::kDelete, kNoParameters},
    Row{kTransactionRangePath, Method::kGet, Route::kTransaction, Kind::kScan, kInnerScan},
    Row{kTransactionRangePath, Method::kDelete, Route::kTransaction, Kind::kDeleteRange,
        kBoundParameters},
    Row{kCommitPath, Method::kPost, Route::kTransaction, Kind::kCommit, kNoParameters},
    Row{kRollbackPath, Method::kPost, Route::kTransaction, Kind::kRollback, kNoParameters},
    Row{"/v1/cluster", Method::kGet, Route::kCluster, Kind::kCluster, kNoParameters},
    Row{"/v1/cluster/compact", Method::kPost, Route::kCluster, Kind::kCompact, kNoParameters},
    Row{"/v1/cluster/leader", Method::kPost, Route::kCluster, Kind::kMoveLeader, kNoParameters},
    Row{"/v1/cluster/members", Method::kPost, Route::kCluster, Kind::kAddMember, kNoParameters},
    Row{kMemberPath, Method::kDelete, Route::kCluster, Kind::kRemoveMember, kNoParameters},
    Row{kPromotePath, Method::kPost, Route::kCluster, Kind::kPromoteMember, kNoParameters},
    Row{kDemotePath, Method::kPost, Route::kCluster, Kind::kDemoteMember, kNoParameters},
    Row{"/livez", Method::kGet, Route::kLive, Kind::kLive, kNoParameters},
    Row{"/readyz", Method::kGet, Route::kReady, Kind::kReady, kNoParameters},
    Row{"/metrics", Method::kGet, Route::kMetrics, Kind::kMetrics, kNoParameters},
    Row{"/", Method::kGet, Route::kFront, Kind::kFront, kNoParameters},
};

/// What the interface describes and this version does not carry out: these paths and what is below
/// them.
constexpr std::array<std::string_view, 6> kLater = {
    "/v1/watch", "/v1/leases", "/v1/locks", "/v1/backup", "/v1/auth/tokens", "/v1/openapi.json"};

bool IsLater(std::string_view path) {
  return std::any_of(kLater.begin(), kLater.end(), [path](std::string_view later) {
    return path.starts_with(later) && (path.size() == later.size() || path[later.size()] == '/');
  });
}

/// A path as the rows know it, and what stands in it (still escaped).
struct Shape {
  std::string_view path;
  std::string_view transaction;
  std::string_view key;
  std::string_view member;
};

Shape ShapeOfMember(std::string_view path) {
  const std::string_view inner = path.substr(kMembersPath.size());
  const std::size_t slash = std::min(inner.find('/'), inner.size());
  const std::string_view id = inner.substr(0, slash);
  const std::string_view rest = inner.substr(slash);
  if (rest.empty()) return {kMemberPath, {}, {}, id};
  if (rest == "/promote") return {kPromotePath, {}, {}, id};
  if (rest == "/demote") return {kDemotePath, {}, {}, id};
  return {path, {}, {}, {}};
}

Shape ShapeOf(std::string_view path) {
  if (path.starts_with(kKeyPath)) return {kKeyPath, {}, path.substr(kKeyPath.size()), {}};
  if (path.starts_with(kMembersPath)) return ShapeOfMember(path);
  if (!path.starts_with(kTransactionsPath)) return {path, {}, {}, {}};
  const std::string_view inner = path.substr(kTransactionsPath.size());
  const std::size_t slash = std::min(inner.find('/'), inner.size());
  const std::string_view id = inner.substr(0, slash);
  const std::string_view rest = inner.substr(slash);
  if (rest.starts_with("/kv/")) return {kTransactionKeyPath, id, rest.substr(4), {}};
  if (rest == "/kv") return {kTransactionRangePath, id, {}, {}};
  if (rest == "/commit") return {kCommitPath, id, {}, {}};
  if (rest == "/rollback") return {kRollbackPath, id, {}, {}};
  return {path, {}, {}, {}};
}

std::string_view NameOf(Method method) {
  switch (method) {
    case Method::kGet:
      return "GET, HEAD";
    case Method::kPut:
      return "PUT";
    case Method::kPost:
      return "POST";
    case Method::kDelete:
      return "DELETE";
    case Method::kHead:
    case Method::kOther:
      break;
  }
  return "";
}

std::string AllowOf(std::string_view path) {
  std::string allow;
  for (const Row& row : kRows) {
    if (row.path != path) continue;
    if (!allow.empty()) allow += ", ";
    allow += NameOf(row.method);
  }
  return allow;
}

void Refuse(Plan* plan, proto::Error error) {
  plan->kind = Kind::kRefuse;
  plan->error = std::move(error);
}

void Refuse(Plan* plan, ErrorCode code, std::string detail) {
  proto::Error error;
  error.code = code;
  error.detail = std::move(detail);
  Refuse(plan, std::move(error));
}

const Row* FindRow(std::string_view path, Method method, Plan* plan) {
  bool known = false;
  for (const Row& row : kRows) {
    if (path != row.path) continue;
    known = true;
    if (row.method == (method == Method::kHead ? Method::kGet : method)) return &row;
    plan->route = row.route;
  }
  if (!known) {
    Refuse(plan, ErrorCode::kRouteNotFound,
           IsLater(path) ? std::string(path) + " is not supported yet"
                         : "no such route; GET / lists them");
  } else {
    Refuse(plan, ErrorCode::kMethodNotAllowed, "this method is not served here");
    plan->allow = AllowOf(path);
  }
  return nullptr;
}

// ---- headers ----

Status ApplyTags(std::string_view name, const std::optional<std::string>& text,
                 std::optional<TagList>* tags) {
  if (!text) return {};
  *tags = ParseTagList(*text);
  if (tags->has_value()) return {};
  return Status::InvalidArgument(std::string(name) + " must be * or a list of entity tags");
}

/// What a write's conditional headers may say beyond their form.
Status CheckWriteTags(const Plan& plan) {
  if (plan.if_none_match) {
    if (plan.kind == Kind::kDelete) {
      return Status::InvalidArgument("If-None-Match is not supported on DELETE");
    }
    if (!plan.if_none_match->any) {
      return Status::InvalidArgument("If-None-Match on PUT must be *");
    }
  }
  if (plan.if_match) {
    const auto& tags = plan.if_match->tags;
    const auto nameable = std::count_if(
        tags.begin(), tags.end(), [](const EntityTag& tag) { return !tag.weak && tag.version; });
    if (nameable > 1) {
      return Status::InvalidArgument("If-Match on a write must name a single version");
    }
  }
  return {};
}

bool IsVisibleAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

Status ApplyIdempotencyKey(const RequestHead& head, Plan* plan) {
  if (!head.idempotency_key) return {};
  const std::string& key = *head.idempotency_key;
  const bool kept = plan->transaction.empty() && plan->kind != Kind::kBegin;
  if (!kept) {
    return Status::InvalidArgument(
        "the header Idempotency-Key is not supported inside a transaction: its commit may be sent "
        "again as it is");
  }
  if (plan->kind >= Kind::kCompact) {
    return Status::InvalidArgument("the header Idempotency-Key is not supported here");
  }
  if (key.size() < kIdempotencyKeyBytesMin || key.size() > proto::kIdempotencyKeyBytesMax ||
      !IsVisibleAscii(key)) {
    return Status::InvalidArgument("Idempotency-Key must be 1 to 128 visible ASCII characters");
  }
  plan->idempotency_key = key;
  return {};
}

bool Writes(const Plan& plan) {
  return plan.needs_core() && plan.kind != Kind::kRead && plan.kind != Kind::kScan;
}

Status ApplyHeaders(const RequestHead& head, Plan* plan) {
  const bool single =
      plan->kind == Kind::kRead || plan->kind == Kind::kPut || plan->kind == Kind::kDelete;
  if (single && plan->transaction.empty()) {
    RETURN_IF_ERROR(ApplyTags("If-Match", head.if_match, &plan->if_match));
    RETURN_IF_ERROR(ApplyTags("If-None-Match", head.if_none_match, &plan->if_none_match));
  } else if (Writes(*plan) || !plan->transaction.empty()) {
    // A condition that nobody looks at would pass for one that held.
    if (head.if_match) return Status::InvalidArgument("If-Match is not supported here");
    if (head.if_none_match) return Status::InvalidArgument("If-None-Match is not supported here");
  }
  if (!Writes(*plan)) return {};
  if (head.fence) return Status::InvalidArgument("the header X-Bedrock-Fence is not supported yet");
  RETURN_IF_ERROR(ApplyIdempotencyKey(head, plan));
  return CheckWriteTags(*plan);
}

// ---- the path ----

Status ApplyTransaction(std::string_view escaped, Plan* plan) {
  auto id = PercentDecode(escaped, PlusIsSpace::kNo);
  if (!id) return Status::InvalidArgument("bad percent-encoding in the path");
  if (id->empty() || id->size() > kTransactionIdBytesMax) {
    return Status::InvalidArgument("a transaction's id of 1 to 128 bytes is required");
  }
  plan->transaction = *std::move(id);
  return {};
}

Status ApplyMember(std::string_view escaped, Plan* plan) {
  const auto text = PercentDecode(escaped, PlusIsSpace::kNo);
  if (!text) return Status::InvalidArgument("bad percent-encoding in the path");
  const Result<NodeId> id = ParseNodeId(*text);
  if (!id.ok()) return id.status();
  plan->member = *id;
  return {};
}

void ApplyKey(std::optional<std::string> key, Plan* plan) {
  if (proto::Error bad = CheckKey(key.value_or("")); !bad.ok()) {
    return Refuse(plan, std::move(bad));
  }
  plan->key = *std::move(key);
}

void BoundBody(std::uint64_t value_bytes_max, Plan* plan) {
  switch (plan->kind) {
    case Kind::kPut:
      plan->body_limit = value_bytes_max;
      plan->body_code = ErrorCode::kValueTooLarge;
      break;
    case Kind::kTxn:
      plan->body_limit = kTxnBodyBytesMax;
      break;
    case Kind::kBegin:
    case Kind::kCommit:
    case Kind::kRollback:
    case Kind::kCompact:
    case Kind::kAddMember:
    case Kind::kPromoteMember:
    case Kind::kDemoteMember:
    case Kind::kMoveLeader:
      plan->body_limit = kSmallBodyBytesMax;
      break;
    default:
      break;
  }
}

}  // namespace

std::string_view RouteName(Route route) {
  constexpr std::array<std::string_view, kRoutes> kNames = {
      "kv",    "range",  "short_form", "txn",   "transaction", "cluster",
      "livez", "readyz", "metrics",    "front", "none"};
  return kNames[static_cast<std::size_t>(route)];
}

std::vector<proto::Condition> Plan::Conditions() const {
  using Check = proto::Condition::Kind;
  std::vector<proto::Condition> conditions;
  if (if_match) {
    if (if_match->any) {
      conditions.push_back({Check::kExists, key, Version(), {}});
    } else {
      Version named = kNoVersion;
      for (const EntityTag& tag : if_match->tags) {
        if (!tag.weak && tag.version) named = tag.version;
      }
      conditions.push_back({Check::kVersionEquals, key, named, {}});
    }
  }
  if (if_none_match) conditions.push_back({Check::kAbsent, key, Version(), {}});
  return conditions;
}

Plan PlanRequest(const RequestHead& head, std::uint64_t value_bytes_max) {
  Plan plan;
  plan.timeout_ms = kTimeoutMsDefault;
  const auto target = SplitTarget(head.target);
  if (!target) {
    Refuse(&plan, ErrorCode::kInvalidArgument, "not a request target that this server serves");
    return plan;
  }
  if (head.minor_version >= 1 && !head.host) {
    Refuse(&plan, ErrorCode::kInvalidArgument, "HTTP/1.1 requires a Host header");
    return plan;
  }
  const Shape shape = ShapeOf(target->path);
  const Row* row = FindRow(shape.path, head.method, &plan);
  if (row == nullptr) return plan;
  plan.route = row->route;
  plan.kind = row->kind;
  plan.short_form = row->route == Route::kShortForm;
  std::optional<std::string> key;
  Status bad;
  if (shape.path.starts_with(kTransactionsPath)) bad = ApplyTransaction(shape.transaction, &plan);
  if (row->path.starts_with(kMembersPath)) bad = ApplyMember(shape.member, &plan);
  if (bad.ok()) {
    proto::Error error = ApplyParameters(target->query, row->parameters, head.accept, &plan, &key);
    if (!error.ok()) {
      Refuse(&plan, std::move(error));
      return plan;
    }
    bad = ApplyHeaders(head, &plan);
  }
  const bool in_path = row->path == kKeyPath || row->path == kTransactionKeyPath;
  if (bad.ok() && in_path) {
    key = PercentDecode(shape.key, PlusIsSpace::kNo);
    if (!key) bad = Status::InvalidArgument("bad percent-encoding in the path");
  }
  if (!bad.ok()) {
    Refuse(&plan, ErrorCode::kInvalidArgument, std::string(bad.message()));
    return plan;
  }
  if (in_path || plan.short_form) ApplyKey(std::move(key), &plan);
  BoundBody(value_bytes_max, &plan);
  return plan;
}

}  // namespace bedrock::router
