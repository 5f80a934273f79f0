#include "routerd/http/parameters.h"

#include <array>
#include <utility>

#include "common/config/values.h"
#include "routerd/http/accept.h"
#include "routerd/http/page_token.h"
#include "routerd/http/target.h"
#include "routerd/http/txn_request.h"

namespace bedrock::router {
namespace {

using proto::Error;
using proto::ErrorCode;

constexpr std::uint64_t kStalenessMsMax = 3'600'000;
constexpr std::uint32_t kStreamPageBytes = 512 * kKiB;

Error Invalid(std::string detail) {
  Error error;
  error.code = ErrorCode::kInvalidArgument;
  error.detail = std::move(detail);
  return error;
}

/// The parameters of a scan as they stand there.
struct ScanWords {
  std::optional<std::string> prefix, start, end, page;
  std::optional<std::uint64_t> limit, limit_bytes;
  std::optional<bool> reverse, keys_only;
  bool count_only = false;
};

struct Words {
  Plan* plan;
  std::optional<std::string>* key;
  ScanWords scan;
};

Error TakeBoolean(const Parameter& parameter, std::optional<bool>* value) {
  if (parameter.value != "true" && parameter.value != "false") {
    return Invalid(parameter.name + " must be true or false");
  }
  *value = parameter.value == "true";
  return {};
}

Error TakeVersion(const Parameter& parameter, std::uint64_t low, Version* version) {
  const auto number = config::ParseNumber(parameter.value, low, UINT64_MAX);
  if (!number.ok()) {
    return Invalid(parameter.name + " must be a" + (low == 0 ? "" : " positive") + " number");
  }
  *version = Version(*number);
  return {};
}

Error TakeDuration(const Parameter& parameter, std::uint64_t most, std::uint64_t* value) {
  const auto duration = config::ParseDuration(parameter.value);
  if (!duration.ok() || *duration == 0 || *duration > most) {
    return Invalid(parameter.name + " must be a duration from 1ms to " +
                   std::to_string(most / 1000) + "s, such as 500ms");
  }
  *value = *duration;
  return {};
}

Error TakeLimit(const Parameter& parameter, std::uint64_t most,
                std::optional<std::uint64_t>* limit) {
  const auto number = parameter.name == "limit" ? config::ParseNumber(parameter.value, 1, most)
                                                : config::ParseByteSize(parameter.value);
  if (!number.ok() || *number == 0 || *number > most) {
    return Invalid(parameter.name + " must be from 1 to " + std::to_string(most));
  }
  *limit = *number;
  return {};
}

Error TakeConsistency(const Parameter& parameter, Plan* plan) {
  if (parameter.value == "linearizable") {
    plan->consistency = proto::Consistency::kLinearizable;
  } else if (parameter.value == "stale") {
    plan->consistency = proto::Consistency::kStale;
  } else {
    return Invalid("consistency must be linearizable or stale");
  }
  return {};
}

Error TakeText(const Parameter& parameter, std::optional<std::string>* text) {
  *text = parameter.value;
  return {};
}

struct Row {
  std::string_view name;
  std::uint8_t groups;  ///< Taken where any of them is; 0: everywhere.
  Error (*take)(const Parameter& parameter, Words& words);
};

constexpr std::array kRows = {
    Row{"timeout", 0,
        [](const Parameter& p, Words& w) {
          return TakeDuration(p, kTimeoutMsMax, &w.plan->timeout_ms);
        }},
    Row{"key", kKeyParameter, [](const Parameter& p, Words& w) { return TakeText(p, w.key); }},
    Row{"consistency", kReadParameters,
        [](const Parameter& p, Words& w) { return TakeConsistency(p, w.plan); }},
    Row{"min_version", kReadParameters,
        [](const Parameter& p, Words& w) { return TakeVersion(p, 0, &w.plan->min_version); }},
    Row{"at", kReadParameters,
        [](const Parameter& p, Words& w) { return TakeVersion(p, 1, &w.plan->at); }},
    Row{"max_staleness", kReadParameters,
        [](const Parameter& p, Words& w) {
          return TakeDuration(p, kStalenessMsMax, &w.plan->max_staleness_ms);
        }},
    Row{"prefix", kBoundParameters,
        [](const Parameter& p, Words& w) { return TakeText(p, &w.scan.prefix); }},
    Row{"start", kBoundParameters,
        [](const Parameter& p, Words& w) { return TakeText(p, &w.scan.start); }},
    Row{"end", kBoundParameters,
        [](const Parameter& p, Words& w) { return TakeText(p, &w.scan.end); }},
    Row{"limit", kScanParameters,
        [](const Parameter& p, Words& w) {
          return TakeLimit(p, proto::kScanItemsMax, &w.scan.limit);
        }},
    Row{"limit_bytes", kScanParameters,
        [](const Parameter& p, Words& w) {
          return TakeLimit(p, proto::kScanBytesMax, &w.scan.limit_bytes);
        }},
    Row{"reverse", kScanParameters,
        [](const Parameter& p, Words& w) { return TakeBoolean(p, &w.scan.reverse); }},
    Row{"keys_only", kScanParameters,
        [](const Parameter& p, Words& w) { return TakeBoolean(p, &w.scan.keys_only); }},
    Row{"count_only", kScanParameters,
        [](const Parameter& p, Words& w) {
          std::optional<bool> value;
          Error bad = TakeBoolean(p, &value);
          w.scan.count_only = value.value_or(false);
          return bad;
        }},
    Row{"page", kScanParameters,
        [](const Parameter& p, Words& w) { return TakeText(p, &w.scan.page); }},
    Row{"for_update", kLockParameters,
        [](const Parameter& p, Words& w) {
          std::optional<bool> value;
          Error bad = TakeBoolean(p, &value);
          w.plan->for_update = value.value_or(false);
          return bad;
        }},
    Row{"ttl", kLeaseParameters,
        [](const Parameter&, Words&) {
          return Invalid("query parameter \"ttl\" is not supported yet");
        }},
    Row{"lease", kLeaseParameters,
        [](const Parameter&, Words&) {
          return Invalid("query parameter \"lease\" is not supported yet");
        }},
};

Error TakeOne(const Parameter& parameter, std::uint8_t groups, Words& words) {
  for (const Row& row : kRows) {
    if (row.name != parameter.name) continue;
    if (row.groups != 0 && (row.groups & groups) == 0) break;
    return row.take(parameter, words);
  }
  return Invalid("query parameter \"" + parameter.name + "\" is not known here");
}

Error TakeBounds(const ScanWords& words, KeyRange* range) {
  if (words.prefix && (words.start || words.end)) {
    return Invalid("prefix is given beside start or end");
  }
  if (words.end && words.end->empty()) {
    return Invalid("end is empty; leave it out for no bound");
  }
  if (words.prefix) {
    *range = {*words.prefix, PrefixEnd(*words.prefix)};
  } else {
    *range = {words.start.value_or(""), words.end.value_or("")};
  }
  return CheckRange(range->start, range->end);
}

/// Goes on where a page ended. What the request says of the scan must be what the token says.
Error ApplyPage(const ScanWords& words, Plan* plan) {
  const auto token = DecodePageToken(*words.page);
  if (!token) return Invalid("page is no token that this server gave");
  ScanPlan& range = *plan->range;
  const bool bounded = words.prefix || words.start || words.end;
  const bool other = (bounded && token->bounds_check != range.bounds_check) ||
                     words.reverse.value_or(token->reverse) != token->reverse ||
                     words.keys_only.value_or(token->keys_only) != token->keys_only ||
                     token->in_transaction == plan->transaction.empty() || words.count_only;
  if (other) return Invalid("page belongs to a scan with other parameters");
  if (plan->at && plan->at != token->version) {
    return Invalid("page belongs to a scan at another version");
  }
  range.rest = token->rest;
  range.bounds_check = token->bounds_check;
  range.scan.reverse = token->reverse;
  if (token->keys_only) range.scan.form = proto::Scan::Form::kKeys;
  // Inside a transaction its own snapshot is read, whatever the token says.
  if (plan->transaction.empty()) plan->at = token->version;
  return {};
}

Error ApplyScan(const ScanWords& words, std::string_view accept, Plan* plan) {
  ScanPlan& range = plan->range.emplace();
  if (Error bad = TakeBounds(words, &range.rest); !bad.ok()) return bad;
  range.bounds_check = BoundsCheck(range.rest);
  proto::Scan& scan = range.scan;
  scan.items_max = static_cast<std::uint32_t>(words.limit.value_or(kScanLimitDefault));
  scan.bytes_max = static_cast<std::uint32_t>(words.limit_bytes.value_or(kScanBytesDefault));
  scan.reverse = words.reverse.value_or(false);
  if (words.keys_only.value_or(false)) scan.form = proto::Scan::Form::kKeys;
  if (words.page) {
    if (Error bad = ApplyPage(words, plan); !bad.ok()) return bad;
  }
  if (words.count_only) {
    scan = {.form = proto::Scan::Form::kCount};
  } else if (AcceptsStream(accept)) {
    if (words.limit_bytes) return Invalid("limit_bytes is not supported for streams");
    range.stream = true;
    range.items_max = words.limit.value_or(0);
    scan.items_max = words.limit ? scan.items_max : proto::kScanItemsMax;
    scan.bytes_max = kStreamPageBytes;
  }
  return {};
}

Error ApplyDelete(const ScanWords& words, Plan* plan) {
  if (!words.prefix && !words.start && !words.end) {
    return Invalid("prefix, start or end is required");
  }
  return TakeBounds(words, &plan->range.emplace().rest);
}

}  // namespace

Error ApplyParameters(std::string_view query, std::uint8_t groups, std::string_view accept,
                      Plan* plan, std::optional<std::string>* key) {
  Words words{plan, key, {}};
  if (!query.empty()) {
    auto parameters = ParseQuery(query);
    if (!parameters.ok()) return Invalid(std::string(parameters.status().message()));
    for (const Parameter& parameter : *parameters) {
      if (Error bad = TakeOne(parameter, groups, words); !bad.ok()) return bad;
    }
  }
  if (plan->kind == Plan::Kind::kScan) return ApplyScan(words.scan, accept, plan);
  if (plan->kind == Plan::Kind::kDeleteRange) return ApplyDelete(words.scan, plan);
  return {};
}

}  // namespace bedrock::router
