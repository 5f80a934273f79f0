#include "storaged/engine/memtable/tombstone_set.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/env/random.h"

namespace bedrock::engine {
namespace {

TEST(TombstoneSetTest, IsEmptyAtFirst) {
  const TombstoneSet set;
  EXPECT_TRUE(set.empty());
  EXPECT_EQ(set.Covering("key", kVersionMax), Version());
  ASSERT_NE(set.All(), nullptr);
  EXPECT_TRUE(set.All()->empty());
  EXPECT_EQ(set.bytes(), 0u);
}

TEST(TombstoneSetTest, AnswersLikeAListOfTombstones) {
  Random random(1);
  TombstoneSet set;
  std::vector<RangeTombstone> model;
  for (std::uint64_t version = 1; version <= 200; ++version) {
    std::string begin = std::to_string(random.Below(100));
    std::string end = random.Chance(1, 20) ? "" : begin + std::to_string(random.Below(10));
    model.push_back({begin, end, Version(version)});
    set.Add(model.back());
    ASSERT_EQ(*set.All(), FragmentedTombstones(model));
    for (int i = 0; i < 20; ++i) {
      const std::string key = std::to_string(random.Below(1000));
      const Version at(random.Between(1, version));
      Version want;
      for (const RangeTombstone& tombstone : model) {
        if (tombstone.version <= at && tombstone.begin <= key && IsBeforeEnd(key, tombstone.end)) {
          want = tombstone.version;
        }
      }
      ASSERT_EQ(set.Covering(key, at), want);
    }
  }
}

TEST(TombstoneSetTest, AllOutlivesTheSet) {
  std::shared_ptr<const FragmentedTombstones> all;
  {
    TombstoneSet set;
    for (std::uint64_t i = 1; i <= 3; ++i) {
      set.Add({std::string(i, 'a'), std::string(i, 'a') + 'b', Version(i)});
    }
    all = set.All();
  }
  EXPECT_EQ(all->Covering("a", kVersionMax), Version(1));
}

TEST(TombstoneSetTest, ManyTakeMemoryInProportionToTheirNumberAndItsLogarithm) {
  const auto bytes_of = [](std::uint64_t n) {
    TombstoneSet set;
    for (std::uint64_t i = 1; i <= n; ++i) {
      const std::string begin = std::to_string(1'000'000 + i * 7919 % 100'003);
      set.Add({begin, begin + "z", Version(i)});
    }
    return set.bytes();
  };
  // Quadratic growth would take 64 times as much.
  EXPECT_LT(bytes_of(8192), 16 * bytes_of(1024));
}

}  // namespace
}  // namespace bedrock::engine
