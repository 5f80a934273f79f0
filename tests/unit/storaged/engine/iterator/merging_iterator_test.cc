#include "storaged/engine/iterator/merging_iterator.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/env/random.h"
#include "tests/unit/storaged/engine/vector_iterator.h"

namespace bedrock::engine {
namespace {

TEST(MergingIteratorTest, GivesTheSortedUnion) {
  Random random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::vector<TestEntry>> parts(random.Below(6));
    std::vector<TestEntry> all;
    for (std::uint64_t version = 1; version <= 40 && !parts.empty(); ++version) {
      const TestEntry entry{
          {std::to_string(random.Below(10)), Trailer(Version(version), EntryKind::kPut)},
          std::to_string(version)};
      parts[random.Below(parts.size())].push_back(entry);
      all.push_back(entry);
    }
    SortEntries(all);
    std::vector<std::unique_ptr<InternalIterator>> children;
    for (auto& part : parts) {
      SortEntries(part);
      children.push_back(std::make_unique<VectorIterator>(part));
    }
    const auto merged = NewMergingIterator(std::move(children));
    EXPECT_FALSE(merged->Valid());
    const auto expect_from = [&](std::size_t at) {
      for (; at < all.size(); ++at, merged->Next()) {
        ASSERT_TRUE(merged->Valid());
        ASSERT_EQ(merged->key(), all[at].key.view());
        ASSERT_EQ(merged->value(), all[at].value);
      }
      ASSERT_FALSE(merged->Valid());
      ASSERT_TRUE(merged->status().ok());
    };
    merged->SeekToFirst();
    expect_from(0);
    const InternalKeyView target = SeekKey("5", Version(random.Below(45)));
    std::size_t at = 0;
    while (at < all.size() && all[at].key.view() < target) ++at;
    merged->Seek(target);
    expect_from(at);
  }
}

TEST(MergingIteratorTest, AnErrorOfOneSourceEndsTheWalkForEver) {
  const auto entry = [](const char* key) {
    return TestEntry{{key, Trailer(Version(1), EntryKind::kPut)}, ""};
  };
  std::vector<std::unique_ptr<InternalIterator>> children;
  children.push_back(
      std::make_unique<VectorIterator>(std::vector{entry("a"), entry("c"), entry("e")}));
  children.push_back(
      std::make_unique<VectorIterator>(std::vector{entry("b")}, Status::Corruption("block")));
  const auto merged = NewMergingIterator(std::move(children));
  merged->SeekToFirst();
  EXPECT_EQ(merged->key().user_key, "a");
  merged->Next();
  EXPECT_EQ(merged->key().user_key, "b");
  merged->Next();
  EXPECT_FALSE(merged->Valid());
  EXPECT_TRUE(merged->status().IsCorruption());
  merged->SeekToFirst();
  EXPECT_FALSE(merged->Valid());
}

}  // namespace
}  // namespace bedrock::engine
