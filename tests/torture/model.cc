#include "tests/torture/model.h"

#include <utility>

namespace bedrock::torture {

WriteBatch ToBatch(const std::vector<Change>& changes) {
  WriteBatch batch;
  for (const Change& change : changes) {
    switch (change.kind) {
      case Change::Kind::kPut:
        batch.Put(change.key, change.value);
        break;
      case Change::Kind::kDelete:
        batch.Delete(change.key);
        break;
      case Change::Kind::kDeleteRange:
        batch.DeleteRange(change.key, change.value);
        break;
    }
  }
  return batch;
}

void Model::Apply(Version version, const Change& change) {
  switch (change.kind) {
    case Change::Kind::kPut:
      keys_[change.key][version] = change.value;
      return;
    case Change::Kind::kDelete:
      keys_[change.key][version] = std::nullopt;
      return;
    case Change::Kind::kDeleteRange:
      for (auto at = keys_.lower_bound(change.key); at != keys_.end(); ++at) {
        if (!change.value.empty() && at->first >= change.value) return;
        at->second[version] = std::nullopt;
      }
      return;
  }
}

Walked WalkAll(Iterator& walk, const std::vector<Seen>& expected, Direction direction) {
  const bool forward = direction == Direction::kForward;
  Walked walked;
  std::size_t shown = 0;
  for (forward ? walk.SeekToFirst() : walk.SeekToLast(); walk.Valid();
       forward ? walk.Next() : walk.Prev()) {
    const std::size_t at = forward ? shown : expected.size() - 1 - shown;
    if (shown == expected.size() || walk.key() != expected[at].key ||
        walk.value() != expected[at].value || walk.version() != expected[at].version) {
      walked.wrong = "wrong entry " + std::to_string(shown) + " of " +
                     std::to_string(expected.size()) + (forward ? "" : ", backwards");
      break;
    }
    ++shown;
  }
  walked.complete = shown == expected.size() && walked.wrong.empty();
  walked.status = walk.status();
  return walked;
}

void Model::Commit(Version version, std::vector<Change> changes) {
  for (const Change& change : changes) Apply(version, change);
  commits_.emplace(version, std::move(changes));
}

void Model::TruncateTo(Version version) {
  commits_.erase(commits_.upper_bound(version), commits_.end());
  for (auto key = keys_.begin(); key != keys_.end();) {
    History& history = key->second;
    history.erase(history.upper_bound(version), history.end());
    key = history.empty() ? keys_.erase(key) : std::next(key);
  }
}

std::optional<Seen> Model::Get(std::string_view key, Version at) const {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return std::nullopt;
  const auto above = found->second.upper_bound(at);
  if (above == found->second.begin()) return std::nullopt;
  const auto& [version, value] = *std::prev(above);
  if (!value.has_value()) return std::nullopt;
  return Seen{std::string(key), *value, version};
}

Version Model::NewestVersion(std::string_view key) const {
  const auto found = keys_.find(key);
  return found == keys_.end() ? Version() : found->second.rbegin()->first;
}

std::vector<Seen> Model::Scan(std::string_view begin, std::string_view end, Version at) const {
  std::vector<Seen> out;
  for (auto key = keys_.lower_bound(begin); key != keys_.end(); ++key) {
    if (!end.empty() && key->first >= end) break;
    if (auto seen = Get(key->first, at)) out.push_back(std::move(*seen));
  }
  return out;
}

}  // namespace bedrock::torture
