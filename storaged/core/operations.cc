#include "storaged/core/operations.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "common/base/status_macros.h"
#include "storaged/core/keyspace.h"
#include "storaged/txn/merged_walk.h"

namespace bedrock::storage {
namespace {

using proto::ErrorCode;
using proto::Operation;
using proto::OperationResult;

/// A decimal signed 64-bit integer and nothing else.
std::optional<std::int64_t> ParseNumber(std::string_view text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stopped != end) return std::nullopt;
  return number;
}

/// A scan's bounds with the defaults filled in.
proto::Scan LimitsOf(proto::Scan scan) {
  if (scan.items_max == 0) scan.items_max = proto::kScanItemsMax;
  if (scan.bytes_max == 0) scan.bytes_max = proto::kScanBytesMax;
  return scan;
}

std::size_t SizeOf(const Iterator& walk, const proto::Scan& scan) {
  const std::size_t value =
      scan.form == proto::Scan::Form::kItems ? walk.value().size() : std::size_t{0};
  return UserKey(walk.key()).size() + value;
}

}  // namespace

bool GiveNothing(const std::vector<Operation>& operations) {
  return std::all_of(operations.begin(), operations.end(), [](const Operation& operation) {
    return operation.kind == Operation::Kind::kPut || operation.kind == Operation::Kind::kDelete ||
           operation.kind == Operation::Kind::kDropHistory;
  });
}

OperationsRun::OperationsRun(const StateView& view)
    : view_(view), writes_(std::make_shared<txn::OwnWrites>()) {}

Status OperationsRun::Execute(const std::vector<Operation>& operations,
                              proto::CommandResult& result) {
  result.results.reserve(operations.size());
  for (std::size_t i = 0; i < operations.size(); ++i) {
    ASSIGN_OR_RETURN(OperationResult done, ExecuteOne(operations[i]));
    if (refusal_ != ErrorCode::kOk) {
      result.code = refusal_;
      result.results.clear();
      result.failed_operation = static_cast<std::uint32_t>(i);
      if (refusal_ == ErrorCode::kInvalidArgument) result.key = operations[i].key;
      break;
    }
    result.results.push_back(std::move(done));
  }
  return Status::Ok();
}

Result<OperationResult> OperationsRun::ExecuteOne(const Operation& operation) {
  switch (operation.kind) {
    case Operation::Kind::kPut:
      writes_->Put(EngineKey(operation.key), operation.value);
      break;
    case Operation::Kind::kDelete:
      writes_->Delete(EngineKey(operation.key));
      break;
    case Operation::Kind::kGet:
      return Get(operation.key);
    case Operation::Kind::kScan:
      if (operation.scan.form == proto::Scan::Form::kCount) {
        return Count(operation.key, operation.value);
      }
      return Scan(operation);
    case Operation::Kind::kDeleteRange:
      return DeleteRange(operation.key, operation.value);
    case Operation::Kind::kAdd:
      return Add(operation.key, operation.delta);
    case Operation::Kind::kDropHistory:
      break;  // its effect is the whole command's, not the content's
  }
  return OperationResult();
}

Result<engine::Lookup> OperationsRun::Find(std::string_view key) const {
  const std::string engine_key = EngineKey(key);
  switch (writes_->StateOf(engine_key)) {
    case txn::OwnWrites::State::kUntouched:
      return view_.engine.Get(engine_key, view_.at);
    case txn::OwnWrites::State::kPut:
      return engine::Lookup{true, Version(), std::string(writes_->ValueOf(engine_key))};
    case txn::OwnWrites::State::kDeleted:
      break;
  }
  return engine::Lookup();
}

Result<OperationResult> OperationsRun::Get(std::string_view key) {
  ASSIGN_OR_RETURN(engine::Lookup found, Find(key));
  OperationResult result;
  result.found = found.found;
  if (found.found) result.version = found.version;
  result.value = std::move(found.value);
  Spend(result.value.size());
  return result;
}

Result<OperationResult> OperationsRun::Scan(const Operation& operation) {
  OperationResult result;
  const proto::Scan limits = LimitsOf(operation.scan);
  const std::string begin = EngineKey(operation.key);
  const std::string end = EngineEnd(operation.value);
  const auto walk = Walk({begin, end}, engine::FillCache::kYes);
  std::size_t bytes = 0;
  for (limits.reverse ? walk->SeekToLast() : walk->SeekToFirst(); walk->Valid();
       limits.reverse ? walk->Prev() : walk->Next()) {
    const std::size_t size = SizeOf(*walk, limits);
    if (result.count == limits.items_max ||
        (result.count != 0 && bytes + size > limits.bytes_max)) {
      result.more = true;
      result.next = limits.reverse ? result.items.back().key : std::string(UserKey(walk->key()));
      break;
    }
    bytes += size;
    if (!Append(*walk, limits, result)) return result;
  }
  RETURN_IF_ERROR(walk->status());
  return result;
}

bool OperationsRun::Append(const Iterator& walk, const proto::Scan& scan,
                           OperationResult& scanned) {
  if (++result_items_ > proto::kResultItemsMax) {
    refusal_ = ErrorCode::kTransactionTooLarge;
    return false;
  }
  if (!Spend(SizeOf(walk, scan))) return false;
  auto& item = scanned.items.emplace_back();
  item.key = UserKey(walk.key());
  if (scan.form == proto::Scan::Form::kItems) item.value = walk.value();
  item.version = walk.version();
  ++scanned.count;
  return true;
}

Result<OperationResult> OperationsRun::Count(std::string_view begin, std::string_view end) {
  OperationResult result;
  const std::string engine_begin = EngineKey(begin);
  const std::string engine_end = EngineEnd(end);
  const auto walk = Walk({engine_begin, engine_end}, engine::FillCache::kNo);
  for (walk->SeekToFirst(); walk->Valid(); walk->Next()) ++result.count;
  RETURN_IF_ERROR(walk->status());
  return result;
}

Result<OperationResult> OperationsRun::DeleteRange(std::string_view begin, std::string_view end) {
  ASSIGN_OR_RETURN(OperationResult result, Count(begin, end));
  // Where there is nothing, nothing is deleted: no transaction loses against it.
  if (result.count != 0) writes_->DeleteRange(EngineKey(begin), EngineEnd(end));
  return result;
}

Result<OperationResult> OperationsRun::Add(std::string_view key, std::int64_t delta) {
  ASSIGN_OR_RETURN(const engine::Lookup found, Find(key));
  const auto before = found.found ? ParseNumber(found.value) : 0;
  OperationResult result;
  std::int64_t sum = 0;
  if (!before || __builtin_add_overflow(*before, delta, &sum)) {
    refusal_ = ErrorCode::kInvalidArgument;
    return result;
  }
  result.value = std::to_string(sum);
  writes_->Put(EngineKey(key), result.value);
  Spend(result.value.size());
  return result;
}

std::unique_ptr<Iterator> OperationsRun::Walk(Range range, engine::FillCache fill_cache) const {
  auto base = view_.engine.NewIterator({.at = view_.at, .fill_cache = fill_cache}, range);
  if (writes_->batch().empty()) return base;
  return txn::NewMergedIterator(
      {.base = std::move(base), .writes = writes_, .recorder = nullptr, .bounds = range});
}

bool OperationsRun::Spend(std::size_t bytes) {
  result_bytes_ += bytes;
  if (result_bytes_ <= proto::kResultBytesMax) return true;
  refusal_ = ErrorCode::kTransactionTooLarge;
  return false;
}

}  // namespace bedrock::storage
