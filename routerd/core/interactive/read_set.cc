#include "routerd/core/interactive/read_set.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "routerd/core/interactive/key_bounds.h"

namespace bedrock::router {
namespace {

constexpr std::uint64_t kBytesOfOne = 64;  // of a node of the maps, roughly

}  // namespace

void ReadSet::Note(Version at) {
  oldest_ = oldest_ ? std::min(oldest_, at) : at;
  newest_ = std::max(newest_, at);
}

void ReadSet::AddKey(std::string_view key, Version at) {
  Note(at);
  const auto behind = ranges_.upper_bound(key);
  if (behind != ranges_.begin() && EndsAfter(std::prev(behind)->second.end, key)) return;
  if (keys_.find(key) != keys_.end()) return;
  bytes_ += kBytesOfOne + key.size();
  keys_.emplace(key, at);
}

void ReadSet::AddRange(std::string_view begin, std::string_view end, Version at) {
  Note(at);
  std::vector<std::pair<std::string, std::string>> gaps;
  std::string from(begin);
  bool open = true;  // something from `from` on may not have been read
  auto part = ranges_.upper_bound(from);
  if (part != ranges_.begin() && EndsAfter(std::prev(part)->second.end, from)) --part;
  for (; open && part != ranges_.end() && EndsAfter(end, part->first); ++part) {
    if (from < part->first) gaps.emplace_back(from, part->first);
    from = part->second.end;
    open = !from.empty() && EndsAfter(end, from);
  }
  if (open) gaps.emplace_back(from, end);
  for (const auto& [gap_begin, gap_end] : gaps) AddPart(gap_begin, gap_end, at);
}

void ReadSet::AddPart(std::string_view begin, std::string_view end, Version at) {
  // Pages of one scan follow one another: they stay one range.
  auto behind = ranges_.upper_bound(begin);
  auto mine = ranges_.end();
  if (behind != ranges_.begin()) {
    const auto before = std::prev(behind);
    if (before->second.at == at && before->second.end == begin) mine = before;
  }
  if (mine == ranges_.end()) {
    bytes_ += kBytesOfOne + begin.size() + end.size();
    mine = ranges_.emplace(begin, Part{std::string(end), at}).first;
  } else {
    bytes_ += end.size();
    bytes_ -= mine->second.end.size();
    mine->second.end = end;
  }
  if (behind == ranges_.end() || behind->second.at != at || behind->first != mine->second.end)
    return;
  bytes_ -= kBytesOfOne + 2 * behind->first.size();
  mine->second.end = std::move(behind->second.end);
  ranges_.erase(behind);
}

void ReadSet::AppendTo(Version usual, std::vector<proto::Read>* reads) const {
  reads->reserve(reads->size() + size());
  const auto version = [usual](Version at) { return at == usual ? Version() : at; };
  for (const auto& [key, at] : keys_) {
    reads->push_back({proto::Read::Kind::kKey, key, {}, version(at)});
  }
  for (const auto& [begin, part] : ranges_) {
    reads->push_back({proto::Read::Kind::kRange, begin, part.end, version(part.at)});
  }
}

}  // namespace bedrock::router
