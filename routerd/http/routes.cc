#include "routerd/http/routes.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/config/values.h"
#include "routerd/http/target.h"
#include "routerd/http/text.h"

namespace bedrock::router {
namespace {

using proto::ErrorCode;

constexpr std::string_view kKvPrefix = "/v1/kv/";
/// A version that no key can have: a condition on it always fails, and its failure tells the key's
/// true version.
constexpr Version kNoVersion{UINT64_MAX};

enum class Parameters : std::uint8_t { kTimeout, kShortWrite, kShortRead, kWrite, kRead };

struct Row {
  std::string_view path;  ///< kKvPrefix stands for everything below it.
  Method method;
  Route route;
  Plan::Kind kind;
  Parameters parameters;
};

// HEAD is served wherever GET is.
constexpr std::array kRows = {
    Row{"/put", Method::kPut, Route::kShortForm, Plan::Kind::kPut, Parameters::kShortWrite},
    Row{"/get", Method::kGet, Route::kShortForm, Plan::Kind::kRead, Parameters::kShortRead},
    Row{"/delete", Method::kDelete, Route::kShortForm, Plan::Kind::kDelete,
        Parameters::kShortWrite},
    Row{kKvPrefix, Method::kPut, Route::kKv, Plan::Kind::kPut, Parameters::kWrite},
    Row{kKvPrefix, Method::kGet, Route::kKv, Plan::Kind::kRead, Parameters::kRead},
    Row{kKvPrefix, Method::kDelete, Route::kKv, Plan::Kind::kDelete, Parameters::kWrite},
    Row{"/v1/cluster", Method::kGet, Route::kCluster, Plan::Kind::kCluster, Parameters::kTimeout},
    Row{"/livez", Method::kGet, Route::kLive, Plan::Kind::kLive, Parameters::kTimeout},
    Row{"/readyz", Method::kGet, Route::kReady, Plan::Kind::kReady, Parameters::kTimeout},
    Row{"/metrics", Method::kGet, Route::kMetrics, Plan::Kind::kMetrics, Parameters::kTimeout},
    Row{"/", Method::kGet, Route::kFront, Plan::Kind::kFront, Parameters::kTimeout},
};

/// Parameters that the interface describes and this version does not carry out yet: never ignored.
constexpr std::array<std::string_view, 4> kLater = {"ttl", "lease", "at", "max_staleness"};

std::string_view AllowOf(std::string_view path) {
  if (path == kKvPrefix) return "GET, HEAD, PUT, DELETE";
  if (path == "/put") return "PUT";
  if (path == "/delete") return "DELETE";
  return "GET, HEAD";
}

void Refuse(Plan* plan, ErrorCode code, std::string detail) {
  plan->kind = Plan::Kind::kRefuse;
  plan->error.code = code;
  plan->error.detail = std::move(detail);
}

bool Accepts(Parameters accepted, std::string_view name) {
  if (name == "timeout") return true;
  const bool reads = accepted == Parameters::kRead || accepted == Parameters::kShortRead;
  const bool shorts = accepted == Parameters::kShortRead || accepted == Parameters::kShortWrite;
  if (name == "key") return shorts;
  return reads && (name == "consistency" || name == "min_version");
}

/// ok, or why this value can't be taken.
Status Apply(const Parameter& parameter, Plan* plan, std::optional<std::string>* key) {
  if (parameter.name == "key") {
    *key = parameter.value;
  } else if (parameter.name == "timeout") {
    const auto timeout = config::ParseDuration(parameter.value);
    if (!timeout.ok() || *timeout == 0 || *timeout > kTimeoutMsMax) {
      return Status::InvalidArgument("timeout must be a duration from 1ms to 60s, such as 500ms");
    }
    plan->timeout_ms = *timeout;
  } else if (parameter.name == "min_version") {
    const auto version = config::ParseNumber(parameter.value, 0, UINT64_MAX);
    if (!version.ok()) return Status::InvalidArgument("min_version must be a number");
    plan->min_version = Version(*version);
  } else if (parameter.value == "linearizable") {
    plan->consistency = proto::Consistency::kLinearizable;
  } else if (parameter.value == "stale") {
    plan->consistency = proto::Consistency::kStale;
  } else {
    return Status::InvalidArgument("consistency must be linearizable or stale");
  }
  return {};
}

Status ApplyQuery(std::string_view query, Parameters accepted, Plan* plan,
                  std::optional<std::string>* key) {
  if (query.empty()) return {};
  auto parameters = ParseQuery(query);
  if (!parameters.ok()) return parameters.status();
  for (const Parameter& parameter : *parameters) {
    if (!Accepts(accepted, parameter.name)) {
      const bool later = accepted != Parameters::kTimeout &&
                         std::find(kLater.begin(), kLater.end(), parameter.name) != kLater.end();
      return Status::InvalidArgument("query parameter \"" + parameter.name +
                                     (later ? "\" is not supported yet" : "\" is not known here"));
    }
    if (Status bad = Apply(parameter, plan, key); !bad.ok()) return bad;
  }
  return {};
}

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
    if (plan.kind == Plan::Kind::kDelete) {
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

Status ApplyHeaders(const RequestHead& head, Plan* plan) {
  const bool keyed = plan->route == Route::kKv || plan->route == Route::kShortForm;
  if (!keyed) return {};
  if (Status bad = ApplyTags("If-Match", head.if_match, &plan->if_match); !bad.ok()) return bad;
  if (Status bad = ApplyTags("If-None-Match", head.if_none_match, &plan->if_none_match);
      !bad.ok()) {
    return bad;
  }
  if (!plan->is_write()) return {};
  if (head.idempotency_key) {
    return Status::InvalidArgument("the header Idempotency-Key is not supported yet");
  }
  if (head.fence) return Status::InvalidArgument("the header X-Bedrock-Fence is not supported yet");
  return CheckWriteTags(*plan);
}

void ApplyKey(std::optional<std::string> key, Plan* plan) {
  if (!key || key->empty()) {
    return Refuse(plan, ErrorCode::kInvalidArgument, "a key of 1 to 8192 bytes is required");
  }
  if (key->size() > proto::kKeyBytesMax) {
    Refuse(plan, ErrorCode::kKeyTooLarge, "the key is too long");
    plan->error.limit = proto::kKeyBytesMax;
    plan->error.actual = key->size();
    return;
  }
  plan->key = std::move(*key);
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
    Refuse(plan, ErrorCode::kRouteNotFound, "no such route; GET / lists them");
  } else {
    Refuse(plan, ErrorCode::kMethodNotAllowed, "this method is not served here");
    plan->allow = AllowOf(path);
  }
  return nullptr;
}

}  // namespace

std::string_view RouteName(Route route) {
  constexpr std::array<std::string_view, kRoutes> kNames = {
      "kv", "short_form", "cluster", "livez", "readyz", "metrics", "front", "none"};
  return kNames[static_cast<std::size_t>(route)];
}

std::vector<proto::Condition> Plan::Conditions() const {
  using Check = proto::Condition::Kind;
  std::vector<proto::Condition> conditions;
  if (if_match) {
    if (if_match->any) {
      conditions.push_back({Check::kExists, key, Version()});
    } else {
      Version named = kNoVersion;
      for (const EntityTag& tag : if_match->tags) {
        if (!tag.weak && tag.version) named = tag.version;
      }
      conditions.push_back({Check::kVersionEquals, key, named});
    }
  }
  if (if_none_match) conditions.push_back({Check::kAbsent, key, Version()});
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
  const bool kv = target->path.substr(0, kKvPrefix.size()) == kKvPrefix;
  const Row* row = FindRow(kv ? kKvPrefix : target->path, head.method, &plan);
  if (row == nullptr) return plan;
  plan.route = row->route;
  plan.kind = row->kind;
  plan.short_form = row->route == Route::kShortForm;
  std::optional<std::string> key;
  Status bad = ApplyQuery(target->query, row->parameters, &plan, &key);
  if (bad.ok()) bad = ApplyHeaders(head, &plan);
  if (bad.ok() && kv) {
    key = PercentDecode(target->path.substr(kKvPrefix.size()), PlusIsSpace::kNo);
    if (!key) bad = Status::InvalidArgument("bad percent-encoding in the path");
  }
  if (!bad.ok()) {
    Refuse(&plan, ErrorCode::kInvalidArgument, std::string(bad.message()));
    return plan;
  }
  if (kv || plan.short_form) ApplyKey(std::move(key), &plan);
  if (plan.kind == Plan::Kind::kPut) {
    plan.body_limit = value_bytes_max;
    plan.body_code = ErrorCode::kValueTooLarge;
  }
  return plan;
}

}  // namespace bedrock::router
