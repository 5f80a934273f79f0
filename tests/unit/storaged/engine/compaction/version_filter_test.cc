#include "storaged/engine/compaction/version_filter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/env/random.h"

namespace bedrock::engine {
namespace {

using Versions = std::vector<std::pair<std::uint64_t, EntryKind>>;

Retention Keeping(std::uint64_t watermark, const std::vector<std::uint64_t>& pins = {}) {
  Retention retention{Version(watermark), {}};
  for (const std::uint64_t pin : pins) retention.pins.push_back(Version(pin));
  return retention;
}

std::shared_ptr<const FragmentedTombstones> Tombstones(std::vector<RangeTombstone> tombstones) {
  return std::make_shared<const FragmentedTombstones>(std::move(tombstones));
}

/// The versions that a filter keeps of the key k, given newest first.
std::string Kept(const Versions& versions, VersionFilter&& filter) {
  std::string kept;
  for (const auto& [version, kind] : versions) {
    if (filter.Keep({"k", Trailer(Version(version), kind)})) kept += std::to_string(version);
  }
  return kept;
}

std::string Kept(const Versions& versions, const Retention& retention,
                 const KeyRanges& below = KeyRanges()) {
  return Kept(versions, VersionFilter(retention, nullptr, below));
}

const Versions kPutDeletePut = {
    {8, EntryKind::kPut}, {5, EntryKind::kDelete}, {2, EntryKind::kPut}};

TEST(VersionFilterTest, KeepsAllAboveTheWatermarkAndTheNewestBelow) {
  for (const std::uint64_t watermark : {1u, 2u, 4u}) {
    EXPECT_EQ(Kept(kPutDeletePut, Keeping(watermark)), "852");
  }
  EXPECT_EQ(Kept(kPutDeletePut, Keeping(5), KeyRanges::All()), "85");
  EXPECT_EQ(Kept(kPutDeletePut, Keeping(5)), "8");
  EXPECT_EQ(Kept(kPutDeletePut, Keeping(7)), "8");
  EXPECT_EQ(Kept(kPutDeletePut, Keeping(8)), "8");
}

TEST(VersionFilterTest, KeepsWhatPinsSee) {
  EXPECT_EQ(Kept(kPutDeletePut, Keeping(5, {3})), "852");
  EXPECT_EQ(Kept(kPutDeletePut, Keeping(5, {3}), KeyRanges::All()), "852");
  EXPECT_EQ(Kept(kPutDeletePut, Keeping(5, {1})), "85") << "a tombstone above the lowest stripe";
  EXPECT_EQ(Kept(kPutDeletePut, Keeping(9, {6, 7})), "8");
  EXPECT_EQ(Kept(kPutDeletePut, Keeping(9, {6, 7}), KeyRanges::All()), "85");
  EXPECT_EQ(Kept(kPutDeletePut, Keeping(5, {9, 5, 6})), "8") << "pins from the watermark on";
}

TEST(VersionFilterTest, DropsTombstonesOnlyOfKeysThatHaveNothingBelow) {
  VersionFilter filter(Keeping(9), nullptr, KeyRanges({{"b", {"d", UpperBound::Kind::kIncluded}}}));
  std::string kept;
  for (const std::string key : {"a", "b", "c", "d", "e"}) {
    if (filter.Keep({key, Trailer(Version(3), EntryKind::kDelete)})) kept += key;
  }
  EXPECT_EQ(kept, "bcd");
}

TEST(VersionFilterTest, DropsWhatARangeTombstoneOfTheStripeHides) {
  const Versions puts = {{8, EntryKind::kPut}, {5, EntryKind::kBlobPut}, {2, EntryKind::kPut}};
  const auto over = [](std::uint64_t version) {
    return Tombstones({{"a", "z", Version(version)}});
  };
  const auto kept = [&](const Retention& retention, std::uint64_t tombstone) {
    return Kept(puts, VersionFilter(retention, over(tombstone), KeyRanges()));
  };
  EXPECT_EQ(kept(Keeping(9), 9), "");
  EXPECT_EQ(kept(Keeping(9), 8), "8") << "a point of its own version stays";
  EXPECT_EQ(kept(Keeping(6), 7), "85") << "readers at 6 don't see it";
  EXPECT_EQ(kept(Keeping(6), 6), "8");
  EXPECT_EQ(kept(Keeping(9, {5}), 9), "5");
  EXPECT_EQ(kept(Keeping(9, {4}), 5), "82") << "what was hidden by 5 alone was hidden by 8, too";
}

TEST(VersionFilterTest, FirstEntryMayHaveTheEmptyKey) {
  VersionFilter filter(Keeping(9), nullptr, KeyRanges());
  EXPECT_TRUE(filter.Keep({"", Trailer(Version(3), EntryKind::kPut)}));
  EXPECT_FALSE(filter.Keep({"", Trailer(Version(2), EntryKind::kPut)}));
}

TEST(VersionFilterTest, KeepsTheNewestRangeTombstoneOfEachStripe) {
  const std::vector<RangeTombstone> all = {{"a", "c", Version(9)},
                                           {"a", "c", Version(7)},
                                           {"a", "c", Version(6)},
                                           {"a", "c", Version(3)},
                                           {"a", "c", Version(2)}};
  const auto versions = [&](const Retention& retention, const KeyRanges& below) {
    std::string text;
    const auto kept = VersionFilter(retention, Tombstones(all), below).KeptTombstones();
    if (kept.empty()) return text;
    for (const Version version : kept.fragment(0).versions) text += std::to_string(version.value());
    return text;
  };
  EXPECT_EQ(versions(Keeping(8), KeyRanges()), "9");
  EXPECT_EQ(versions(Keeping(8), KeyRanges::All()), "97");
  EXPECT_EQ(versions(Keeping(8, {4}), KeyRanges()), "97");
  EXPECT_EQ(versions(Keeping(8, {4}), KeyRanges::All()), "973");
  EXPECT_EQ(versions(Keeping(8, {4}), KeyRanges({HalfOpen("c", "")})), "97");
  EXPECT_EQ(versions(Keeping(9), KeyRanges()), "");
}

/// A part of the tree: points and range tombstones whose versions are all below those of the layer
/// above.
struct Layer {
  std::map<std::pair<std::string, std::uint64_t>, EntryKind> points;
  FragmentedTombstones tombstones;
};

/// The value's version that a read gets; 0: nothing.
std::uint64_t Read(const std::vector<Layer>& layers, const std::string& key, std::uint64_t at) {
  std::uint64_t newest = 0;
  EntryKind kind = EntryKind::kDelete;
  std::uint64_t tombstone = 0;
  for (const Layer& layer : layers) {
    tombstone = std::max(tombstone, layer.tombstones.Covering(key, Version(at)).value());
    for (auto it = layer.points.lower_bound({key, 0});
         it != layer.points.end() && it->first.first == key && it->first.second <= at; ++it) {
      if (it->first.second < newest) continue;
      newest = it->first.second;
      kind = it->second;
    }
  }
  return kind == EntryKind::kDelete || tombstone > newest ? 0 : newest;
}

class VersionFilterModelTest : public testing::TestWithParam<std::uint64_t> {
 protected:
  static constexpr std::uint64_t kKeys = 5;
  static constexpr std::uint64_t kVersionsALayer = 4;

  std::string RandomKey() { return std::string(1, static_cast<char>('a' + random_.Below(kKeys))); }

  Layer RandomLayer(std::uint64_t version_min) {
    Layer layer;
    std::vector<RangeTombstone> tombstones;
    for (std::uint64_t n = random_.Below(10); n > 0; --n) {
      const std::uint64_t version = version_min + random_.Below(kVersionsALayer);
      if (random_.Chance(1, 4)) {
        tombstones.push_back(
            {RandomKey(), random_.Chance(1, 4) ? "" : RandomKey(), Version(version)});
      } else {
        const EntryKind kinds[] = {EntryKind::kPut, EntryKind::kDelete, EntryKind::kBlobPut};
        layer.points[{RandomKey(), version}] = kinds[random_.Below(3)];
      }
    }
    layer.tombstones = FragmentedTombstones(tombstones);
    return layer;
  }

  /// What the layers from `first` on say anything of.
  static KeyRanges RangesOf(const std::vector<Layer>& layers, std::size_t first) {
    std::vector<KeyRange> ranges;
    for (std::size_t i = first; i < layers.size(); ++i) {
      for (const auto& [key, kind] : layers[i].points) {
        ranges.push_back({key.first, {key.first, UpperBound::Kind::kIncluded}});
      }
      for (std::size_t f = 0; f < layers[i].tombstones.size(); ++f) {
        const auto fragment = layers[i].tombstones.fragment(f);
        ranges.push_back(HalfOpen(fragment.begin, fragment.end));
      }
    }
    return KeyRanges(std::move(ranges));
  }

  /// Merges the layers [from, to) into one, filtered.
  static std::vector<Layer> Merge(const std::vector<Layer>& layers, std::size_t from,
                                  std::size_t to, const Retention& retention) {
    std::vector<const FragmentedTombstones*> sets;
    std::map<std::pair<std::string, std::uint64_t>, EntryKind> points;
    for (std::size_t i = from; i < to; ++i) {
      sets.push_back(&layers[i].tombstones);
      points.insert(layers[i].points.begin(), layers[i].points.end());
    }
    VersionFilter filter(
        retention, std::make_shared<const FragmentedTombstones>(FragmentedTombstones::Merge(sets)),
        RangesOf(layers, to));
    std::vector<std::pair<InternalKey, EntryKind>> sorted;
    for (const auto& [key, kind] : points) {
      sorted.push_back({{key.first, Trailer(Version(key.second), kind)}, kind});
    }
    std::sort(sorted.begin(), sorted.end(),
              [](const auto& a, const auto& b) { return a.first.view() < b.first.view(); });
    Layer merged;
    for (const auto& [key, kind] : sorted) {
      if (filter.Keep(key.view()))
        merged.points[{key.user_key, key.trailer.version().value()}] = kind;
    }
    merged.tombstones = filter.KeptTombstones();
    std::vector<Layer> after(layers.begin(), layers.begin() + static_cast<std::ptrdiff_t>(from));
    after.push_back(std::move(merged));
    after.insert(after.end(), layers.begin() + static_cast<std::ptrdiff_t>(to), layers.end());
    return after;
  }

  Random random_{GetParam()};
};

TEST_P(VersionFilterModelTest, NoAllowedReadCanTell) {
  for (int round = 0; round < 1500; ++round) {
    // Newest layer first.
    std::vector<Layer> layers;
    const std::uint64_t count = random_.Between(1, 5);
    const std::uint64_t version_end = count * kVersionsALayer + 1;
    for (std::uint64_t i = count; i > 0; --i) {
      layers.push_back(RandomLayer((i - 1) * kVersionsALayer + 1));
    }
    Retention retention = Keeping(random_.Below(version_end + 2));
    for (std::uint64_t n = random_.Below(4); n > 0; --n) {
      retention.pins.push_back(Version(random_.Below(version_end)));
    }
    std::vector<Layer> after = layers;
    // Several merges one after another: what one kept or dropped must do for the next, too.
    for (std::uint64_t merges = random_.Between(1, 3); merges > 0; --merges) {
      const std::size_t from = random_.Below(after.size());
      const std::size_t to = random_.Between(from + 1, after.size());
      after = Merge(after, from, to, retention);
    }
    for (std::uint64_t at = 0; at < version_end + 2; ++at) {
      const bool allowed =
          Version(at) >= retention.watermark || std::ranges::count(retention.pins, Version(at)) > 0;
      if (!allowed) continue;
      for (std::uint64_t k = 0; k < kKeys; ++k) {
        const std::string key(1, static_cast<char>('a' + k));
        ASSERT_EQ(Read(layers, key, at), Read(after, key, at)) << key << "@" << at;
      }
    }
  }
}

TEST_P(VersionFilterModelTest, KeepsNothingThatAllReadsCouldDoWithout) {
  for (int round = 0; round < 1500; ++round) {
    std::vector<Layer> layers = {RandomLayer(5), RandomLayer(1)};
    Retention retention = Keeping(random_.Below(10));
    for (std::uint64_t n = random_.Below(3); n > 0; --n) {
      retention.pins.push_back(Version(random_.Below(10)));
    }
    const std::vector<Layer> after = Merge(layers, 0, 2, retention);
    Version lowest = retention.watermark;
    for (const Version pin : retention.pins) lowest = std::min(lowest, pin);
    for (const auto& [key, kind] : after.front().points) {
      if (Version(key.second) > retention.watermark) continue;
      if (kind == EntryKind::kDelete) {
        ASSERT_GT(Version(key.second), lowest) << "a tombstone with nothing to hide";
        continue;
      }
      bool seen = Read(layers, key.first, retention.watermark.value()) == key.second;
      for (const Version pin : retention.pins) {
        seen = seen || Read(layers, key.first, pin.value()) == key.second;
      }
      ASSERT_TRUE(seen) << key.first << "@" << key.second;
    }
    const FragmentedTombstones& kept = after.front().tombstones;
    ASSERT_TRUE(kept.empty() || kept.version_min() > lowest);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, VersionFilterModelTest, testing::Values(1, 2, 3, 4));

}  // namespace
}  // namespace bedrock::engine
