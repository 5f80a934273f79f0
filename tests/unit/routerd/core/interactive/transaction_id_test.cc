#include "routerd/core/interactive/transaction_id.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "common/env/random.h"

namespace bedrock::router {
namespace {

TEST(TransactionIdTest, NamesNodeLifeAndNumber) {
  const TransactionId id{NodeId(3), BootId(0xC0FFEE00C0FFEE), 42};
  EXPECT_EQ(FormatTransactionId(id), "n3-00c0ffee00c0ffee-42");
  EXPECT_EQ(ParseTransactionId("n3-00c0ffee00c0ffee-42"), id);
}

TEST(TransactionIdTest, WhatIsReadBackIsWhatWasWritten) {
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    const TransactionId id{NodeId(random.Between(1, 1'000'000)), BootId(random.Next()),
                           random.Next() >> random.Below(64)};
    EXPECT_EQ(ParseTransactionId(FormatTransactionId(id)), id);
  }
}

TEST(TransactionIdTest, NothingElseIsAnId) {
  for (const char* text :
       {"", "-", "--", "n1", "n1-", "n1-00000000000000aa", "n1-00000000000000aa-",
        "1-00000000000000aa-1", "n01-00000000000000aa-1", "n1-00000000000000AA-1",
        "n1-0000000000000aa-1", "n1-000000000000000aa-1", "n1-00000000000000aa-01",
        "n1-00000000000000aa-+1", "n1-00000000000000aa-1 ", "n1-00000000000000aa--1",
        "n1-00000000000000ag-1", "n1-00000000000000aa-18446744073709551616"}) {
    EXPECT_EQ(ParseTransactionId(text), std::nullopt) << text;
  }
}

TEST(TransactionIdTest, AChangedIdIsAnotherOneOrNone) {
  Random random(2);
  const TransactionId id{NodeId(3), BootId(0xC0FFEE00C0FFEE), 42};
  const std::string text = FormatTransactionId(id);
  for (int i = 0; i < 20'000; ++i) {
    std::string changed = text;
    for (std::uint64_t n = random.Between(1, 3); n > 0; --n) {
      changed[random.Below(changed.size())] = static_cast<char>(random.Below(256));
    }
    const auto parsed = ParseTransactionId(changed);
    EXPECT_TRUE(!parsed || FormatTransactionId(*parsed) == changed);
  }
}

}  // namespace
}  // namespace bedrock::router
