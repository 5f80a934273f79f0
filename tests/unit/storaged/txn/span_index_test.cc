#include "storaged/txn/span_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "common/env/random.h"

namespace bedrock::txn {
namespace {

LockSpan RandomSpan(Random& random, std::list<std::string>& names) {
  const auto name = [&](std::uint64_t i) -> std::string_view {
    names.push_back(std::to_string(1000 + i));
    return names.back();
  };
  const std::uint64_t begin = random.Below(200);
  switch (random.Below(4)) {
    case 0:
      return LockSpan::OfKey(name(begin));
    case 1:
      if (random.Chance(1, 10)) return LockSpan::OfRange(name(begin), "");
      [[fallthrough]];
    default:
      return LockSpan::OfRange(name(begin), name(begin + 1 + random.Below(40)));
  }
}

std::vector<std::uint64_t> Found(const SpanIndex& index, const LockSpan& span) {
  std::vector<std::uint64_t> found;
  EXPECT_TRUE(index.VisitOverlapping(span, [&](const SpanIndex::Entry& entry) {
    found.push_back(entry.number());
    return true;
  }));
  return found;
}

TEST(SpanIndexTest, FindsWhatALookAtAllFinds) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Random random(seed);
    std::list<std::string> names;
    SpanIndex index;
    std::vector<std::unique_ptr<SpanIndex::Entry>> entries;
    for (std::uint64_t step = 1; step < 400; ++step) {
      if (!entries.empty() && random.Chance(2, 5)) {
        const std::size_t i = random.Below(entries.size());
        index.Erase(*entries[i]);
        entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        entries.push_back(std::make_unique<SpanIndex::Entry>(RandomSpan(random, names), step));
        index.Insert(*entries.back());
      }
      ASSERT_EQ(index.size(), entries.size());
      ASSERT_EQ(index.empty(), entries.empty());
      const LockSpan asked = RandomSpan(random, names);
      std::vector<const SpanIndex::Entry*> expected;
      for (const auto& entry : entries) {
        if (entry->span().Overlaps(asked)) expected.push_back(entry.get());
      }
      std::sort(expected.begin(), expected.end(), [](const auto* a, const auto* b) {
        return std::pair(a->span().begin(), a->number()) <
               std::pair(b->span().begin(), b->number());
      });
      std::vector<std::uint64_t> numbers;
      for (const auto* entry : expected) numbers.push_back(entry->number());
      ASSERT_EQ(Found(index, asked), numbers) << "seed " << seed << " step " << step;
    }
  }
}

TEST(SpanIndexTest, AVisitEndsWhereItIsTold) {
  SpanIndex index;
  SpanIndex::Entry a(LockSpan::OfKey("a"), 1);
  SpanIndex::Entry b(LockSpan::OfKey("b"), 2);
  index.Insert(a);
  index.Insert(b);
  int visits = 0;
  EXPECT_FALSE(index.VisitOverlapping(LockSpan::OfRange("a", ""), [&](const auto& /*entry*/) {
    ++visits;
    return false;
  }));
  EXPECT_EQ(visits, 1);
}

// Spans that are nested and all begin alike, the worst for a tree ordered by begins: a look for
// what is behind nearly all of them still visits few.
TEST(SpanIndexTest, DoesNotLookAtWhatEndsBefore) {
  SpanIndex index;
  std::vector<std::unique_ptr<SpanIndex::Entry>> entries;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    const std::string end = std::to_string(1'000'000 + i);
    entries.push_back(std::make_unique<SpanIndex::Entry>(LockSpan::OfRange("0", end), i + 1));
    index.Insert(*entries.back());
  }
  for (int round = 0; round < 10'000; ++round)
    ASSERT_EQ(Found(index, LockSpan::OfKey("1099998")).size(), 1u);
}

}  // namespace
}  // namespace bedrock::txn
