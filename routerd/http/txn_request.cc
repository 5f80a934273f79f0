#include "routerd/http/txn_request.h"

#include <array>
#include <cstddef>
#include <utility>

#include "routerd/http/key_range.h"
#include "routerd/http/object_reader.h"

namespace bedrock::router {
namespace {

using proto::Condition;
using proto::ErrorCode;
using proto::Operation;

/// `error` at a place; its other members stay.
void FailWith(Reading& reading, const Place& place, proto::Error error) {
  error.detail = place.Spell() + ": " + error.detail;
  reading.Fail(std::move(error));
}

std::string_view TakeKey(Reading& reading, const Place& place, ObjectReader& object) {
  const auto key = object.TakeBytes("key");
  if (!key) {
    object.FailAt("key", "is required");
    return {};
  }
  if (proto::Error bad = CheckKey(*key); !bad.ok()) {
    FailWith(reading, Place{&place, "key"}, std::move(bad));
  }
  return *key;
}

struct Bounds {
  std::string_view start;
  std::string_view end;
  bool named = false;  ///< Any of them stands there.
};

Bounds TakeBounds(Reading& reading, const Place& place, ObjectReader& object) {
  const auto prefix = object.TakeBytes("prefix");
  const auto start = object.TakeBytes("start");
  const auto end = object.TakeBytes("end");
  Bounds bounds{start.value_or(""), end.value_or(""), prefix || start || end};
  if (prefix && (start || end)) object.FailAt("prefix", "is given beside start or end");
  if (end && end->empty()) object.FailAt("end", "is empty; leave it out for no bound");
  if (prefix) bounds = {*prefix, reading.Keep(PrefixEnd(*prefix)), true};
  if (proto::Error bad = CheckRange(bounds.start, bounds.end); !bad.ok()) {
    FailWith(reading, place, std::move(bad));
  }
  return bounds;
}

// ---- conditions ----

void ReadRangeCondition(Reading& reading, const Place& place, ObjectReader& object,
                        std::vector<Condition>* conditions) {
  const Bounds bounds = TakeBounds(reading, place, object);
  if (!bounds.named) return object.Fail("names neither a key nor a range");
  const auto since = object.TakeUnsigned("unchanged_since");
  if (!since) object.FailAt("unchanged_since", "is required for a range");
  object.Finish();
  conditions->push_back({Condition::Kind::kRangeUnchangedSince, bounds.start,
                         Version(since.value_or(0)), bounds.end});
}

void ReadKeyCondition(Reading& reading, const Place& place, ObjectReader& object,
                      std::vector<Condition>* conditions) {
  using Kind = Condition::Kind;
  struct Row {
    std::string_view name;
    Kind kind;
  };
  constexpr std::array kVersions = {
      Row{"version", Kind::kVersionEquals}, Row{"version_less", Kind::kVersionLess},
      Row{"version_greater", Kind::kVersionGreater}, Row{"unchanged_since", Kind::kUnchangedSince}};
  const std::size_t before = conditions->size();
  const std::string_view key = TakeKey(reading, place, object);
  for (const Row& row : kVersions) {
    if (const auto version = object.TakeUnsigned(row.name)) {
      conditions->push_back({row.kind, key, Version(*version), {}});
    }
  }
  if (const auto exists = object.TakeBoolean("exists")) {
    conditions->push_back({*exists ? Kind::kExists : Kind::kAbsent, key, Version(), {}});
  }
  if (const auto value = object.TakeBytes("value")) {
    conditions->push_back({Kind::kValueEquals, key, Version(), *value});
  }
  object.Finish();
  if (conditions->size() == before) object.Fail("says nothing about its key");
}

void ReadCondition(Reading& reading, const Place& place, const Value& value,
                   std::vector<Condition>* conditions) {
  ObjectReader object(reading, place, value);
  if (object.Has("key") || object.Has("key_base64")) {
    return ReadKeyCondition(reading, place, object, conditions);
  }
  ReadRangeCondition(reading, place, object, conditions);
}

// ---- operations ----

struct Read {
  Operation operation;
  bool limited = false;
};

std::uint32_t TakeLimit(ObjectReader& object, std::string_view name, std::uint32_t fallback,
                        std::uint64_t most) {
  const auto limit = object.TakeUnsigned(name);
  if (!limit) return fallback;
  if (*limit == 0 || *limit > most) {
    object.FailAt(name, "must be from 1 to " + std::to_string(most));
    return fallback;
  }
  return static_cast<std::uint32_t>(*limit);
}

void ReadScan(ObjectReader& object, Read* read) {
  proto::Scan& scan = read->operation.scan;
  read->limited = object.Has("limit");
  scan.items_max = TakeLimit(object, "limit", kScanLimitDefault, proto::kScanItemsMax);
  scan.bytes_max = TakeLimit(object, "limit_bytes", kScanBytesDefault, proto::kScanBytesMax);
  scan.reverse = object.TakeBoolean("reverse").value_or(false);
  const bool keys_only = object.TakeBoolean("keys_only").value_or(false);
  const bool count_only = object.TakeBoolean("count_only").value_or(false);
  if (keys_only) scan.form = proto::Scan::Form::kKeys;
  if (count_only) scan = {.form = proto::Scan::Form::kCount};
}

struct OperationName {
  std::string_view name;
  Operation::Kind kind;
};
constexpr std::array kOperationNames = {
    OperationName{"put", Operation::Kind::kPut},
    OperationName{"delete", Operation::Kind::kDelete},
    OperationName{"get", Operation::Kind::kGet},
    OperationName{"scan", Operation::Kind::kScan},
    OperationName{"delete_range", Operation::Kind::kDeleteRange},
    OperationName{"add", Operation::Kind::kAdd}};

std::string_view TakeValue(Reading& reading, const Place& place, ObjectReader& object,
                           std::uint64_t value_bytes_max) {
  const auto value = object.TakeBytes("value");
  if (!value) {
    object.FailAt("value", "is required");
    return {};
  }
  if (value->size() <= value_bytes_max) return *value;
  proto::Error error;
  error.code = ErrorCode::kValueTooLarge;
  error.detail = "the value is too large";
  error.limit = value_bytes_max;
  error.actual = value->size();
  FailWith(reading, Place{&place, "value"}, std::move(error));
  return {};
}

Read ReadArguments(Reading& reading, const Place& place, const Value& value, Operation::Kind kind,
                   std::uint64_t value_bytes_max) {
  Read read;
  Operation& operation = read.operation;
  operation.kind = kind;
  ObjectReader object(reading, place, value);
  if (kind == Operation::Kind::kScan || kind == Operation::Kind::kDeleteRange) {
    const Bounds bounds = TakeBounds(reading, place, object);
    operation.key = bounds.start;
    operation.value = bounds.end;
    if (kind == Operation::Kind::kScan) {
      ReadScan(object, &read);
    } else if (!bounds.named) {
      object.Fail("prefix, start or end is required");
    }
  } else {
    operation.key = TakeKey(reading, place, object);
  }
  if (kind == Operation::Kind::kPut) {
    object.RefuseLater({"lease", "ttl"});
    operation.value = TakeValue(reading, place, object, value_bytes_max);
  } else if (kind == Operation::Kind::kAdd) {
    const auto delta = object.TakeInteger("delta");
    if (!delta) object.FailAt("delta", "is required");
    operation.delta = delta.value_or(0);
  }
  object.Finish();
  return read;
}

Read ReadOperation(Reading& reading, const Place& place, const Value& value,
                   std::uint64_t value_bytes_max) {
  ObjectReader object(reading, place, value);
  for (const OperationName& row : kOperationNames) {
    const Value* arguments = object.Take(row.name);
    if (arguments == nullptr) continue;
    object.Finish();  // one operation, and nothing beside it
    return ReadArguments(reading, Place{&place, row.name}, *arguments, row.kind, value_bytes_max);
  }
  object.Finish();
  object.Fail("names no operation: put, delete, get, scan, delete_range or add");
  return {};
}

/// Calls `each(place, value)` for the elements of the array `name`, which may be absent.
template <typename Each>
void ForEach(Reading& reading, ObjectReader& object, std::string_view name, Each&& each) {
  const Value* array = object.Take(name);
  if (array == nullptr) return;
  if (array->type != Value::Type::kArray) return object.FailAt(name, "must be an array");
  const Place place{nullptr, name};
  const Document& document = reading.document();
  std::size_t count = 0;
  for (std::size_t at = document.PositionOf(*array) + 1; at < array->end && !reading.failed();
       at = document.At(at).end) {
    each(Place{&place, {}, count}, document.At(at));
    ++count;
  }
}

/// What both a count and a size say.
proto::Error CheckCount(std::string_view what, std::size_t count) {
  proto::Error error;
  if (count <= proto::kOperationsMax) return error;
  error.code = ErrorCode::kTransactionTooLarge;
  error.detail = std::string(what) + ": too many of them";
  error.limit = proto::kOperationsMax;
  error.actual = count;
  return error;
}

}  // namespace

proto::Error ParseTxn(std::string_view body, Format format, std::uint64_t value_bytes_max,
                      TxnRequest* request) {
  if (proto::Error bad = Document::Parse(body, format, &request->document); !bad.ok()) return bad;
  Reading reading(request->document, request->decoded);
  const Place top{.name = "the body", .root = true};
  ObjectReader object(reading, top, request->document.root());
  ForEach(reading, object, "if", [&](const Place& place, const Value& value) {
    ReadCondition(reading, place, value, &request->conditions);
  });
  const auto branch = [&](std::string_view name, std::vector<Operation>* operations,
                          std::vector<bool>* limited) {
    ForEach(reading, object, name, [&](const Place& place, const Value& value) {
      const Read read = ReadOperation(reading, place, value, value_bytes_max);
      operations->push_back(read.operation);
      limited->push_back(read.limited);
    });
  };
  branch("then", &request->then, &request->then_limited);
  branch("else", &request->otherwise, &request->otherwise_limited);
  object.Finish();
  if (reading.failed()) return reading.error();
  proto::Error bad = CheckCount("if", request->conditions.size());
  if (bad.ok()) bad = CheckCount("then", request->then.size());
  if (bad.ok()) bad = CheckCount("else", request->otherwise.size());
  return bad;
}

namespace {

std::uint32_t TakeTimeout(ObjectReader& object, std::string_view name, std::uint64_t most) {
  const auto duration = object.TakeDurationMs(name);
  if (!duration) return 0;
  if (*duration >= 1 && *duration <= most) return static_cast<std::uint32_t>(*duration);
  object.FailAt(name, "must be from 1ms to " + std::to_string(most / 1000) + "s");
  return 0;
}

}  // namespace

proto::Error ParseTransactionOptions(std::string_view body, Format format,
                                     proto::TransactionOptions* options) {
  if (body.empty()) return {};
  return ReadBody(body, format, [options](ObjectReader& object) {
    if (const auto mode = object.TakeText("mode")) {
      const bool pessimistic = *mode == "pessimistic";
      if (!pessimistic && *mode != "optimistic") {
        object.FailAt("mode", "must be optimistic or pessimistic");
      }
      if (pessimistic) options->mode = proto::TransactionMode::kPessimistic;
    }
    options->read_only = object.TakeBoolean("read_only").value_or(false);
    options->timeout_ms = TakeTimeout(object, "timeout", kTransactionTimeoutMsMax);
    options->idle_timeout_ms = TakeTimeout(object, "idle_timeout", kTransactionIdleMsMax);
    options->lock_timeout_ms = TakeTimeout(object, "lock_timeout", kTransactionLockMsMax);
  });
}

proto::Error ParseCompact(std::string_view body, Format format, Version* version) {
  return ReadBody(body, format, [version](ObjectReader& object) {
    const auto given = object.TakeUnsigned("version");
    if (!given) return object.FailAt("version", "is required");
    if (*given == 0) object.FailAt("version", "must be positive");
    *version = Version(*given);
  });
}

proto::Error ParseNothing(std::string_view body, Format format) {
  if (body.empty()) return {};
  return ReadBody(body, format, [](ObjectReader&) {});
}

}  // namespace bedrock::router
