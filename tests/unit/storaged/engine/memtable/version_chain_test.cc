#include "storaged/engine/memtable/version_chain.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>

#include "common/env/random.h"

namespace bedrock::engine {
namespace {

/// A chain, and what should be in it: values by version.
class Chain {
 public:
  void Add(std::uint64_t version, EntryKind kind, const std::string& value) {
    const InternalKeyView key{"key", Trailer(Version(version), kind)};
    if (newest_ == nullptr) {
      newest_ = ChainEntry::Make(arena_, key, value, nullptr);
    } else {
      bool replaced = false;
      newest_ = ChainEntry::Add(arena_, newest_, key, value, &replaced);
      EXPECT_EQ(replaced, model_.contains(version));
    }
    model_[version] = {kind, value};
  }

  void Check() const {
    const ChainEntry* entry = newest_;
    for (auto want = model_.rbegin(); want != model_.rend(); ++want) {
      ASSERT_NE(entry, nullptr);
      ASSERT_EQ(entry->key(), "key");
      ASSERT_EQ(entry->trailer(), Trailer(Version(want->first), want->second.kind));
      ASSERT_EQ(entry->value(), want->second.value);
      entry = entry->older();
    }
    ASSERT_EQ(entry, nullptr);
    ASSERT_EQ(ChainEntry::Oldest(newest_)->trailer().version(), Version(model_.begin()->first));
  }

  void CheckSearch(std::uint64_t version) const {
    const ChainEntry* below = ChainEntry::NewestAtMost(newest_, Trailer::SeekTo(Version(version)));
    const auto above = model_.upper_bound(version);
    ASSERT_EQ(below != nullptr, above != model_.begin());
    if (below != nullptr) {
      ASSERT_EQ(below->trailer().version(), Version(std::prev(above)->first));
      ASSERT_EQ(below->value(), std::prev(above)->second.value);
    }
    const ChainEntry* from = ChainEntry::OldestAtLeast(newest_, Trailer::FromPacked(version << 8));
    const auto first = model_.lower_bound(version);
    ASSERT_EQ(from != nullptr, first != model_.end());
    if (from != nullptr) {
      ASSERT_EQ(from->trailer().version(), Version(first->first));
      ASSERT_EQ(from->value(), first->second.value);
    }
  }

 private:
  struct Value {
    EntryKind kind;
    std::string value;
  };
  Arena arena_;
  ChainEntry* newest_ = nullptr;
  std::map<std::uint64_t, Value> model_;
};

TEST(VersionChainTest, FindsAnyVersionOfALongChain) {
  Chain chain;
  for (std::uint64_t version = 2; version <= 6000; version += 2) {
    chain.Add(version, EntryKind::kPut, std::to_string(version));
  }
  chain.Check();
  for (std::uint64_t version = 0; version <= 6001; ++version) chain.CheckSearch(version);
}

TEST(VersionChainTest, TakesVersionsInAnyOrderAndTheLastOfEach) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Random random(seed);
    Chain chain;
    const std::uint64_t range = random.Between(1, 300);
    for (int i = 0; i < 300; ++i) {
      const bool remove = random.Chance(1, 3);
      chain.Add(random.Between(1, range), remove ? EntryKind::kDelete : EntryKind::kPut,
                remove ? "" : std::to_string(i));
    }
    chain.Check();
    for (std::uint64_t version = 0; version <= range + 1; ++version) chain.CheckSearch(version);
  }
}

}  // namespace
}  // namespace bedrock::engine
