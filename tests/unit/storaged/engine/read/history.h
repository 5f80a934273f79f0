#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bedrock/options.h"
#include "common/env/random.h"
#include "storaged/engine/blob/value_resolver.h"
#include "storaged/engine/keys/range_tombstones.h"
#include "tests/unit/storaged/engine/read/vector_cursor.h"

namespace bedrock::engine {

/// "ref x" stands for "blob x".
class TestResolver final : public ValueResolver {
 public:
  Result<ResolvedValue> Read(std::string_view reference,
                             VerifyChecksums /*verify*/) const override {
    if (!reference.starts_with("ref ")) return Status::Corruption("blob");
    const std::string value = "blob " + std::string(reference.substr(4));
    auto memory = BlockMemory::Allocate(value.size());
    std::copy(value.begin(), value.end(), memory->data());
    const std::string_view view(memory->data(), value.size());
    return ResolvedValue{BlockPin(std::move(memory)), view};
  }
};

struct Layer {
  std::shared_ptr<CursorEntries> points = std::make_shared<CursorEntries>();
  std::vector<RangeTombstone> tombstones;
};
using Layers = std::vector<Layer>;  ///< Newest first.

struct Shown {
  std::string key;
  std::string value;
  Version version;
};

inline std::string RandomHistoryKey(Random& random) {
  static const std::string kLong(60, 'k');
  switch (random.Below(8)) {
    case 0:
      return kLong + std::to_string(random.Below(4));
    case 1:
      return std::string(random.Below(3), '\0');
    default:
      return "key" + std::to_string(random.Below(25));
  }
}

/// A history of commits over sources as an LSM tree has them, and what is to be seen of it.
class History {
 public:
  explicit History(Random& random) : layers_(random.Between(1, 5)) {
    const std::uint64_t commits = random.Below(150);
    for (std::uint64_t v = 1; v <= commits; ++v) {
      // The oldest commits are in the last source.
      const std::size_t layer = layers_.size() - 1 - (v - 1) * layers_.size() / commits;
      Commit(random, Version(v), layers_[layer]);
    }
    last_ = Version(commits);
    for (std::size_t i = random.Below(4); i > 0; --i) MoveDown(random);
  }

  const Layers& layers() const { return layers_; }
  Version last() const { return last_; }

  std::vector<Shown> At(Version at, Range bounds) const {
    std::vector<Shown> shown;
    for (const auto& [key, versions] : points_) {
      if (key < bounds.begin || !IsBeforeEnd(key, bounds.end)) continue;
      auto newest = versions.upper_bound(at);
      if (newest == versions.begin()) continue;
      --newest;
      if (!newest->second || Covered(key, newest->first, at)) continue;
      shown.push_back({key, *newest->second, newest->first});
    }
    return shown;
  }

  struct Newest {
    Version version;  ///< Of an entry or a range tombstone; 0: there is none.
    std::optional<std::string> value;
  };
  Newest NewestOf(const std::string& key, Version at) const {
    Newest newest;
    if (const auto point = points_.find(key); point != points_.end()) {
      const auto above = point->second.upper_bound(at);
      if (above != point->second.begin()) {
        newest = {std::prev(above)->first, std::prev(above)->second};
      }
    }
    for (const RangeTombstone& range : ranges_) {
      if (range.begin <= key && IsBeforeEnd(key, range.end) && range.version <= at &&
          range.version > newest.version) {
        newest = {range.version, std::nullopt};
      }
    }
    return newest;
  }
  std::vector<std::string> Keys() const {
    std::vector<std::string> keys;
    for (const auto& [key, versions] : points_) keys.push_back(key);
    return keys;
  }

 private:
  void Commit(Random& random, Version version, Layer& layer) {
    if (random.Chance(1, 12)) {
      RangeTombstone range{RandomHistoryKey(random), RandomHistoryKey(random), version};
      if (random.Chance(1, 6)) range.end.clear();
      if (!IsBeforeEnd(range.begin, range.end)) return;
      ranges_.push_back(range);
      layer.tombstones.push_back(range);
      // Points of the same commit stay.
      if (random.Chance(1, 2)) return;
    }
    std::map<std::string, EntryKind> batch;
    for (std::size_t i = random.Between(1, 3); i > 0; --i) {
      batch[random.Chance(1, 4) ? "hot" : RandomHistoryKey(random)] =
          std::vector{EntryKind::kPut, EntryKind::kBlobPut, EntryKind::kDelete}[random.Below(3)];
    }
    for (const auto& [key, kind] : batch) {
      const std::size_t more = random.Chance(1, 10) ? 700 : random.Below(40);
      const std::string text = std::to_string(version.value()) + std::string(more, 'v');
      const bool blob = kind == EntryKind::kBlobPut;
      const bool gone = kind == EntryKind::kDelete;
      layer.points->Add(key, version, kind, gone ? "" : blob ? "ref " + text : text);
      points_[key][version] =
          gone ? std::nullopt : std::optional<std::string>(blob ? "blob " + text : text);
    }
  }

  bool Covered(const std::string& key, Version version, Version at) const {
    return std::any_of(ranges_.begin(), ranges_.end(), [&](const RangeTombstone& range) {
      return range.begin <= key && IsBeforeEnd(key, range.end) && range.version <= at &&
             range.version > version;
    });
  }

  /// What a compaction does: all that a source has in a range of keys goes to the next one.
  void MoveDown(Random& random) {
    if (layers_.size() < 2) return;
    const std::size_t i = random.Below(layers_.size() - 1);
    const std::string begin = RandomHistoryKey(random);
    const std::string end = random.Chance(1, 4) ? "" : RandomHistoryKey(random);
    if (!IsBeforeEnd(begin, end)) return;
    Layer& from = layers_[i];
    Layer& to = layers_[i + 1];
    std::erase_if(from.points->entries, [&](const CursorEntry& entry) {
      const InternalKey& key = entry.key;
      if (key.user_key < begin || !IsBeforeEnd(key.user_key, end)) return false;
      to.points->Add(key.user_key, key.trailer.version(), key.trailer.kind(), entry.value);
      return true;
    });
    std::vector<RangeTombstone> left;
    for (const RangeTombstone& range : from.tombstones) {
      const auto keep = [&](std::string first, std::string last, std::vector<RangeTombstone>& out) {
        if (IsBeforeEnd(first, last)) out.push_back({first, last, range.version});
      };
      const std::string begin_in = std::max(begin, range.begin);
      const std::string end_in = EndsBefore(range.end, end) ? range.end : end;
      if (!begin.empty()) {
        keep(range.begin, EndsBefore(range.end, begin) ? range.end : begin, left);
      }
      keep(begin_in, end_in, to.tombstones);
      if (!end.empty()) keep(std::max(end, range.begin), range.end, left);
    }
    from.tombstones = left;
  }

  Layers layers_;
  Version last_;
  std::map<std::string, std::map<Version, std::optional<std::string>>> points_;
  std::vector<RangeTombstone> ranges_;
};

/// The model of a walk.
struct ModelWalk {
  std::vector<Shown> shown;
  std::ptrdiff_t at = -1;

  bool Valid() const { return at >= 0 && at < std::ssize(shown); }
  void Seek(const std::string& key) {
    at = std::partition_point(shown.begin(), shown.end(), [&](auto& s) { return s.key < key; }) -
         shown.begin();
  }
  void SeekForPrev(const std::string& key) {
    at = std::partition_point(shown.begin(), shown.end(), [&](auto& s) { return s.key <= key; }) -
         shown.begin() - 1;
  }
};

/// Moves both in the same way.
template <typename Walk>
void RandomMove(Random& random, Walk& walk, ModelWalk& model) {
  const std::string key = RandomHistoryKey(random);
  const std::uint64_t what = random.Below(30);
  if (what == 0) {
    walk.SeekToFirst();
    model.at = 0;
  } else if (what == 1) {
    walk.SeekToLast();
    model.at = std::ssize(model.shown) - 1;
  } else if (what == 2 || (!model.Valid() && what % 2 == 0)) {
    walk.Seek(key);
    model.Seek(key);
  } else if (what == 3 || !model.Valid()) {
    walk.SeekForPrev(key);
    model.SeekForPrev(key);
  } else if (what < 17) {
    walk.Next();
    ++model.at;
  } else {
    walk.Prev();
    --model.at;
  }
}

}  // namespace bedrock::engine
