#include "storaged/engine/keys/range_tombstones.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/env/random.h"

namespace bedrock::engine {
namespace {

std::string Text(const FragmentedTombstones& set) {
  std::string text;
  for (std::size_t i = 0; i < set.size(); ++i) {
    const auto one = set.fragment(i);
    text += std::string(one.begin) + "-" + std::string(one.end) + ":";
    for (const Version version : one.versions) text += std::to_string(version.value()) + ",";
    text.back() = ' ';
  }
  return text;
}

FragmentedTombstones Make(const std::vector<RangeTombstone>& tombstones) {
  return FragmentedTombstones(tombstones);
}

/// What every answer is checked against: one tombstone after another.
Version ModelCovering(const std::vector<RangeTombstone>& tombstones, std::string_view key,
                      Version at) {
  Version newest;
  for (const RangeTombstone& one : tombstones) {
    if (one.begin <= key && IsBeforeEnd(key, one.end) && one.version <= at) {
      newest = std::max(newest, one.version);
    }
  }
  return newest;
}

std::string RandomKey(Random& random) {
  std::string key;
  for (std::uint64_t n = random.Below(3); n > 0; --n) {
    key += static_cast<char>('a' + random.Below(4));
  }
  return key;
}

std::vector<RangeTombstone> RandomTombstones(Random& random, std::uint64_t count_max) {
  std::vector<RangeTombstone> tombstones;
  for (std::uint64_t n = random.Below(count_max + 1); n > 0; --n) {
    tombstones.push_back({RandomKey(random), random.Chance(1, 6) ? "" : RandomKey(random),
                          Version(1 + random.Below(9))});
  }
  return tombstones;
}

const std::vector<std::string>& AllKeys() {
  static const std::vector<std::string> keys = [] {
    std::vector<std::string> all = {""};
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].size() == 3) break;
      for (char c = 'a'; c <= 'e'; ++c) all.push_back(all[i] + c);
    }
    return all;
  }();
  return keys;
}

/// Fragments are what the header says they are.
void CheckShape(const FragmentedTombstones& set) {
  std::size_t versions = 0;
  for (std::size_t i = 0; i < set.size(); ++i) {
    const auto one = set.fragment(i);
    ASSERT_TRUE(IsBeforeEnd(one.begin, one.end));
    ASSERT_FALSE(one.versions.empty());
    versions += one.versions.size();
    for (std::size_t v = 0; v < one.versions.size(); ++v) {
      ASSERT_LE(one.versions[v], set.version_max());
      ASSERT_GE(one.versions[v], set.version_min());
      if (v > 0) {
        ASSERT_LT(one.versions[v], one.versions[v - 1]);
      }
    }
    if (i == 0) continue;
    const auto last = set.fragment(i - 1);
    ASSERT_FALSE(last.end.empty());
    ASSERT_LE(last.end, one.begin);
    ASSERT_FALSE(last.end == one.begin && std::ranges::equal(last.versions, one.versions));
  }
  ASSERT_EQ(versions, set.version_count());
}

TEST(FragmentedTombstonesTest, CutsWhereTombstonesBeginAndEnd) {
  EXPECT_EQ(Text(Make({{"a", "f", Version(3)}, {"c", "d", Version(5)}, {"d", "z", Version(2)}})),
            "a-c:3 c-d:5,3 d-f:3,2 f-z:2 ");
  EXPECT_EQ(Text(Make({{"c", "", Version(3)}, {"", "d", Version(4)}})), "-c:4 c-d:4,3 d-:3 ");
}

TEST(FragmentedTombstonesTest, JoinsNeighboursThatDeleteTheSame) {
  EXPECT_EQ(Text(Make({{"a", "c", Version(3)}, {"c", "e", Version(3)}})), "a-e:3 ");
  EXPECT_EQ(Text(Make({{"a", "c", Version(3)}, {"d", "e", Version(3)}})), "a-c:3 d-e:3 ");
  EXPECT_EQ(Text(Make({{"a", "e", Version(3)}, {"b", "c", Version(3)}})), "a-e:3 ");
}

TEST(FragmentedTombstonesTest, EmptyRangesDeleteNothing) {
  EXPECT_TRUE(Make({{"c", "c", Version(3)}, {"d", "b", Version(4)}}).empty());
  EXPECT_TRUE(Make({}).empty());
  EXPECT_EQ(FragmentedTombstones().Covering("k", kVersionMax), Version());
}

TEST(FragmentedTombstonesTest, AnswersAsTheTombstonesDo) {
  Random random(1);
  for (int round = 0; round < 800; ++round) {
    const auto tombstones = RandomTombstones(random, 8);
    const FragmentedTombstones set(tombstones);
    CheckShape(set);
    for (const std::string& key : AllKeys()) {
      for (std::uint64_t at = 0; at < 11; ++at) {
        ASSERT_EQ(set.Covering(key, Version(at)), ModelCovering(tombstones, key, Version(at)));
      }
      const std::size_t i = set.FindFragment(key);
      ASSERT_TRUE(i == set.size() || IsBeforeEnd(key, set.fragment(i).end));
      ASSERT_TRUE(i == 0 || !IsBeforeEnd(key, set.fragment(i - 1).end));
    }
  }
}

TEST(FragmentedTombstonesTest, MergeIsWhatAllDeleteTogether) {
  Random random(2);
  for (int round = 0; round < 1000; ++round) {
    std::vector<RangeTombstone> all;
    std::vector<FragmentedTombstones> parts;
    for (std::uint64_t n = random.Below(4); n > 0; --n) {
      const auto tombstones = RandomTombstones(random, 4);
      all.insert(all.end(), tombstones.begin(), tombstones.end());
      parts.emplace_back(tombstones);
    }
    std::vector<const FragmentedTombstones*> sets;
    for (const auto& part : parts) sets.push_back(&part);
    const FragmentedTombstones merged = FragmentedTombstones::Merge(sets);
    CheckShape(merged);
    ASSERT_EQ(merged, FragmentedTombstones(all)) << Text(merged);
  }
}

TEST(FragmentedTombstonesTest, ClipKeepsWhatLiesInside) {
  Random random(3);
  for (int round = 0; round < 300; ++round) {
    const auto tombstones = RandomTombstones(random, 6);
    const FragmentedTombstones set(tombstones);
    const std::string begin = RandomKey(random);
    const std::string end = random.Chance(1, 4) ? "" : RandomKey(random);
    const FragmentedTombstones clipped = set.Clip(begin, end);
    CheckShape(clipped);
    for (const std::string& key : AllKeys()) {
      const bool inside = begin <= key && IsBeforeEnd(key, end);
      for (std::uint64_t at = 0; at < 11; ++at) {
        ASSERT_EQ(clipped.Covering(key, Version(at)),
                  inside ? set.Covering(key, Version(at)) : Version());
      }
    }
    ASSERT_EQ(set.Clip("", ""), set);
  }
}

TEST(FragmentedTombstonesTest, PiecesPutTogetherAreTheWhole) {
  Random random(4);
  for (int round = 0; round < 300; ++round) {
    const FragmentedTombstones set(RandomTombstones(random, 6));
    std::vector<std::string> cuts = {""};
    for (std::uint64_t n = random.Below(4); n > 0; --n) cuts.push_back(RandomKey(random));
    std::sort(cuts.begin(), cuts.end());
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    std::vector<FragmentedTombstones> pieces;
    for (std::size_t i = 0; i < cuts.size(); ++i) {
      pieces.push_back(set.Clip(cuts[i], i + 1 < cuts.size() ? cuts[i + 1] : ""));
    }
    std::vector<const FragmentedTombstones*> sets;
    for (const auto& piece : pieces) sets.push_back(&piece);
    ASSERT_EQ(FragmentedTombstones::Merge(sets), set);
  }
}

TEST(FragmentedTombstonesTest, BoundsAreThoseOfAllFragments) {
  const auto set = Make({{"c", "f", Version(3)}, {"b", "d", Version(7)}});
  EXPECT_EQ(set.begin(), "b");
  EXPECT_EQ(set.end(), "f");
  EXPECT_EQ(set.version_min(), Version(3));
  EXPECT_EQ(set.version_max(), Version(7));
  EXPECT_EQ(Make({{"c", "", Version(3)}}).end(), "");
}

TEST(FragmentedTombstonesTest, DecodesWhatItEncodes) {
  Random random(5);
  for (int round = 0; round < 1000; ++round) {
    const FragmentedTombstones set(RandomTombstones(random, 8));
    const auto decoded = FragmentedTombstones::Decode(set.Encode());
    ASSERT_TRUE(decoded.ok());
    ASSERT_EQ(*decoded, set);
    CheckShape(*decoded);
  }
  const auto far = Make({{"a", "b", kVersionMax}, {"a", "c", Version(1)}});
  EXPECT_EQ(*FragmentedTombstones::Decode(far.Encode()), far);
}

TEST(FragmentedTombstonesTest, RefusesWhatItDoesNotEncode) {
  const auto refuses = [](std::string_view text) {
    return !FragmentedTombstones::Decode(text).ok();
  };
  using namespace std::string_view_literals;
  EXPECT_FALSE(
      refuses("\x01\x02"
              "a\x01"
              "c\x01\x05"sv));
  EXPECT_TRUE(refuses(""sv));
  EXPECT_TRUE(
      refuses("\x01\x02"
              "a\x01"
              "c\x01\x05x"sv))
      << "bytes behind the end";
  EXPECT_TRUE(
      refuses("\x01\x02"
              "c\x01"
              "a\x01\x05"sv))
      << "ends before it begins";
  EXPECT_TRUE(
      refuses("\x01\x02"
              "a\x01"
              "a\x01\x05"sv))
      << "empty range";
  EXPECT_TRUE(
      refuses("\x01\x00\x01"
              "c\x01\x05"sv))
      << "begins where nothing ended";
  EXPECT_TRUE(
      refuses("\x01\x02"
              "a\x01"
              "c\x00"sv))
      << "no versions";
  EXPECT_TRUE(
      refuses("\x01\x02"
              "a\x01"
              "c\x01\x00"sv))
      << "version 0";
  EXPECT_TRUE(
      refuses("\x01\x02"
              "a\x01"
              "c\x02\x05\x00"sv))
      << "a version twice";
  EXPECT_TRUE(
      refuses("\x01\x02"
              "a\x01"
              "c\x02\x05\x05"sv))
      << "a version below 1";
  EXPECT_TRUE(
      refuses("\x01\x02"
              "a\x01"
              "c\x81\x00\x05"sv))
      << "a varint that is too long";
  EXPECT_TRUE(
      refuses("\x02\x02"
              "a\x01"
              "c\x01\x05\x02"
              "b\x01"
              "d\x01\x05"sv))
      << "overlap";
  EXPECT_TRUE(
      refuses("\x02\x02"
              "a\x01"
              "c\x01\x05\x02"
              "c\x01"
              "d\x01\x06"sv))
      << "begin not 0";
  EXPECT_TRUE(
      refuses("\x02\x02"
              "a\x01"
              "c\x01\x05\x00\x01"
              "d\x01\x05"sv))
      << "not joined";
  EXPECT_TRUE(
      refuses("\x02\x02"
              "a\x00\x01\x05\x02"
              "b\x01"
              "d\x01\x05"sv))
      << "no end, not last";
  EXPECT_TRUE(
      refuses("\x01\x02"
              "a\x01"
              "c\x01\x80\x80\x80\x80\x80\x80\x80\x80\x02"sv))
      << "above the largest version";
  std::string long_key =
      "\x01\x02"
      "a";
  long_key += "\x83\x80\x04" + std::string((64 << 10) + 3, 'c') + "\x01\x05";
  EXPECT_TRUE(refuses(long_key));
}

TEST(FragmentedTombstonesTest, NoDamageToAByteGoesThroughAsAnotherShape) {
  Random random(6);
  for (int round = 0; round < 3000; ++round) {
    std::string text = FragmentedTombstones(RandomTombstones(random, 4)).Encode();
    text[random.Below(text.size())] = static_cast<char>(random.Below(256));
    const auto decoded = FragmentedTombstones::Decode(text);
    if (!decoded.ok()) continue;
    CheckShape(*decoded);
    ASSERT_EQ(decoded->Encode(), text);
  }
}

}  // namespace
}  // namespace bedrock::engine
