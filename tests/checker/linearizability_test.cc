#include "tests/checker/linearizability.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "common/env/random.h"

namespace bedrock::checker {
namespace {

using Kind = RegisterOperation::Kind;
using Fate = RegisterOperation::Fate;
using History = std::vector<RegisterOperation>;

RegisterOperation Read(std::uint64_t begun, std::uint64_t ended, std::uint64_t value) {
  return {"reader", Kind::kRead, Fate::kDone, value, 0, begun, ended};
}
RegisterOperation Write(std::uint64_t begun, std::uint64_t ended, std::uint64_t value,
                        Fate fate = Fate::kDone) {
  return {"writer", Kind::kWrite, fate, value, 0, begun, ended};
}
RegisterOperation Set(std::uint64_t begun, std::uint64_t ended, std::uint64_t expected,
                      std::uint64_t value, Fate fate = Fate::kDone) {
  return {"setter", Kind::kCompareAndSet, fate, value, expected, begun, ended};
}

bool Linearizable(const History& history) {
  const LinearizabilityVerdict verdict = CheckLinearizable(history);
  EXPECT_FALSE(verdict.undecided);
  return !verdict.violation.has_value();
}

TEST(LinearizabilityTest, NothingIsFine) { EXPECT_TRUE(Linearizable({})); }

TEST(LinearizabilityTest, AReadSeesTheLastWriteThatEnded) {
  EXPECT_TRUE(Linearizable({Write(1, 2, 7), Read(3, 4, 7)}));
  EXPECT_FALSE(Linearizable({Write(1, 2, 7), Read(3, 4, 0)}));
  EXPECT_FALSE(Linearizable({Write(1, 2, 7), Write(3, 4, 8), Read(5, 6, 7)}));
}

TEST(LinearizabilityTest, AReadDuringAWriteSeesEither) {
  EXPECT_TRUE(Linearizable({Write(1, 4, 7), Read(2, 3, 7)}));
  EXPECT_TRUE(Linearizable({Write(1, 4, 7), Read(2, 3, 0)}));
  EXPECT_FALSE(Linearizable({Write(1, 4, 7), Read(2, 3, 9)}));
}

TEST(LinearizabilityTest, WhatWasSeenStaysSeen) {
  EXPECT_FALSE(Linearizable({Write(1, 9, 7), Read(2, 3, 7), Read(4, 5, 0)}));
  EXPECT_TRUE(Linearizable({Write(1, 9, 7), Read(2, 3, 0), Read(4, 5, 7)}));
}

TEST(LinearizabilityTest, AnEndAndABeginningAtTheSameMomentOverlap) {
  EXPECT_TRUE(Linearizable({Write(1, 2, 7), Read(2, 3, 0)}));
}

TEST(LinearizabilityTest, ADeleteWritesNothing) {
  EXPECT_TRUE(Linearizable({Write(1, 2, 7), Write(3, 4, 0), Read(5, 6, 0)}));
  EXPECT_FALSE(Linearizable({Write(1, 2, 7), Write(3, 4, 0), Read(5, 6, 7)}));
}

TEST(LinearizabilityTest, OfTwoSetsFromOneValueOneIsRefused) {
  EXPECT_TRUE(Linearizable({Set(1, 4, 0, 7), Set(1, 4, 0, 8, Fate::kRefused), Read(5, 6, 7)}));
  EXPECT_FALSE(Linearizable({Set(1, 4, 0, 7), Set(1, 4, 0, 8)}));
  EXPECT_FALSE(Linearizable({Set(1, 2, 0, 7, Fate::kRefused)}));
}

TEST(LinearizabilityTest, AnUnknownWriteMayHappenAtAnyLaterTimeOrNever) {
  EXPECT_TRUE(Linearizable({Write(1, 0, 7, Fate::kUnknown), Read(5, 6, 0), Read(7, 8, 7)}));
  EXPECT_TRUE(Linearizable({Write(1, 0, 7, Fate::kUnknown), Read(5, 6, 0)}));
  EXPECT_FALSE(
      Linearizable({Write(1, 0, 7, Fate::kUnknown), Read(2, 3, 7), Write(4, 5, 8), Read(6, 7, 7)}))
      << "it happened, and does so once";
  EXPECT_FALSE(Linearizable({Write(3, 0, 7, Fate::kUnknown), Read(1, 2, 7)})) << "not earlier";
}

TEST(LinearizabilityTest, AnUnknownSetChangesWhatItExpectsOrNothing) {
  EXPECT_TRUE(Linearizable(
      {Write(1, 2, 5), Set(3, 0, 5, 7, Fate::kUnknown), Read(4, 5, 7), Write(6, 7, 9)}));
  EXPECT_FALSE(Linearizable(
      {Write(1, 2, 5), Set(3, 0, 6, 7, Fate::kUnknown), Read(4, 5, 7), Write(6, 7, 9)}));
}

TEST(LinearizabilityTest, ARefusedWriteLeavesNoTrace) {
  EXPECT_FALSE(Linearizable({Write(1, 2, 7, Fate::kRefused), Read(3, 4, 7)}));
}

TEST(LinearizabilityTest, AViolationNamesWhatDoesNotFit) {
  const auto verdict = CheckLinearizable({Write(1, 2, 7), Read(3, 4, 0)});
  ASSERT_TRUE(verdict.violation.has_value());
  EXPECT_EQ(verdict.violation->kind, "not linearizable");
  EXPECT_NE(verdict.violation->story.find("read 0"), std::string::npos) << verdict.violation->story;
}

TEST(LinearizabilityTest, ASearchThatIsGivenUpSaysSo) {
  History history;
  for (std::uint64_t i = 1; i <= 12; ++i) history.push_back(Write(1, 100, i));
  history.push_back(Read(200, 201, 99));
  EXPECT_TRUE(CheckLinearizable(history, 0, 50).undecided);
  EXPECT_TRUE(CheckLinearizable(history).violation.has_value());
}

/// Whether any order of any choice of the unknown ones explains it: what the definition says.
bool ByTheDefinition(const History& history) {
  std::vector<std::size_t> order(history.size());
  std::iota(order.begin(), order.end(), 0);
  do {
    std::uint64_t state = 0;
    bool fits = true;
    for (std::size_t i = 0; i < order.size() && fits; ++i) {
      const RegisterOperation& now = history[order[i]];
      for (std::size_t j = i + 1; j < order.size(); ++j) {
        const RegisterOperation& later = history[order[j]];
        if (later.fate != Fate::kUnknown && later.ended < now.begun) fits = false;
      }
      const bool equal = state == now.expected;
      switch (now.kind) {
        case Kind::kRead:
          fits = fits && (now.fate != Fate::kDone || state == now.value);
          break;
        case Kind::kWrite:
          if (now.fate != Fate::kRefused) state = now.value;
          break;
        case Kind::kCompareAndSet:
          if (now.fate != Fate::kUnknown) fits = fits && equal == (now.fate == Fate::kDone);
          if (equal && now.fate != Fate::kRefused) state = now.value;
          break;
      }
    }
    // An unknown one that never happens is one that happens after all others: nobody sees it.
    if (fits) return true;
  } while (std::next_permutation(order.begin(), order.end()));
  return false;
}

TEST(LinearizabilityTest, SmallHistoriesAreJudgedAsTheDefinitionSays) {
  std::uint64_t fine = 0;
  std::uint64_t broken = 0;
  for (std::uint64_t seed = 1; seed <= 4'000; ++seed) {
    Random random(seed);
    History history;
    const std::uint64_t count = random.Between(1, 6);
    for (std::uint64_t i = 0; i < count; ++i) {
      RegisterOperation operation;
      operation.name = "operation " + std::to_string(i);
      operation.kind = static_cast<Kind>(random.Below(3));
      operation.begun = random.Between(1, 12);
      operation.ended = operation.begun + random.Below(6);
      operation.value = random.Below(3);
      operation.expected = random.Below(3);
      if (operation.kind != Kind::kRead) operation.fate = static_cast<Fate>(random.Below(3));
      history.push_back(operation);
    }
    const bool expected = ByTheDefinition(history);
    ++(expected ? fine : broken);
    EXPECT_EQ(Linearizable(history), expected) << "seed " << seed;
  }
  EXPECT_GT(fine, 500u);
  EXPECT_GT(broken, 500u);
}

/// A register that several clients use at once, each operation at one moment; then one value that
/// nobody could have read.
TEST(LinearizabilityTest, LongHistoriesOfARealRegisterPassAndABrokenReadDoesNot) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Random random(seed);
    History history;
    std::uint64_t state = 0;
    std::uint64_t next_value = 0;
    std::vector<std::uint64_t> moments(600);
    for (std::size_t i = 0; i < moments.size(); ++i) moments[i] = 10 * (i + 1);
    for (const std::uint64_t moment : moments) {
      RegisterOperation operation;
      operation.begun = moment - random.Between(0, 60) % moment;
      operation.ended = moment + random.Below(60);
      operation.name = "client";
      if (random.Chance(1, 2)) {
        operation.value = state;
      } else {
        operation.kind = Kind::kWrite;
        operation.value = ++next_value;
        if (random.Chance(1, 10)) operation.fate = Fate::kUnknown;
        const bool happens = operation.fate == Fate::kDone || random.Chance(1, 2);
        if (happens) state = operation.value;
      }
      history.push_back(operation);
    }
    EXPECT_TRUE(Linearizable(history)) << "seed " << seed;
    history.push_back(Write(20'000, 20'001, ++next_value));
    history.push_back(Read(20'002, 20'003, 0));
    EXPECT_FALSE(Linearizable(history)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace bedrock::checker
