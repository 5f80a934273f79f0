#include "storaged/engine/keys/range_tombstones.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>

#include "common/base/check.h"
#include "common/codec/coding.h"

namespace bedrock::engine {

namespace {

/// A tombstone, borrowed.
struct Span {
  std::string_view begin;
  std::string_view end;
  Version version;
};

/// Begins and ends are user keys or the first key behind one.
constexpr std::size_t kBoundBytesMax = kKeyBytesMax + 1;

Status Malformed() { return Status::Corruption("malformed range tombstones"); }

/// Sweeps over all bounds in key order; `over` counts the tombstones over the sweep, by version.
FragmentedTombstones Cut(const std::vector<Span>& spans) {
  struct Event {
    std::string_view key;
    Version version;
    int change = 0;
  };
  std::vector<Event> events;
  events.reserve(spans.size() * 2);
  for (const Span& span : spans) {
    DCHECK(span.version > Version(0) && span.version <= kVersionMax);
    if (!IsBeforeEnd(span.begin, span.end)) continue;
    events.push_back({span.begin, span.version, 1});
    if (!span.end.empty()) events.push_back({span.end, span.version, -1});
  }
  std::sort(events.begin(), events.end(),
            [](const Event& a, const Event& b) { return a.key < b.key; });
  std::map<Version, int, std::greater<>> over;
  std::vector<Version> versions;
  FragmentedTombstones::Builder builder;
  for (std::size_t i = 0; i < events.size();) {
    const std::string_view begin = events[i].key;
    for (; i < events.size() && events[i].key == begin; ++i) {
      const auto one = over.try_emplace(events[i].version).first;
      if ((one->second += events[i].change) == 0) over.erase(one);
    }
    versions.clear();
    for (const auto& [version, count] : over) versions.push_back(version);
    // Behind the last bound only what never ends is left.
    builder.Add(begin, i < events.size() ? events[i].key : std::string_view(), versions);
  }
  return builder.Finish();
}

/// A bound with its length before it; nullopt for one that is too long.
std::optional<std::string_view> ReadBound(ByteReader& reader, std::uint64_t size) {
  return size <= kBoundBytesMax ? reader.Take(size) : std::nullopt;
}

/// Versions in [1, kVersionMax], descending.
bool ReadVersions(ByteReader& reader, std::vector<Version>& versions) {
  const auto count = reader.Varint();
  // Each takes a byte at least: a lie about the count can't reserve memory.
  if (!count || *count == 0 || *count > reader.rest().size()) return false;
  std::uint64_t last = 0;
  versions.clear();
  for (std::uint64_t i = 0; i < *count; ++i) {
    const auto number = reader.Varint();
    if (!number || *number == 0 || *number > kVersionMax.value()) return false;
    if (i > 0 && *number >= last) return false;
    last = i == 0 ? *number : last - *number;
    versions.push_back(Version(last));
  }
  return true;
}

}  // namespace

FragmentedTombstones::FragmentedTombstones(const std::vector<RangeTombstone>& tombstones) {
  std::vector<Span> spans;
  spans.reserve(tombstones.size());
  for (const RangeTombstone& one : tombstones) spans.push_back({one.begin, one.end, one.version});
  *this = Cut(spans);
}

FragmentedTombstones FragmentedTombstones::Merge(
    std::span<const FragmentedTombstones* const> sets) {
  std::vector<Span> spans;
  const FragmentedTombstones* only = nullptr;
  std::size_t count = 0;
  for (const FragmentedTombstones* set : sets) {
    if (set->empty()) continue;
    only = set;
    ++count;
  }
  if (count == 0) return {};
  if (count == 1) return *only;
  for (const FragmentedTombstones* set : sets) {
    for (std::size_t i = 0; i < set->size(); ++i) {
      const Fragment one = set->fragment(i);
      for (const Version version : one.versions) spans.push_back({one.begin, one.end, version});
    }
  }
  return Cut(spans);
}

FragmentedTombstones FragmentedTombstones::Clip(std::string_view begin,
                                                std::string_view end) const {
  Builder builder;
  for (std::size_t i = FindFragment(begin); i < size(); ++i) {
    const Fragment one = fragment(i);
    if (!IsBeforeEnd(one.begin, end)) break;
    const std::string_view first = std::max(one.begin, begin);
    const std::string_view last = EndsBefore(one.end, end) ? one.end : end;
    if (IsBeforeEnd(first, last)) builder.Add(first, last, one.versions);
  }
  return builder.Finish();
}

FragmentedTombstones::Fragment FragmentedTombstones::fragment(std::size_t i) const {
  const Entry& entry = entries_[i];
  const std::string_view keys = keys_;
  return {keys.substr(entry.begin_at, entry.begin_size), keys.substr(entry.end_at, entry.end_size),
          std::span(versions_).subspan(entry.versions_at, entry.versions_size)};
}

std::size_t FragmentedTombstones::FindFragment(std::string_view key) const {
  const std::string_view keys = keys_;
  const auto first =
      std::partition_point(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return !IsBeforeEnd(key, keys.substr(entry.end_at, entry.end_size));
      });
  return static_cast<std::size_t>(first - entries_.begin());
}

Version FragmentedTombstones::Covering(std::string_view key, Version at) const {
  const std::size_t i = FindFragment(key);
  if (i == size()) return Version();
  const Fragment one = fragment(i);
  if (key < one.begin) return Version();
  const auto newest =
      std::lower_bound(one.versions.begin(), one.versions.end(), at, std::greater<>());
  return newest == one.versions.end() ? Version() : *newest;
}

std::string FragmentedTombstones::Encode() const {
  std::string out;
  PutVarint(out, size());
  for (std::size_t i = 0; i < size(); ++i) {
    const Fragment one = fragment(i);
    if (i > 0 && one.begin == fragment(i - 1).end) {
      PutVarint(out, 0);
    } else {
      PutVarint(out, one.begin.size() + 1);
      out += one.begin;
    }
    PutLengthPrefixed(out, one.end);
    PutVarint(out, one.versions.size());
    PutVarint(out, one.versions.front().value());
    for (std::size_t v = 1; v < one.versions.size(); ++v) {
      PutVarint(out, one.versions[v - 1].value() - one.versions[v].value());
    }
  }
  return out;
}

Result<FragmentedTombstones> FragmentedTombstones::Decode(std::string_view text) {
  ByteReader reader(text);
  const auto count = reader.Varint();
  if (!count) return Malformed();
  Builder builder;
  std::optional<std::string_view> last_end;
  std::vector<Version> versions;
  for (std::uint64_t i = 0; i < *count; ++i) {
    if (last_end && last_end->empty()) return Malformed();
    std::string_view begin;
    const auto begin_size = reader.Varint();
    if (!begin_size) return Malformed();
    if (*begin_size == 0) {
      if (!last_end) return Malformed();
      begin = *last_end;
    } else {
      const auto bytes = ReadBound(reader, *begin_size - 1);
      if (!bytes || (last_end && *bytes <= *last_end)) return Malformed();
      begin = *bytes;
    }
    const auto end_size = reader.Varint();
    const auto end = end_size ? ReadBound(reader, *end_size) : std::nullopt;
    if (!end || !IsBeforeEnd(begin, *end) || !ReadVersions(reader, versions)) return Malformed();
    builder.Add(begin, *end, versions);
    last_end = end;
  }
  FragmentedTombstones result = builder.Finish();
  // Fragments that became one were not one as they stood, and varints may have been too long: the
  // one encoding is what Encode gives.
  if (!reader.AtEnd() || result.Encode() != text) return Malformed();
  return result;
}

bool operator==(const FragmentedTombstones& a, const FragmentedTombstones& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto x = a.fragment(i);
    const auto y = b.fragment(i);
    if (x.begin != y.begin || x.end != y.end || !std::ranges::equal(x.versions, y.versions)) {
      return false;
    }
  }
  return true;
}

void FragmentedTombstones::Builder::Add(std::string_view begin, std::string_view end,
                                        std::span<const Version> versions) {
  if (versions.empty()) return;
  DCHECK(IsBeforeEnd(begin, end));
  DCHECK(std::ranges::is_sorted(versions, std::greater<>()));
  FragmentedTombstones& out = result_;
  const std::size_t count = out.size();
  const bool touches = count > 0 && out.fragment(count - 1).end == begin;
  DCHECK(count == 0 || !IsBeforeEnd(begin, out.fragment(count - 1).end));
  Entry entry;
  if (touches && std::ranges::equal(out.fragment(count - 1).versions, versions)) {
    entry = out.entries_.back();
    out.entries_.pop_back();
  } else {
    if (touches) {
      entry.begin_at = out.entries_.back().end_at;
    } else {
      entry.begin_at = out.keys_.size();
      out.keys_ += begin;
    }
    entry.begin_size = static_cast<std::uint32_t>(begin.size());
    entry.versions_at = out.versions_.size();
    entry.versions_size = versions.size();
    out.versions_.insert(out.versions_.end(), versions.begin(), versions.end());
    out.version_min_ = std::min(out.version_min_, versions.back());
    out.version_max_ = std::max(out.version_max_, versions.front());
  }
  entry.end_at = out.keys_.size();
  entry.end_size = static_cast<std::uint32_t>(end.size());
  out.keys_ += end;
  out.entries_.push_back(entry);
}

}  // namespace bedrock::engine
