#include "storaged/engine/memtable/radix_tree.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "common/env/random.h"

namespace bedrock::engine {
namespace {

/// A tree of keys without values, and the same keys in a std::set.
class Keys {
 public:
  void Add(const std::string& key) {
    const RadixTree::Place place = tree_.Locate(key);
    const bool found = place.kind == RadixTree::Place::Kind::kFound;
    ASSERT_EQ(found, !model_.insert(key).second);
    if (found) return;
    const ChainEntry* entry =
        ChainEntry::Make(arena_, {key, Trailer(Version(1), EntryKind::kPut)}, {}, nullptr);
    tree_.Attach(arena_, place, entry);
  }

  void CheckWalks() const {
    RadixWalk walk(tree_);
    walk.SeekToFirst();
    for (const std::string& key : model_) {
      ASSERT_NE(walk.entry(), nullptr);
      ASSERT_EQ(walk.entry()->key(), key);
      walk.Next();
    }
    ASSERT_EQ(walk.entry(), nullptr);
    walk.SeekToLast();
    for (auto key = model_.rbegin(); key != model_.rend(); ++key) {
      ASSERT_NE(walk.entry(), nullptr);
      ASSERT_EQ(walk.entry()->key(), *key);
      walk.Previous();
    }
    ASSERT_EQ(walk.entry(), nullptr);
  }

  /// Looks for `key` in all ways, and takes a step in both directions from where it comes to.
  void CheckSeek(const std::string& key) const {
    const bool there = model_.contains(key);
    const ChainEntry* found = tree_.Find(key);
    ASSERT_EQ(found != nullptr, there);
    if (there) {
      ASSERT_EQ(found->key(), key);
    }
    RadixWalk walk(tree_);
    auto want = model_.lower_bound(key);
    ASSERT_EQ(walk.SeekAtOrAfter(key), there);
    CheckAt(walk, want);
    if (want != model_.end()) {
      walk.Next();
      CheckAt(walk, std::next(want));
      ASSERT_EQ(walk.SeekAtOrAfter(key), there);
      walk.Previous();
      CheckAt(walk, want == model_.begin() ? model_.end() : std::prev(want));
    }
    ASSERT_EQ(walk.SeekAtOrBefore(key), there);
    if (!there) want = want == model_.begin() ? model_.end() : std::prev(want);
    CheckAt(walk, want);
    if (want == model_.end()) return;
    walk.Next();
    CheckAt(walk, std::next(want));
    ASSERT_EQ(walk.SeekAtOrBefore(key), there);
    walk.Previous();
    CheckAt(walk, want == model_.begin() ? model_.end() : std::prev(want));
  }

  /// Seeks each key, what is right beside it, and what it begins with.
  void CheckBoundaries() const {
    CheckSeek("");
    for (const std::string& key : model_) {
      CheckSeek(key);
      CheckSeek(key + '\0');
      CheckSeek(key + '\xff');
      if (key.empty()) continue;
      CheckSeek(key.substr(0, key.size() - 1));
      CheckSeek(key.substr(0, key.size() / 2));
      for (const int step : {-1, 1}) {
        for (const std::size_t at : {key.size() - 1, key.size() / 2, std::size_t{0}}) {
          std::string beside = key;
          beside[at] = static_cast<char>(beside[at] + step);
          CheckSeek(beside);
        }
      }
      if (testing::Test::HasFatalFailure()) return;
    }
  }

  std::size_t size() const { return model_.size(); }

 private:
  void CheckAt(const RadixWalk& walk, std::set<std::string>::const_iterator want) const {
    ASSERT_EQ(walk.entry() != nullptr, want != model_.end());
    if (walk.entry() != nullptr) {
      ASSERT_EQ(walk.entry()->key(), *want);
    }
  }

  Arena arena_;
  RadixTree tree_;
  std::set<std::string> model_;
};

struct KeyShape {
  const char* name;
  int keys;
  std::function<std::string(Random&)> draw;
};

std::string Bytes(Random& random, std::size_t n, std::string_view alphabet) {
  std::string bytes(n, '\0');
  for (char& byte : bytes) byte = alphabet[random.Below(alphabet.size())];
  return bytes;
}

std::string AnyBytes(Random& random, std::size_t n) {
  std::string bytes(n, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Below(256));
  return bytes;
}

std::vector<KeyShape> Shapes() {
  return {
      {"Decimal", 3000,
       [](Random& random) {
         std::string digits = std::to_string(random.Below(20'000));
         return std::string(16 - digits.size(), '0') + digits;
       }},
      {"AnyShortBytes", 3000, [](Random& random) { return AnyBytes(random, random.Below(4)); }},
      {"DenseTwoBytes", 6000, [](Random& random) { return AnyBytes(random, 2); }},
      {"FewLetters", 2000,
       [](Random& random) {
         return Bytes(random, random.Below(12), std::string_view("\0a\xff", 3));
       }},
      {"PrefixesOfEachOther", 400,
       [](Random& random) { return std::string(random.Below(500), 'p'); }},
      {"PrefixesOfZeroes", 200,
       [](Random& random) { return std::string(random.Below(300), '\0'); }},
      {"LongSharedPrefixes", 600,
       [](Random& random) {
         std::string key(random.Between(0, 3) * 700, 'x');
         key += std::string(random.Below(20), 'y');
         return key + Bytes(random, random.Below(3), "abc");
       }},
      {"PathsAround8Bytes", 2000,
       [](Random& random) {
         static constexpr std::string_view kPath = "abcdefghijklmnopqrstuvwxyz";
         std::string key(kPath.substr(0, random.Below(20)));
         key += Bytes(random, random.Below(2), std::string_view("\0m\xff", 3));
         return key + std::string(kPath.substr(0, random.Below(20)));
       }},
      {"TheLongest", 40,
       [](Random& random) {
         std::string key(kKeyBytesMax - random.Below(3), 'k');
         if (random.Chance(1, 2)) key[random.Below(key.size())] = 'l';
         return key;
       }},
  };
}

class RadixTreeTest : public testing::TestWithParam<KeyShape> {};

TEST_P(RadixTreeTest, FindsAndWalksWhatASetHas) {
  Random random(7);
  Keys keys;
  keys.CheckWalks();
  keys.CheckSeek("");
  keys.CheckSeek("key");
  for (int i = 0; i < GetParam().keys; ++i) {
    keys.Add(GetParam().draw(random));
    if (i < 50) keys.CheckWalks();
    if (i < 50 && i % 5 == 0) keys.CheckBoundaries();
    if (HasFatalFailure()) return;
  }
  keys.CheckWalks();
  keys.CheckBoundaries();
  for (int i = 0; i < 1000; ++i) {
    keys.CheckSeek(GetParam().draw(random));
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, RadixTreeTest, testing::ValuesIn(Shapes()),
                         [](const auto& shape) { return shape.param.name; });

TEST(RadixTreeNodesTest, GrowThroughAllKindsInAnyOrderOfBytes) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    std::vector<int> bytes(256);
    for (int i = 0; i < 256; ++i) {
      bytes[static_cast<std::size_t>(i)] = i;
      std::swap(bytes[static_cast<std::size_t>(i)],
                bytes[random.Below(static_cast<std::uint64_t>(i) + 1)]);
    }
    Keys keys;
    const bool with_terminal = seed % 2 == 0;
    if (with_terminal) keys.Add("path");
    for (const int byte : bytes) {
      keys.Add(std::string("path") + static_cast<char>(byte) + "tail");
      keys.CheckWalks();
      if (keys.size() % 16 < 3) keys.CheckBoundaries();
      if (HasFatalFailure()) return;
    }
    ASSERT_EQ(keys.size(), 256u + (with_terminal ? 1 : 0));
  }
}

TEST(RadixTreeNodesTest, PathsAreParted) {
  // The same few keys in every order: a node's path is parted above, at and below what it has.
  std::vector<std::string> keys{"", "abcdefghijklmnopqrst1", "abcdefghijklmnopqrst2", "abcdefgh",
                                "abcdefghijklX"};
  std::sort(keys.begin(), keys.end());
  do {
    Keys tree;
    for (const std::string& key : keys) {
      tree.Add(key);
      tree.CheckBoundaries();
      if (HasFatalFailure()) return;
    }
    tree.CheckWalks();
  } while (std::next_permutation(keys.begin(), keys.end()));
}

}  // namespace
}  // namespace bedrock::engine
