#include "tests/checker/serializability.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "common/env/random.h"

namespace bedrock::checker {
namespace {

using testing::HasSubstr;
using Fate = Transaction::Fate;
constexpr auto Append = Operation::Append;
constexpr auto Read = Operation::Read;

/// All at the same time.
Transaction T(std::string name, std::vector<Operation> operations, Fate fate = Fate::kCommitted) {
  return {.name = std::move(name),
          .fate = fate,
          .begun = 1,
          .ended = 100,
          .operations = std::move(operations)};
}
Transaction At(std::uint64_t begun, std::uint64_t ended, Transaction transaction) {
  transaction.begun = begun;
  transaction.ended = ended;
  return transaction;
}
std::string KindOf(const History& history) {
  const auto violation = FindViolation(history);
  return violation.has_value() ? violation->kind : "none";
}

TEST(CheckerTest, NothingIsWrongWithNothing) { EXPECT_EQ(KindOf({}), "none"); }

TEST(CheckerTest, ASerialHistoryIsRight) {
  EXPECT_EQ(KindOf({At(1, 2, T("a", {Append("x", 1), Append("y", 1)})),
                    At(3, 4, T("b", {Read("x", {1}), Append("x", 2), Read("x", {1, 2})})),
                    At(5, 6, T("c", {Read("x", {1, 2}), Read("y", {1})}))}),
            "none");
}

TEST(CheckerTest, ConcurrentOnesMayBeInAnyOrder) {
  EXPECT_EQ(KindOf({T("a", {Append("x", 1)}), T("b", {Append("x", 2)}), T("c", {Read("x", {2})}),
                    T("d", {Read("x", {2, 1})}), T("e", {Read("x", {})})}),
            "none");
}

TEST(CheckerTest, WritesThatInterleaveAreG0) {
  EXPECT_EQ(
      KindOf({T("a", {Append("x", 1), Append("y", 1)}), T("b", {Append("x", 2), Append("y", 2)}),
              T("c", {Read("x", {1, 2}), Read("y", {2, 1})})}),
      "G0");
}

TEST(CheckerTest, AReadOfWhatWasAbortedIsTold) {
  EXPECT_EQ(KindOf({T("a", {Append("x", 1)}, Fate::kAborted), T("b", {Read("x", {1})})}),
            "aborted read");
}

TEST(CheckerTest, AReadOfWhatNobodyWroteIsTold) {
  EXPECT_EQ(KindOf({T("b", {Read("x", {7})})}), "unwritten read");
}

TEST(CheckerTest, AnIntermediateReadIsACycle) {
  EXPECT_EQ(KindOf({T("a", {Append("x", 1), Append("x", 2)}), T("b", {Read("x", {1})})}),
            "G-single");
}

TEST(CheckerTest, InformationThatFlowsInACircleIsG1c) {
  EXPECT_EQ(
      KindOf({T("a", {Append("x", 1), Read("y", {1})}), T("b", {Append("y", 1), Read("x", {1})})}),
      "G1c");
}

TEST(CheckerTest, ALostUpdateIsTold) {
  EXPECT_EQ(KindOf({T("a", {Read("x", {}), Append("x", 1)}),
                    T("b", {Read("x", {}), Append("x", 2)}), T("c", {Read("x", {1, 2})})}),
            "G-single");
}

TEST(CheckerTest, ALostAppendIsToldByALaterRead) {
  const auto history = [](std::uint64_t begun) -> History {
    return {At(1, 2, T("a", {Append("x", 1)})), At(begun, 9, T("b", {Read("x", {})}))};
  };
  EXPECT_EQ(KindOf(history(1)), "none");
  EXPECT_EQ(KindOf(history(3)), "G-single-realtime");
}

TEST(CheckerTest, ReadSkewIsGSingle) {
  EXPECT_EQ(KindOf({T("a", {Read("x", {}), Read("y", {1})}),
                    T("b", {Append("x", 1), Append("y", 1)}), T("c", {Read("x", {1})})}),
            "G-single");
}

TEST(CheckerTest, WriteSkewIsG2) {
  const auto violation = FindViolation({T("a", {Read("x", {}), Append("y", 1)}),
                                        T("b", {Read("y", {}), Append("x", 1)}),
                                        T("c", {Read("x", {1}), Read("y", {1})})});
  ASSERT_TRUE(violation.has_value());
  EXPECT_EQ(violation->kind, "G2");
  EXPECT_EQ(violation->story,
            "a before b: it read x without 1\n"
            "b before a: it read y without 1\n");
}

TEST(CheckerTest, ALongForkIsG2) {
  EXPECT_EQ(
      KindOf({T("a", {Append("x", 1)}), T("b", {Append("y", 1)}),
              T("c", {Read("x", {1}), Read("y", {})}), T("d", {Read("x", {}), Read("y", {1})})}),
      "G2");
}

TEST(CheckerTest, TheReadOnlyAnomalyIsTold) {
  // Fekete et al. 2004: without the reader there is an order.
  History history = {At(1, 9, T("withdraw", {Read("x", {}), Read("y", {}), Append("x", 1)})),
                     At(2, 3, T("deposit", {Read("y", {}), Append("y", 2)}))};
  EXPECT_EQ(KindOf(history), "none");
  history.push_back(At(4, 5, T("report", {Read("x", {}), Read("y", {2})})));
  EXPECT_EQ(KindOf(history), "G2");
}

TEST(CheckerTest, AReadOfThePastIsOnlyWrongInRealTime) {
  EXPECT_EQ(KindOf({At(1, 2, T("a", {Append("x", 1)})), At(3, 4, T("b", {Append("x", 2)})),
                    At(5, 6, T("c", {Read("x", {1})})), At(7, 8, T("d", {Read("x", {1, 2})}))}),
            "G-single-realtime");
}

TEST(CheckerTest, ATransactionSeesItsOwnAppends) {
  EXPECT_EQ(KindOf({T("a", {Append("x", 1), Read("x", {})})}), "internal");
  EXPECT_EQ(KindOf({T("a", {Read("x", {}), Append("x", 1), Read("x", {1})})}), "none");
  EXPECT_EQ(KindOf({T("a", {Append("x", 1)}), T("b", {Read("x", {}), Read("x", {1})})}),
            "internal");
}

TEST(CheckerTest, ReadsThatOrderAppendsDifferentlyAreTold) {
  EXPECT_EQ(KindOf({T("a", {Append("x", 1)}), T("b", {Append("x", 2)}), T("c", {Read("x", {1, 2})}),
                    T("d", {Read("x", {2, 1})})}),
            "incompatible orders");
  EXPECT_EQ(KindOf({T("a", {Append("x", 1), Append("x", 2)}), T("b", {Read("x", {2, 1})})}),
            "incompatible orders");
}

TEST(CheckerTest, UnknownOnesTookEffectWhereSomebodySawThem) {
  EXPECT_EQ(KindOf({At(1, 2, T("a", {Append("x", 1)}, Fate::kUnknown)),
                    At(3, 4, T("b", {Read("x", {})})), At(5, 6, T("c", {Read("x", {1})}))}),
            "none");  // long after it was asked for
  EXPECT_EQ(KindOf({At(1, 2, T("a", {Append("x", 1), Append("y", 1)}, Fate::kUnknown)),
                    At(5, 6, T("c", {Read("x", {1})})), At(7, 8, T("d", {Read("y", {})}))}),
            "G-single-realtime");
  EXPECT_EQ(KindOf({T("a", {Append("x", 1)}, Fate::kUnknown), T("b", {Read("x", {})})}), "none");
}

TEST(CheckerTest, TheSameElementTwiceIsAMistakeOfTheTest) {
  EXPECT_EQ(KindOf({T("a", {Append("x", 1)}), T("b", {Append("x", 1)})}), "malformed history");
}

// ---- Against the definition

/// Tries every order of every set of transactions that may have taken effect.
class BruteForce {
 public:
  explicit BruteForce(const History& history) : history_(history) {}

  bool IsStrictlySerializable() const {
    std::vector<std::size_t> unknown;
    std::vector<std::size_t> chosen;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if (history_[i].fate == Fate::kCommitted) chosen.push_back(i);
      if (history_[i].fate == Fate::kUnknown) unknown.push_back(i);
    }
    for (std::size_t set = 0; set < std::size_t{1} << unknown.size(); ++set) {
      std::vector<std::size_t> order = chosen;
      for (std::size_t i = 0; i < unknown.size(); ++i) {
        if ((set >> i & 1) != 0) order.push_back(unknown[i]);
      }
      std::sort(order.begin(), order.end());
      do {
        if (KeepsTime(order) && Explains(order)) return true;
      } while (std::next_permutation(order.begin(), order.end()));
    }
    return false;
  }

 private:
  bool KeepsTime(const std::vector<std::size_t>& order) const {
    for (std::size_t i = 0; i < order.size(); ++i) {
      for (std::size_t j = i + 1; j < order.size(); ++j) {
        const Transaction& later = history_[order[j]];
        if (later.fate == Fate::kCommitted && later.ended < history_[order[i]].begun) return false;
      }
    }
    return true;
  }
  bool Explains(const std::vector<std::size_t>& order) const {
    std::map<std::string, std::vector<std::uint64_t>> lists;
    for (const std::size_t i : order) {
      for (const Operation& operation : history_[i].operations) {
        auto& list = lists[operation.key];
        if (operation.kind == Operation::Kind::kAppend)
          list.push_back(operation.element);
        else if (list != operation.seen)
          return false;
      }
    }
    return true;
  }

  const History& history_;
};

/// A few transactions, run one after another in an order drawn anew, each from a state that may be
/// an older one, and some reads changed: about every second history is wrong.
History RandomHistory(Random& random) {
  History history;
  const std::uint64_t transactions = 1 + random.Below(5);
  std::uint64_t element = 0;
  for (std::uint64_t i = 0; i < transactions; ++i) {
    Transaction transaction;
    transaction.name = std::to_string(i);
    const std::uint64_t fate = random.Below(8);
    if (fate == 0) transaction.fate = Fate::kAborted;
    if (fate == 1) transaction.fate = Fate::kUnknown;
    transaction.begun = random.Below(12);
    transaction.ended = transaction.begun + random.Below(8);
    const std::uint64_t operations = 1 + random.Below(3);
    for (std::uint64_t n = 0; n < operations; ++n) {
      const std::string key = random.Chance(1, 2) ? "x" : "y";
      transaction.operations.push_back(random.Chance(1, 2) ? Append(key, ++element)
                                                           : Read(key, {}));
    }
    history.push_back(std::move(transaction));
  }
  std::vector<std::size_t> order(history.size());
  std::iota(order.begin(), order.end(), 0u);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
  // Mostly in the order of time, else nearly nothing would be right.
  if (!random.Chance(1, 4)) {
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return history[a].begun < history[b].begun; });
  }
  using Lists = std::map<std::string, std::vector<std::uint64_t>>;
  std::vector<Lists> states(1);
  for (const std::size_t i : order) {
    Transaction& transaction = history[i];
    const bool stale = random.Chance(1, 3);
    Lists lists = stale ? states[random.Below(states.size())] : states.back();
    Lists after = states.back();
    for (Operation& operation : transaction.operations) {
      if (operation.kind == Operation::Kind::kAppend) {
        lists[operation.key].push_back(operation.element);
        after[operation.key].push_back(operation.element);
      } else {
        operation.seen = lists[operation.key];
        if (random.Chance(1, 10) && !operation.seen.empty()) operation.seen.pop_back();
      }
    }
    const bool takes_effect =
        transaction.fate == Fate::kCommitted || random.Chance(1, 2) || random.Chance(1, 10);
    if (takes_effect) states.push_back(after);
  }
  return history;
}

TEST(CheckerTest, AgreesWithTryingEveryOrder) {
  int right = 0;
  int wrong = 0;
  for (std::uint64_t seed = 0; seed < 40'000; ++seed) {
    Random random(seed);
    const History history = RandomHistory(random);
    const auto violation = FindViolation(history);
    const bool expected = BruteForce(history).IsStrictlySerializable();
    ++(expected ? right : wrong);
    ASSERT_EQ(!violation.has_value(), expected)
        << "seed " << seed << ": " << (violation ? violation->kind + "\n" + violation->story : "");
  }
  EXPECT_GT(right, 8000);
  EXPECT_GT(wrong, 8000);
}

// A history as long as those of the workloads, right until one read is spoilt.
TEST(CheckerTest, FindsOneWrongReadAmongThousands) {
  Random random(1);
  History history;
  std::map<std::string, std::vector<std::uint64_t>> lists;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    Transaction transaction = At(2 * i, 2 * i + 9, T("t" + std::to_string(i), {}));
    for (int n = 0; n < 3; ++n) {
      const std::string key = "k" + std::to_string(i / 300) + std::to_string(random.Below(5));
      if (random.Chance(1, 2)) {
        lists[key].push_back(3 * i + static_cast<std::uint64_t>(n));
        transaction.operations.push_back(Append(key, lists[key].back()));
      } else {
        transaction.operations.push_back(Read(key, lists[key]));
      }
    }
    history.push_back(std::move(transaction));
  }
  EXPECT_EQ(KindOf(history), "none");
  for (Operation& operation : history[2500].operations) {
    if (operation.kind == Operation::Kind::kRead && operation.seen.size() > 3)
      operation.seen.resize(operation.seen.size() - 3);
  }
  EXPECT_NE(KindOf(history), "none");
}

}  // namespace
}  // namespace bedrock::checker
