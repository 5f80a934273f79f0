#include "storaged/engine/change_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "bedrock/write_batch.h"
#include "common/env/random.h"
#include "storaged/engine/keys/internal_key.h"

namespace bedrock::engine {
namespace {

using Kind = ChangeReader::Kind;

TEST(ChangeReaderTest, GivesTheChangesInTheOrderTheyWereAdded) {
  WriteBatch batch;
  batch.Put("a", "1");
  batch.Delete("b");
  batch.DeleteRange("c", "d");
  batch.DeleteRange("e", "");
  EXPECT_EQ(batch.count(), 4u);
  ChangeReader reader(batch.encoded());
  const struct {
    Kind kind;
    std::string_view key, value;
  } wanted[] = {{Kind::kPut, "a", "1"},
                {Kind::kDelete, "b", ""},
                {Kind::kDeleteRange, "c", "d"},
                {Kind::kDeleteRange, "e", ""}};
  for (const auto& want : wanted) {
    ASSERT_TRUE(reader.Next());
    EXPECT_EQ(reader.kind(), want.kind);
    EXPECT_EQ(reader.key(), want.key);
    EXPECT_EQ(reader.value(), want.value);
  }
  EXPECT_TRUE(reader.at_end());
  EXPECT_FALSE(reader.Next());
  EXPECT_FALSE(reader.malformed());
}

TEST(ChangeReaderTest, AnEmptyRangeIsNoChange) {
  WriteBatch batch;
  batch.DeleteRange("b", "b");
  batch.DeleteRange("b", "a");
  EXPECT_TRUE(batch.empty());
  EXPECT_TRUE(batch.encoded().empty());
}

TEST(ChangeReaderTest, AClearedBatchIsEmpty) {
  WriteBatch batch;
  batch.Put("a", "1");
  batch.Clear();
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.bytes(), 0u);
}

TEST(ChangeReaderTest, ARangeThatEndsBeforeItBeginsIsMalformed) {
  ChangeReader reader(std::string_view("\3\1b\1a"));
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.malformed());
  EXPECT_TRUE(CheckChanges("\3\1b\1a").IsCorruption());
}

TEST(ChangeReaderTest, SizesBeyondTheBoundsAreInvalid) {
  const std::string fits(kKeyBytesMax, 'k');
  const std::string long_key(kKeyBytesMax + 1, 'k');
  WriteBatch batch;
  batch.Put(fits, "v");
  batch.DeleteRange("", fits);
  EXPECT_TRUE(CheckChanges(batch.encoded()).ok());
  batch.Clear();
  batch.Delete(long_key);
  EXPECT_TRUE(CheckChanges(batch.encoded()).IsInvalidArgument());
  batch.Clear();
  batch.DeleteRange("a", long_key);
  EXPECT_TRUE(CheckChanges(batch.encoded()).IsInvalidArgument());
  batch.Clear();
  batch.Put("k", std::string(kValueBytesMax + 1, 'v'));
  EXPECT_TRUE(CheckChanges(batch.encoded()).IsInvalidArgument());
}

TEST(ChangeReaderTest, AnyBytesEndTheWalkInOrder) {
  Random random(11);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes;
    for (std::uint64_t n = random.Below(12); n > 0; --n) {
      bytes.push_back(static_cast<char>(random.Chance(3, 4) ? random.Below(5) : random.Below(256)));
    }
    ChangeReader reader(bytes);
    while (reader.Next()) {
    }
    ASSERT_NE(reader.at_end(), reader.malformed());
    ASSERT_EQ(CheckChanges(bytes).ok(), !reader.malformed());
  }
}

}  // namespace
}  // namespace bedrock::engine
