#include "storaged/txn/own_writes.h"

#include <iterator>
#include <utility>

#include "common/base/check.h"
#include "storaged/engine/change_reader.h"
#include "storaged/txn/key_range.h"

namespace bedrock::txn {

void OwnWrites::Put(std::string_view key, std::string_view value) {
  batch_.Put(key, value);
  IndexLast(key, value.size(), /*deleted=*/false);
}

void OwnWrites::Delete(std::string_view key) {
  batch_.Delete(key);
  IndexLast(key, 0, /*deleted=*/true);
}

void OwnWrites::IndexLast(std::string_view key, std::size_t value_size, bool deleted) {
  const Written written{deleted, batch_.bytes() - value_size, value_size};
  const auto at = index_.find(key);
  if (at == index_.end()) {
    index_.emplace(key, written);
  } else {
    at->second = written;
  }
}

void OwnWrites::DeleteRange(std::string_view begin, std::string_view end) {
  batch_.DeleteRange(begin, end);
  AddDeletedRange(begin, end);
  const auto last = end.empty() ? index_.end() : index_.lower_bound(end);
  index_.erase(index_.lower_bound(begin), last);
}

void OwnWrites::AddDeletedRange(std::string_view begin, std::string_view end) {
  std::string new_begin(begin);
  std::string new_end(end);
  auto at = deleted_ranges_.upper_bound(begin);
  if (at != deleted_ranges_.begin()) {
    const auto before = std::prev(at);
    if (before->second.empty() || before->second >= begin) at = before;
  }
  // Swallows all that it touches.
  while (at != deleted_ranges_.end() && (new_end.empty() || at->first <= new_end)) {
    if (at->first < new_begin) new_begin = at->first;
    if (EndsBefore(new_end, at->second)) new_end = at->second;
    at = deleted_ranges_.erase(at);
  }
  deleted_ranges_.emplace(std::move(new_begin), std::move(new_end));
}

void OwnWrites::TruncateTo(std::size_t count) {
  CHECK(count <= batch_.count());
  const WriteBatch all = std::exchange(batch_, WriteBatch());
  index_.clear();
  deleted_ranges_.clear();
  engine::ChangeReader reader(all.encoded());
  while (batch_.count() < count && reader.Next()) {
    switch (reader.kind()) {
      case engine::ChangeReader::Kind::kPut:
        Put(reader.key(), reader.value());
        break;
      case engine::ChangeReader::Kind::kDelete:
        Delete(reader.key());
        break;
      case engine::ChangeReader::Kind::kDeleteRange:
        DeleteRange(reader.key(), reader.value());
        break;
    }
  }
}

WriteBatch OwnWrites::TakeBatch() {
  index_.clear();
  deleted_ranges_.clear();
  return std::exchange(batch_, WriteBatch());
}

OwnWrites::State OwnWrites::StateOf(std::string_view key) const {
  const auto at = index_.find(key);
  if (at != index_.end()) return at->second.deleted ? State::kDeleted : State::kPut;
  std::string_view begin;
  std::string_view end;
  return IsInDeletedRange(key, &begin, &end) ? State::kDeleted : State::kUntouched;
}

std::string_view OwnWrites::ValueOf(std::string_view key) const {
  return value(index_.find(key)->second);
}

bool OwnWrites::IsInDeletedRange(std::string_view key, std::string_view* begin,
                                 std::string_view* end) const {
  auto at = deleted_ranges_.upper_bound(key);
  if (at == deleted_ranges_.begin()) return false;
  --at;
  if (!IsWithin(key, at->first, at->second)) return false;
  *begin = at->first;
  *end = at->second;
  return true;
}

}  // namespace bedrock::txn
