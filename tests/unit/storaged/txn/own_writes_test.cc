#include "storaged/txn/own_writes.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/env/random.h"
#include "storaged/engine/change_reader.h"

namespace bedrock::txn {
namespace {

using State = OwnWrites::State;

constexpr char kFirst = 'a';
constexpr int kKeys = 12;

std::string KeyOf(std::uint64_t i) { return std::string(1, static_cast<char>(kFirst + i)); }

/// Of each of a few keys what was done to it last.
struct Model {
  std::optional<std::optional<std::string>> keys[kKeys];  ///< Untouched; deleted; or put.
};

void ExpectSame(const OwnWrites& writes, const Model& model) {
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    const std::string key = KeyOf(i);
    const auto& expected = model.keys[i];
    const State state = !expected.has_value()   ? State::kUntouched
                        : expected->has_value() ? State::kPut
                                                : State::kDeleted;
    ASSERT_EQ(writes.StateOf(key), state) << key;
    if (state == State::kPut) {
      ASSERT_EQ(writes.ValueOf(key), **expected);
    }
    const auto at = writes.index().find(key);
    if (at != writes.index().end()) {
      ASSERT_EQ(at->second.deleted, state == State::kDeleted);
    }
  }
}

// Random writes, with savepoints taken and gone back to, against an array.
TEST(OwnWritesTest, AgreesWithAModel) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    OwnWrites writes;
    Model model;
    std::vector<std::pair<std::size_t, Model>> savepoints;
    for (int step = 0; step < 60; ++step) {
      const std::uint64_t i = random.Below(kKeys);
      switch (random.Below(8)) {
        case 0:
        case 1:
        case 2: {
          const std::string value = "v" + std::to_string(step);
          writes.Put(KeyOf(i), value);
          model.keys[i] = std::optional<std::string>(value);
          break;
        }
        case 3:
          writes.Delete(KeyOf(i));
          model.keys[i] = std::optional<std::string>();
          break;
        case 4:
        case 5: {
          const bool unbounded = random.Chance(1, 6);
          const std::uint64_t end = unbounded ? kKeys : random.Between(i + 1, kKeys);
          writes.DeleteRange(KeyOf(i), unbounded ? "" : KeyOf(end));
          for (std::uint64_t k = i; k < end; ++k) model.keys[k] = std::optional<std::string>();
          break;
        }
        case 6:
          savepoints.emplace_back(writes.batch().count(), model);
          break;
        default:
          if (savepoints.empty()) break;
          writes.TruncateTo(savepoints.back().first);
          model = savepoints.back().second;
          savepoints.pop_back();
      }
      ASSERT_NO_FATAL_FAILURE(ExpectSame(writes, model)) << "seed " << seed << " step " << step;
    }
    // The batch alone says the same.
    OwnWrites again;
    engine::ChangeReader reader(writes.batch().encoded());
    while (reader.Next()) {
      using Kind = engine::ChangeReader::Kind;
      if (reader.kind() == Kind::kPut) again.Put(reader.key(), reader.value());
      if (reader.kind() == Kind::kDelete) again.Delete(reader.key());
      if (reader.kind() == Kind::kDeleteRange) again.DeleteRange(reader.key(), reader.value());
    }
    ASSERT_NO_FATAL_FAILURE(ExpectSame(again, model));
  }
}

TEST(OwnWritesTest, ARangeIsGivenWhereItCoversAKey) {
  OwnWrites writes;
  writes.DeleteRange("c", "e");
  writes.DeleteRange("d", "g");
  writes.DeleteRange("x", "");
  std::string_view begin;
  std::string_view end;
  EXPECT_FALSE(writes.IsInDeletedRange("b", &begin, &end));
  ASSERT_TRUE(writes.IsInDeletedRange("d", &begin, &end));
  EXPECT_EQ(begin, "c");
  EXPECT_EQ(end, "g");
  EXPECT_FALSE(writes.IsInDeletedRange("g", &begin, &end));
  ASSERT_TRUE(writes.IsInDeletedRange("zzz", &begin, &end));
  EXPECT_EQ(end, "");
}

}  // namespace
}  // namespace bedrock::txn
