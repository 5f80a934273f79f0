#include "raftd/core/log_view.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "common/env/random.h"
#include "raftd/core/write_queue.h"
#include "tests/unit/raftd/core/lone_node.h"

namespace bedrock::raft {
namespace {

// The same log as a plain list; what each index last was written by, and what is done.
struct NaiveLog {
  std::uint64_t prev = 0;
  std::uint64_t prev_term = 0;
  std::vector<Entry> entries;
  std::vector<std::uint64_t> writes;
  std::uint64_t done = 0;

  std::uint64_t last() const { return prev + entries.size(); }
  std::optional<Term> TermAt(std::uint64_t index) const {
    if (index == prev) return Term(prev_term);
    if (index < prev || index > last()) return std::nullopt;
    return entries[index - prev - 1].term;
  }
  std::uint64_t Durable() const {
    std::uint64_t index = prev;
    while (index < last() && writes[index - prev] <= done) ++index;
    return index;
  }
  std::optional<LogPosition> LastAtMost(std::uint64_t bound, std::uint64_t term) const {
    for (std::uint64_t i = std::min(bound, last()) + 1; i-- > prev;) {
      if (TermAt(i)->value() <= term) return LogPosition{*TermAt(i), LogIndex(i)};
      if (i == 0) break;
    }
    return std::nullopt;
  }
};

TEST(LogViewTest, AgreesWithAPlainListUnderRandomChanges) {
  Random random(1);
  for (int round = 0; round < 60; ++round) {
    LogView log(LogOfTerms({}, 0), {.bytes_max = 64});
    NaiveLog naive;
    std::uint64_t next_write = 1;
    for (int step = 0; step < 300; ++step) {
      switch (random.Below(6)) {
        case 0:
        case 1:
        case 2: {
          const std::uint64_t term = naive.TermAt(naive.last())->value() + random.Below(5) / 4 +
                                     (naive.last() == 0 ? 1 : 0);
          const std::string payload(random.Below(9), 'x');
          const Entry entry = MakeEntry(term, naive.last() + 1, payload);
          log.Append(entry, WriteSeq(next_write));
          naive.entries.push_back(entry);
          naive.writes.push_back(next_write);
          if (random.Chance(1, 2)) ++next_write;
          break;
        }
        case 3:
          if (naive.last() > naive.prev && random.Chance(1, 3)) {
            const std::uint64_t from = random.Between(naive.prev + 1, naive.last());
            log.CutFrom(LogIndex(from));
            naive.entries.resize(from - naive.prev - 1);
            naive.writes.resize(from - naive.prev - 1);
          }
          break;
        case 4:
          naive.done = random.Between(naive.done, next_write - 1);
          log.Complete(WriteSeq(naive.done));
          break;
        default:
          if (random.Chance(1, 4)) {
            const std::uint64_t to = random.Between(naive.prev, naive.Durable());
            naive.prev_term = naive.TermAt(to)->value();
            const auto count = static_cast<std::ptrdiff_t>(to - naive.prev);
            naive.entries.erase(naive.entries.begin(), naive.entries.begin() + count);
            naive.writes.erase(naive.writes.begin(), naive.writes.begin() + count);
            naive.prev = to;
            log.Compact(LogIndex(to));
          } else {
            log.Evict(LogIndex(naive.Durable()));
          }
      }
      ASSERT_EQ(log.prev_index(), LogIndex(naive.prev));
      ASSERT_EQ(log.last_index(), LogIndex(naive.last()));
      ASSERT_EQ(log.last_term(), *naive.TermAt(naive.last()));
      ASSERT_EQ(log.durable_index(), LogIndex(naive.Durable()));
      for (std::uint64_t i = 0; i <= naive.last() + 2; ++i) {
        ASSERT_EQ(log.TermAt(LogIndex(i)), naive.TermAt(i)) << i;
      }
      const std::uint64_t bound = random.Below(naive.last() + 3);
      const std::uint64_t term = random.Below(log.last_term().value() + 2);
      if (bound >= naive.prev) {
        ASSERT_EQ(log.LastAtMost(LogIndex(bound), Term(term)), naive.LastAtMost(bound, term));
      }
      // Whatever is in memory is right, and what is not durable is in memory.
      ASSERT_LE(log.cache_first(), LogIndex(naive.Durable() + 1));
      if (log.cache_first() <= log.last_index()) {
        const std::vector<Entry> cached =
            log.Slice(log.cache_first(), log.last_index(), 1 << 20, 1 << 20);
        ASSERT_TRUE(std::equal(cached.rbegin(), cached.rend(), naive.entries.rbegin()));
        std::size_t bytes = 0;
        for (const Entry& entry : cached) bytes += entry.payload.size();
        ASSERT_EQ(log.cache_bytes(), bytes);
      }
    }
  }
}

TEST(LogViewTest, EvictionKeepsToItsBoundAndSparesWhatIsStillNeeded) {
  LogView log(LogOfTerms({}, 0), {.bytes_max = 10});
  for (std::uint64_t i = 1; i <= 10; ++i) log.Append(MakeEntry(1, i, "12345"), WriteSeq(i));
  log.Evict(LogIndex(10));
  EXPECT_EQ(log.cache_first(), LogIndex(1));  // Nothing is durable.
  log.Complete(WriteSeq(10));
  log.Evict(LogIndex(4));
  EXPECT_EQ(log.cache_first(), LogIndex(5));
  log.Evict(LogIndex(10));
  EXPECT_EQ(log.cache_bytes(), 10U);
  EXPECT_EQ(log.cache_first(), LogIndex(9));
}

TEST(LogViewTest, ManySmallEntriesAreEvictedByTheirNumber) {
  LogView log(LogOfTerms({}, 0), {.bytes_max = 1000, .entries_max = 3});
  for (std::uint64_t i = 1; i <= 10; ++i) log.Append(MakeEntry(1, i, ""), WriteSeq(i));
  log.Complete(WriteSeq(10));
  log.Evict(LogIndex(6));
  EXPECT_EQ(log.cache_first(), LogIndex(7));  // The rest is still needed.
  log.Evict(LogIndex(10));
  EXPECT_EQ(log.cache_first(), LogIndex(8));
}

TEST(LogViewTest, ADamagedLogEndsBeforeTheDamage) {
  Recovered recovered = LogOfTerms({1, 1, 2, 2, 3}, 3);
  recovered.health.damaged = IndexRange{LogIndex(4), LogIndex(4)};
  const LogView log(recovered, {.bytes_max = 1});
  EXPECT_EQ(log.last_index(), LogIndex(3));
  EXPECT_EQ(log.last_term(), Term(2));
  EXPECT_EQ(log.TermAt(LogIndex(4)), std::nullopt);
}

TEST(LogViewTest, DamageThatReachesBelowTheFirstEntryLeavesNothing) {
  Recovered recovered = LogOfTerms({}, 3);
  recovered.prev_index = LogIndex(4);
  recovered.prev_term = Term(2);
  recovered.last_index = LogIndex(6);
  recovered.terms = {{LogIndex(5), Term(3)}};
  recovered.health.damaged = IndexRange{LogIndex(2), LogIndex(5)};
  const LogView log(recovered, {.bytes_max = 1});
  EXPECT_EQ(log.last_index(), LogIndex(4));
  EXPECT_EQ(log.last_term(), Term(2));
}

TEST(WriteQueueTest, NumbersTheWriteBeforeItIsMade) {
  LogView log(LogOfTerms({}, 0), {.bytes_max = 1});
  WriteQueue writes{LogIndex()};
  EXPECT_EQ(writes.covering(), WriteSeq(0));
  writes.SetVote({Term(1), NodeId(2)});
  EXPECT_EQ(writes.covering(), WriteSeq(1));
  const std::optional<Write> write = writes.Take(log, LogIndex());
  ASSERT_TRUE(write);
  EXPECT_EQ(write->seq, WriteSeq(1));
  EXPECT_EQ(writes.covering(), WriteSeq(1));
  EXPECT_FALSE(writes.Take(log, LogIndex()));
}

TEST(WriteQueueTest, OfTwoVotesBeforeAWriteOnlyTheLastIsWritten) {
  LogView log(LogOfTerms({}, 0), {.bytes_max = 1});
  WriteQueue writes{LogIndex()};
  writes.SetVote({Term(1), NodeId(2)});
  writes.SetVote({Term(2), NodeId()});
  EXPECT_EQ(writes.Take(log, LogIndex())->vote, (Vote{Term(2), NodeId()}));
}

}  // namespace
}  // namespace bedrock::raft
