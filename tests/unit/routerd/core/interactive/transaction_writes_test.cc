#include "routerd/core/interactive/transaction_writes.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/env/random.h"

namespace bedrock::router {
namespace {

using proto::Operation;

/// Every key of one letter, each by itself; nullopt: says nothing; "": deleted.
using Letters = std::map<std::string, std::optional<std::string>>;

Letters Untouched() {
  Letters letters;
  for (char letter = 'a'; letter <= 'h'; ++letter) letters[std::string(1, letter)] = std::nullopt;
  return letters;
}

void Apply(const Operation& operation, Letters* letters) {
  for (auto& [key, state] : *letters) {
    switch (operation.kind) {
      case Operation::Kind::kPut:
        if (key == operation.key) state = std::string(operation.value);
        break;
      case Operation::Kind::kDelete:
        if (key == operation.key) state = "";
        break;
      case Operation::Kind::kDeleteRange:
        if (key >= operation.key && (operation.value.empty() || key < operation.value)) state = "";
        break;
      default:
        FAIL() << "no write";
    }
  }
}

std::string Letter(Random& random) {
  return std::string(1, static_cast<char>('a' + random.Below(8)));
}

class TransactionWritesModel : public testing::TestWithParam<std::uint64_t> {};

TEST_P(TransactionWritesModel, SaysTheSameAsItsWritesOneAfterTheOther) {
  Random random(GetParam());
  TransactionWrites writes;
  Letters model = Untouched();
  for (int step = 0; step < 60; ++step) {
    const std::string key = Letter(random);
    const std::string end =
        random.Chance(1, 4) ? "" : key + (random.Chance(1, 2) ? "" : "x") + Letter(random);
    Operation operation;
    operation.key = key;
    const std::string value = "v" + std::to_string(step);
    switch (random.Below(4)) {
      case 0:
      case 1:
        operation.kind = Operation::Kind::kPut;
        operation.value = value;
        break;
      case 2:
        operation.kind = Operation::Kind::kDelete;
        break;
      default:
        operation.kind = Operation::Kind::kDeleteRange;
        operation.value = end;
    }
    writes.Apply(operation, {});
    Apply(operation, &model);

    for (const auto& [letter, state] : model) {
      const auto known = writes.Find(letter);
      ASSERT_EQ(known.written, state.has_value()) << letter;
      if (state) {
        ASSERT_EQ(known.value == nullptr ? "" : *known.value, *state);
      }
      std::vector<Operation> of_key;
      writes.AppendKey(letter, &of_key);
      ASSERT_EQ(of_key.size(), state ? 1U : 0U);
    }
    // The operations of a range say what its keys are, and nothing of others.
    const std::string from = Letter(random);
    const std::string to = random.Chance(1, 3) ? "" : from + Letter(random);
    std::vector<Operation> operations;
    writes.AppendRange(from, to, &operations);
    Letters rebuilt = Untouched();
    for (const Operation& one : operations) Apply(one, &rebuilt);
    const auto in = [&](const std::string& k) { return k >= from && (to.empty() || k < to); };
    for (const auto& [letter, state] : model) {
      ASSERT_EQ(rebuilt.at(letter), in(letter) ? state : std::nullopt) << letter;
    }
    // The gaps are the keys about which nothing is said.
    Letters gaps = Untouched();
    std::string last;
    writes.ForEachGap(from, to, [&](std::string_view begin, std::string_view gap_end) {
      ASSERT_LE(last, std::string(begin)) << "in order";
      ASSERT_TRUE(gap_end.empty() || begin < gap_end);
      last = gap_end;
      for (auto& [letter, state] : gaps) {
        if (letter >= begin && (gap_end.empty() || letter < gap_end)) state = "gap";
      }
    });
    for (const auto& [letter, state] : model) {
      ASSERT_EQ(gaps.at(letter).has_value(), in(letter) && !state) << letter;
    }
  }
  std::vector<Operation> all;
  writes.AppendRange({}, {}, &all);
  EXPECT_EQ(all.size(), writes.operations());
}

INSTANTIATE_TEST_SUITE_P(Seeds, TransactionWritesModel, testing::Range<std::uint64_t>(1, 101));

TEST(TransactionWritesTest, BytesComeBackWhenWritesAreCovered) {
  TransactionWrites writes;
  EXPECT_TRUE(writes.empty());
  writes.Put("a", std::string(1000, 'v'));
  writes.Put("b", std::string(1000, 'v'));
  EXPECT_GT(writes.bytes(), 2000U);
  writes.Put("a", "");
  EXPECT_LT(writes.bytes(), 1200U);
  writes.DeleteRange("", "");
  EXPECT_EQ(writes.bytes(), kBytesOfWrite);
  EXPECT_EQ(writes.operations(), 1U);
}

TEST(TransactionWritesTest, RangesThatTouchBecomeOne) {
  TransactionWrites writes;
  writes.DeleteRange("a", "c");
  writes.DeleteRange("e", "g");
  EXPECT_EQ(writes.operations(), 2U);
  writes.DeleteRange("c", "e");
  EXPECT_EQ(writes.operations(), 1U);
  EXPECT_TRUE(writes.Find("f").written);
  EXPECT_FALSE(writes.Find("g").written);
}

}  // namespace
}  // namespace bedrock::router
