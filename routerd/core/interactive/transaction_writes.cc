#include "routerd/core/interactive/transaction_writes.h"

#include <iterator>
#include <utility>

#include "routerd/core/interactive/key_bounds.h"

namespace bedrock::router {
namespace {

using proto::Operation;

std::uint64_t BytesOf(std::string_view key, std::string_view value) {
  return kBytesOfWrite + key.size() + value.size();
}

Operation MakeOperation(Operation::Kind kind, std::string_view key, std::string_view value) {
  Operation operation;
  operation.kind = kind;
  operation.key = key;
  operation.value = value;
  return operation;
}

Operation OperationOf(std::string_view key, const std::optional<std::string>& value) {
  if (!value) return MakeOperation(Operation::Kind::kDelete, key, {});
  return MakeOperation(Operation::Kind::kPut, key, *value);
}

}  // namespace

void TransactionWrites::Erase(std::string_view key) {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return;
  bytes_ -= BytesOf(found->first, found->second ? std::string_view(*found->second) : "");
  keys_.erase(found);
}

void TransactionWrites::Set(std::string_view key, std::optional<std::string> value) {
  Erase(key);
  bytes_ += BytesOf(key, value ? std::string_view(*value) : "");
  keys_.emplace(key, std::move(value));
}

void TransactionWrites::Put(std::string_view key, std::string_view value) {
  Set(key, std::string(value));
}

void TransactionWrites::Delete(std::string_view key) {
  if (InRange(key)) return Erase(key);
  Set(key, std::nullopt);
}

void TransactionWrites::EraseKeys(std::string_view begin, std::string_view end) {
  for (auto key = keys_.lower_bound(begin); key != keys_.end() && EndsAfter(end, key->first);) {
    bytes_ -= BytesOf(key->first, key->second ? std::string_view(*key->second) : "");
    key = keys_.erase(key);
  }
}

void TransactionWrites::DeleteRange(std::string_view begin, std::string_view end) {
  EraseKeys(begin, end);
  std::string from(begin);
  std::string to(end);
  // Those that overlap or touch become one with it.
  auto range = ranges_.upper_bound(from);
  if (range != ranges_.begin()) {
    const auto before = std::prev(range);
    if (before->second.empty() || before->second >= from) range = before;
  }
  while (range != ranges_.end() && (to.empty() || range->first <= to)) {
    if (range->first < from) from = range->first;
    to = std::string(LaterEnd(to, range->second));
    bytes_ -= BytesOf(range->first, range->second);
    range = ranges_.erase(range);
  }
  bytes_ += BytesOf(from, to);
  ranges_.emplace(std::move(from), std::move(to));
}

void TransactionWrites::Apply(const Operation& operation, std::string_view sum) {
  switch (operation.kind) {
    case Operation::Kind::kPut:
      return Put(operation.key, operation.value);
    case Operation::Kind::kAdd:
      return Put(operation.key, sum);
    case Operation::Kind::kDelete:
      return Delete(operation.key);
    case Operation::Kind::kDeleteRange:
      return DeleteRange(operation.key, operation.value);
    case Operation::Kind::kGet:
    case Operation::Kind::kScan:
    case Operation::Kind::kDropHistory:
      return;
  }
}

TransactionWrites::Ranges::const_iterator TransactionWrites::FirstEndingAfter(
    std::string_view key) const {
  auto range = ranges_.upper_bound(key);
  if (range == ranges_.begin()) return range;
  const auto before = std::prev(range);
  return EndsAfter(before->second, key) ? before : range;
}

bool TransactionWrites::InRange(std::string_view key) const {
  const auto range = FirstEndingAfter(key);
  return range != ranges_.end() && range->first <= key;
}

TransactionWrites::Known TransactionWrites::Find(std::string_view key) const {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return {InRange(key), nullptr};
  return {true, found->second ? &*found->second : nullptr};
}

void TransactionWrites::AppendRange(std::string_view begin, std::string_view end,
                                    std::vector<Operation>* operations) const {
  for (auto range = FirstEndingAfter(begin); range != ranges_.end(); ++range) {
    if (!EndsAfter(end, range->first)) break;
    const std::string_view from = range->first < begin ? begin : std::string_view(range->first);
    operations->push_back(
        MakeOperation(Operation::Kind::kDeleteRange, from, EarlierEnd(range->second, end)));
  }
  for (auto key = keys_.lower_bound(begin); key != keys_.end() && EndsAfter(end, key->first);
       ++key) {
    operations->push_back(OperationOf(key->first, key->second));
  }
}

void TransactionWrites::AppendKey(std::string_view key, std::vector<Operation>* operations) const {
  if (const auto found = keys_.find(key); found != keys_.end()) {
    operations->push_back(OperationOf(found->first, found->second));
  } else if (InRange(key)) {
    operations->push_back(MakeOperation(Operation::Kind::kDelete, key, {}));
  }
}

void TransactionWrites::ForEachGap(std::string_view begin, std::string_view end,
                                   const VisitRange& visit) const {
  std::string from(begin);
  auto range = FirstEndingAfter(begin);
  auto key = keys_.lower_bound(begin);
  for (;;) {
    const bool has_range = range != ranges_.end() && EndsAfter(end, range->first);
    const bool has_key = key != keys_.end() && EndsAfter(end, key->first);
    if (!has_range && !has_key) break;
    const bool range_first = has_range && (!has_key || range->first <= key->first);
    const std::string_view covered_from = range_first ? range->first : key->first;
    if (from < covered_from) visit(from, covered_from);
    if (range_first && range->second.empty()) return;  // all the rest is covered
    std::string to = range_first ? range->second : Successor(key->first);
    if (range_first) {
      ++range;
    } else {
      ++key;
    }
    if (from < to) from = std::move(to);
    if (!EndsAfter(end, from)) return;
  }
  visit(from, end);
}

}  // namespace bedrock::router
