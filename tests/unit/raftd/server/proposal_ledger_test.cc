#include "raftd/server/proposal_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/env/random.h"

namespace bedrock::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

proto::ReplyTo To(std::uint64_t request) {
  return {.router = "router", .request = RequestId(request)};
}

/// Terms of a log whose first entries are those given.
std::function<std::optional<Term>(LogIndex)> Terms(std::vector<std::uint64_t> terms) {
  return [terms](LogIndex index) -> std::optional<Term> {
    if (!index || index.value() > terms.size()) return std::nullopt;
    return Term(terms[index.value() - 1]);
  };
}

TEST(ProposalLedgerTest, AnEntryIsFoundByIndexAndTermUntilItIsApplied) {
  ProposalLedger ledger(10);
  ledger.Add(LogIndex(1), Term(3), To(7));
  EXPECT_EQ(ledger.Find(LogIndex(1), Term(3)), To(7));
  EXPECT_EQ(ledger.Find(LogIndex(1), Term(4)), proto::ReplyTo{});
  EXPECT_THAT(ledger.Committed(LogIndex(1), Terms({3})), IsEmpty());
  EXPECT_EQ(ledger.Find(LogIndex(1), Term(3)), To(7));
  ledger.Applied(LogIndex(1));
  EXPECT_EQ(ledger.Find(LogIndex(1), Term(3)), proto::ReplyTo{});
  EXPECT_EQ(ledger.room(), 10U);
}

TEST(ProposalLedgerTest, AnEntryIsLostWhereAnothersTermIsCommittedAtItsIndex) {
  ProposalLedger ledger(10);
  ledger.Add(LogIndex(1), Term(1), To(1));
  ledger.Add(LogIndex(2), Term(1), To(2));
  EXPECT_THAT(ledger.Committed(LogIndex(2), Terms({1, 2})), ElementsAre(To(2)));
  EXPECT_EQ(ledger.Find(LogIndex(1), Term(1)), To(1));
  EXPECT_EQ(ledger.size(), 1U);
}

TEST(ProposalLedgerTest, EntriesBehindACommittedOneOfAHigherTermAreLost) {
  ProposalLedger ledger(10);
  ledger.Add(LogIndex(2), Term(1), To(2));
  ledger.Add(LogIndex(9), Term(1), To(9));
  EXPECT_THAT(ledger.Committed(LogIndex(1), Terms({2})), ElementsAre(To(2), To(9)));
}

TEST(ProposalLedgerTest, AnOpenEntryIsNeitherLostNorForgottenByWhatIsCommittedBeforeIt) {
  ProposalLedger ledger(10);
  ledger.Add(LogIndex(5), Term(2), To(5));
  EXPECT_THAT(ledger.Committed(LogIndex(4), Terms({1, 1, 2, 2})), IsEmpty());
  ledger.Applied(LogIndex(9));
  EXPECT_EQ(ledger.Find(LogIndex(5), Term(2)), To(5));
}

TEST(ProposalLedgerTest, TheSameIndexProposedInTwoTermsIsTwoEntries) {
  ProposalLedger ledger(10);
  ledger.Add(LogIndex(1), Term(1), To(1));
  ledger.Add(LogIndex(1), Term(3), To(3));
  EXPECT_THAT(ledger.Committed(LogIndex(1), Terms({3})), ElementsAre(To(1)));
  EXPECT_EQ(ledger.Find(LogIndex(1), Term(3)), To(3));
}

TEST(ProposalLedgerTest, ARangeToldAgainChangesNothing) {
  ProposalLedger ledger(10);
  ledger.Add(LogIndex(1), Term(1), To(1));
  EXPECT_THAT(ledger.Committed(LogIndex(1), Terms({1})), IsEmpty());
  EXPECT_THAT(ledger.Committed(LogIndex(1), Terms({1})), IsEmpty());
  EXPECT_EQ(ledger.size(), 1U);
}

/// Against the plain rule: every proposal ends exactly once, as applied where the committed log
/// holds its (index, term), as lost otherwise, once the log has grown past it.
TEST(ProposalLedgerTest, EveryProposalEndsOnceAsTheCommittedLogSays) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    std::vector<std::uint64_t> log;  // terms of the committed log to be
    std::uint64_t term = 1;
    for (int i = 0; i < 60; ++i) log.push_back(term += random.Chance(1, 6) ? 1 : 0);
    ProposalLedger ledger(1000);
    std::map<std::uint64_t, std::pair<LogIndex, Term>> proposals;  // by request
    std::map<std::uint64_t, int> lost;
    std::uint64_t request = 0;
    std::uint64_t committed = 0;
    while (committed < log.size()) {
      // Entries of terms that some leader might have proposed behind what is committed.
      for (std::uint64_t n = random.Below(4); n > 0 && committed > 0; --n) {
        const LogIndex index(committed + random.Between(1, 5));
        const Term of(log[committed - 1] + random.Below(2));
        if (ledger.Find(index, of).request) continue;
        proposals[++request] = {index, of};
        ledger.Add(index, of, To(request));
      }
      committed = std::min<std::uint64_t>(committed + random.Between(1, 6), log.size());
      for (const auto& reply_to : ledger.Committed(LogIndex(committed), Terms(log))) {
        ++lost[reply_to.request.value()];
      }
      if (random.Chance(1, 2)) ledger.Applied(LogIndex(random.Between(1, committed)));
    }
    for (const auto& [id, position] : proposals) {
      if (position.first.value() > log.size()) continue;  // never decided here
      const bool holds = log[position.first.value() - 1] == position.second.value();
      ASSERT_EQ(lost[id], holds ? 0 : 1) << "seed " << seed << " request " << id;
    }
  }
}

}  // namespace
}  // namespace bedrock::raft
