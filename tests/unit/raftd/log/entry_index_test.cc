#include "raftd/log/entry_index.h"

#include <gtest/gtest.h>

#include <deque>

#include "common/env/random.h"

namespace bedrock::raft {
namespace {

/// The same as a plain deque.
struct IndexModel {
  std::uint64_t prev_index = 0;
  Term prev_term;
  std::deque<std::pair<Term, Location>> entries;

  std::uint64_t last() const { return prev_index + entries.size(); }
  Term TermAt(std::uint64_t i) const {
    return i == prev_index ? prev_term : entries[i - prev_index - 1].first;
  }
};

void ExpectSame(const EntryIndex& index, const IndexModel& model) {
  ASSERT_EQ(index.prev_index(), LogIndex(model.prev_index));
  ASSERT_EQ(index.last_index(), LogIndex(model.last()));
  ASSERT_EQ(index.last_term(), model.TermAt(model.last()));
  for (std::uint64_t i = model.prev_index; i <= model.last(); ++i)
    ASSERT_EQ(index.TermAt(LogIndex(i)), model.TermAt(i)) << "entry " << i;
  for (std::uint64_t i = model.prev_index + 1; i <= model.last(); ++i)
    ASSERT_EQ(index.At(LogIndex(i)), model.entries[i - model.prev_index - 1].second);
  for (std::size_t i = 1; i < index.terms().size(); ++i) {
    ASSERT_LT(index.terms()[i - 1].first, index.terms()[i].first);
    ASSERT_LT(index.terms()[i - 1].term, index.terms()[i].term);
  }
  if (!index.terms().empty()) {
    ASSERT_EQ(index.terms().front().first, LogIndex(model.prev_index + 1));
  }
}

TEST(EntryIndexTest, BehavesLikeADeque) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    EntryIndex index;
    IndexModel model;
    std::uint32_t segment = 1;
    for (int step = 0; step < 120; ++step) {
      const std::uint64_t kind = random.Below(10);
      if (kind < 6) {
        const Term term = model.TermAt(model.last()) + random.Below(2);
        segment += random.Chance(1, 8) ? 1 : 0;
        const Location location{.segment = segment,
                                .unit = static_cast<std::uint32_t>(random.Between(1, 1000)),
                                .length = static_cast<std::uint32_t>(random.Below(1000))};
        index.Append(term, location);
        model.entries.emplace_back(term, location);
      } else if (kind < 7) {
        const std::uint64_t from = random.Between(model.prev_index + 1, model.last() + 1);
        index.Cut(LogIndex(from), model.TermAt(from - 1));
        model.entries.resize(from - model.prev_index - 1);
      } else if (kind < 8) {
        const std::uint64_t to = random.Between(model.prev_index, model.last());
        model.prev_term = model.TermAt(to);
        model.entries.erase(
            model.entries.begin(),
            model.entries.begin() + static_cast<std::ptrdiff_t>(to - model.prev_index));
        model.prev_index = to;
        index.Drop(LogIndex(to));
      } else if (kind < 9 && model.TermAt(model.last()) > model.prev_term) {
        const Term term(
            random.Between(model.prev_term.value(), model.TermAt(model.last()).value() - 1));
        index.LowerTerms(term);
        for (auto& [entry_term, location] : model.entries) entry_term = std::min(entry_term, term);
      } else {
        const std::uint64_t wanted = random.Below(segment + 2);
        std::uint64_t last = model.prev_index;
        for (const auto& [term, location] : model.entries) last += location.segment <= wanted;
        ASSERT_EQ(index.LastIn(wanted), LogIndex(last));
      }
      ExpectSame(index, model);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(EntryIndexTest, ACutAtOrBelowTheBeginningMovesItThere) {
  EntryIndex index(LogIndex(100), Term(5));
  index.Append(Term(6), {.segment = 3, .unit = 512, .length = 20});
  index.Cut(LogIndex(90), Term(4));
  EXPECT_EQ(index.prev_index(), LogIndex(89));
  EXPECT_EQ(index.prev_term(), Term(4));
  EXPECT_EQ(index.last_index(), LogIndex(89));
  EXPECT_TRUE(index.terms().empty());
}

TEST(EntryIndexTest, LoweringTermsNamesTheFirstEntryItChanged) {
  EntryIndex index;
  for (const std::uint64_t term : {1U, 1U, 4U, 5U, 5U}) index.Append(Term(term), {});
  EXPECT_EQ(index.LowerTerms(Term(3)), LogIndex(3));
  EXPECT_EQ(index.terms(), (std::vector<TermRun>{{LogIndex(1), Term(1)}, {LogIndex(3), Term(3)}}));
}

}  // namespace
}  // namespace bedrock::raft
