#include "tests/conformance/scenarios.h"

#include <algorithm>
#include <utility>

namespace bedrock::conformance {
namespace {

using Kind = Step::Kind;
using Value = std::optional<std::string>;

constexpr Breakage kSnapshot = Breakage::kUncheckedSnapshot;
constexpr Breakage kNewest = Breakage::kUncheckedNewest;
constexpr Breakage kWriteThrough = Breakage::kWriteThrough;
constexpr Breakage kStale = Breakage::kStale;
constexpr Breakage kRefusing = Breakage::kRefusing;

// Sessions are counted from 1 here, as the literature does.
Step Begin(std::size_t t) { return {Kind::kBegin, t - 1}; }
Step BeginReadOnly(std::size_t t) {
  return {.kind = Kind::kBegin, .session = t - 1, .read_only = true};
}
Step BeginImpatient(std::size_t t) {
  return {.kind = Kind::kBegin, .session = t - 1, .lock_timeout = std::chrono::milliseconds(5)};
}
Step Get(std::size_t t, std::string key) { return {Kind::kGet, t - 1, std::move(key)}; }
Step GetForUpdate(std::size_t t, std::string key) {
  return {Kind::kGetForUpdate, t - 1, std::move(key)};
}
Step Put(std::size_t t, std::string key, std::string value) {
  return {Kind::kPut, t - 1, std::move(key), std::move(value)};
}
Step Delete(std::size_t t, std::string key) { return {Kind::kDelete, t - 1, std::move(key)}; }
Step Scan(std::size_t t, std::string begin, std::string end) {
  return {Kind::kScan, t - 1, std::move(begin), std::move(end)};
}
Step DeleteRange(std::size_t t, std::string begin, std::string end) {
  return {Kind::kDeleteRange, t - 1, std::move(begin), std::move(end)};
}
Step Commit(std::size_t t) { return {Kind::kCommit, t - 1}; }
Step Rollback(std::size_t t) { return {Kind::kRollback, t - 1}; }
Step Await(std::size_t t) { return {Kind::kAwait, t - 1}; }

bool Committed(const Trace& trace, std::size_t t) { return trace.committed[t - 1]; }
bool AllCommitted(const Trace& trace) {
  return std::find(trace.committed.begin(), trace.committed.end(), false) == trace.committed.end();
}
Value After(const Trace& trace, const std::string& key) {
  const auto at = trace.after.find(key);
  return at == trace.after.end() ? Value() : Value(at->second);
}
bool EndedWith(const Trace& trace, std::size_t t, Outcome outcome) {
  return trace.ended[t - 1] == outcome;
}

const Content kXY = {{"x", "10"}, {"y", "20"}};

void AddDirty(std::vector<Scenario>& all) {
  all.push_back({.name = "DirtyWrite",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Put(1, "x", "1"), Put(2, "x", "2"), Put(2, "y", "2"),
                           Put(1, "y", "1"), Commit(1), Commit(2)},
                 .wrong =
                     [](const Trace& trace) {
                       return After(trace, "x") != After(trace, "y") && trace.after != kXY;
                     },
                 .shown_by = {kWriteThrough}});
  all.push_back({.name = "DirtyRead",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Put(1, "x", "1"), Get(2, "x"), Get(2, "y"),
                           Put(1, "y", "1"), Commit(1), Commit(2)},
                 .wrong =
                     [](const Trace& trace) {
                       return Committed(trace, 2) && trace.value(3) == "1" &&
                              trace.value(4) == "20";
                     },
                 .shown_by = {kWriteThrough}});
  all.push_back(
      {.name = "AbortedRead",
       .before = kXY,
       .steps = {Begin(1), Begin(2), Put(1, "x", "1"), Get(2, "x"), Rollback(1), Commit(2)},
       .wrong = [](const Trace& trace) { return trace.value(3) == "1"; },
       .shown_by = {kWriteThrough}});
  all.push_back({.name = "IntermediateRead",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Put(1, "x", "1"), Get(2, "x"), Put(1, "x", "2"),
                           Commit(1), Commit(2)},
                 .wrong = [](const Trace& trace) { return trace.value(3) == "1"; },
                 .shown_by = {kWriteThrough}});
  all.push_back({.name = "CircularInformationFlow",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Put(1, "x", "1"), Put(2, "y", "2"), Get(1, "y"),
                           Get(2, "x"), Commit(1), Commit(2)},
                 .wrong =
                     [](const Trace& trace) {
                       return AllCommitted(trace) && trace.value(4) == "2" && trace.value(5) == "1";
                     },
                 .shown_by = {kWriteThrough}});
  all.push_back({.name = "RollbackLeavesNothing",
                 .before = kXY,
                 .steps = {Begin(1), Put(1, "x", "1"), Delete(1, "y"), DeleteRange(1, "y", "z"),
                           Put(1, "z", "1"), Rollback(1)},
                 .wrong = [](const Trace& trace) { return trace.after != kXY; },
                 .shown_by = {kWriteThrough}});
  all.push_back({.name = "ObservedTransactionVanishes",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Begin(3), Put(1, "x", "11"), Put(1, "y", "21"),
                           Put(2, "x", "12"), Commit(1), Get(3, "x"), Put(2, "y", "22"),
                           Get(3, "y"), Commit(2), Get(3, "y"), Get(3, "x"), Commit(3)},
                 .wrong =
                     [](const Trace& trace) {
                       if (!Committed(trace, 3)) return false;
                       const Value x = trace.value(7);
                       const Value y = trace.value(9);
                       const bool one_state = (x == "10" && y == "20") ||
                                              (x == "11" && y == "21") || (x == "12" && y == "22");
                       return !one_state || trace.value(11) != y || trace.value(12) != x;
                     },
                 .shown_by = {kNewest}});
}

void AddUpdates(std::vector<Scenario>& all) {
  all.push_back({.name = "LostUpdate",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Get(1, "x"), Get(2, "x"), Put(1, "x", "11"),
                           Put(2, "x", "11"), Commit(1), Commit(2)},
                 .wrong = AllCommitted,
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale}});
  all.push_back(
      {.name = "LostUpdateForUpdate",
       .before = kXY,
       .steps = {Begin(1), Begin(2), GetForUpdate(1, "x"), GetForUpdate(2, "x"), Put(1, "x", "11"),
                 Commit(1), Put(2, "x", "12"), Commit(2)},
       .wrong = [](const Trace& trace) { return AllCommitted(trace) && trace.value(3) != "11"; },
       .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale}});
  all.push_back({.name = "LostDelete",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Get(1, "x"), Get(2, "x"), Delete(1, "x"),
                           Put(2, "x", "11"), Commit(1), Commit(2)},
                 .wrong = AllCommitted,
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale}});
  all.push_back({.name = "InsertTwice",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Get(1, "new"), Get(2, "new"), Put(1, "new", "1"),
                           Put(2, "new", "2"), Commit(1), Commit(2)},
                 .wrong = AllCommitted,
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale}});
  all.push_back({.name = "OwnWritesAreSeen",
                 .before = kXY,
                 .steps = {Begin(1), Put(1, "x", "1"), Get(1, "x"), Put(1, "z", "3"),
                           Delete(1, "y"), Get(1, "y"), Scan(1, "a", ""), DeleteRange(1, "a", "z"),
                           Scan(1, "a", ""), Commit(1)},
                 .wrong =
                     [](const Trace& trace) {
                       return trace.value(2) != "1" || trace.value(5).has_value() ||
                              trace.answers[6].content != Content{{"x", "1"}, {"z", "3"}} ||
                              trace.answers[8].content != Content{{"z", "3"}} ||
                              trace.after != Content{{"z", "3"}};
                     },
                 .shown_by = {kStale, kRefusing}});
}

void AddSkew(std::vector<Scenario>& all) {
  all.push_back({.name = "FuzzyRead",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Get(1, "x"), Put(2, "x", "12"), Commit(2),
                           Get(1, "x"), Commit(1)},
                 .wrong =
                     [](const Trace& trace) {
                       return Committed(trace, 1) && trace.value(2) != trace.value(5);
                     },
                 .shown_by = {kNewest, kWriteThrough}});
  all.push_back({.name = "ReadSkew",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Get(1, "x"), Get(2, "x"), Get(2, "y"),
                           Put(2, "x", "12"), Put(2, "y", "18"), Commit(2), Get(1, "y"), Commit(1)},
                 .wrong =
                     [](const Trace& trace) {
                       return Committed(trace, 1) && trace.value(2) == "10" &&
                              trace.value(8) == "18";
                     },
                 .shown_by = {kNewest, kWriteThrough}});
  all.push_back({.name = "ReadSkewWithAWrite",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Get(1, "x"), Put(2, "x", "12"), Put(2, "y", "18"),
                           Commit(2), Put(1, "y", "99"), Commit(1)},
                 .wrong =
                     [](const Trace& trace) {
                       return AllCommitted(trace) && trace.value(2) == "10" &&
                              After(trace, "y") == "99";
                     },
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale}});
  all.push_back({.name = "WriteSkewOnItems",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Get(1, "x"), Get(1, "y"), Get(2, "x"), Get(2, "y"),
                           Put(1, "x", "-20"), Put(2, "y", "-10"), Commit(1), Commit(2)},
                 .wrong = AllCommitted,
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale}});
  all.push_back({.name = "WriteSkewOnAPredicate",
                 .before = {{"p1", "10"}, {"p2", "20"}},
                 .steps = {Begin(1), Begin(2), Scan(1, "p", "q"), Scan(2, "p", "q"),
                           Put(1, "p3", "30"), Put(2, "p4", "42"), Commit(1), Commit(2)},
                 .wrong = AllCommitted,
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale}});
  all.push_back({.name = "WriteSkewOfDoctorsOnCall",
                 .before = {{"call/a", "1"}, {"call/b", "1"}},
                 .steps = {Begin(1), Begin(2), Scan(1, "call/", "call0"), Scan(2, "call/", "call0"),
                           Delete(1, "call/a"), Delete(2, "call/b"), Commit(1), Commit(2)},
                 .wrong = [](const Trace& trace) { return trace.after.empty(); },
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale}});
  all.push_back({.name = "WriteSkewOnAPredicateAndAnItem",
                 .before = {{"p1", "10"}},
                 .steps = {Begin(1), Begin(2), Scan(1, "p", "q"), Get(2, "closed"),
                           Put(1, "closed", "1"), Put(2, "p2", "20"), Commit(1), Commit(2)},
                 .wrong = AllCommitted,
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale}});
  all.push_back({.name = "WriteSkewWithARangeDelete",
                 .before = {{"p1", "10"}},
                 .steps = {Begin(1), Begin(2), Get(1, "q"), Get(2, "p1"), DeleteRange(1, "p", "q"),
                           Put(2, "q", "1"), Commit(1), Commit(2)},
                 .wrong = AllCommitted,
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale}});
}

void AddPhantoms(std::vector<Scenario>& all) {
  const auto seen_twice = [](const Trace& trace) {
    return Committed(trace, 1) && trace.answers[2].content != trace.answers[5].content;
  };
  all.push_back({.name = "PhantomInsert",
                 .before = {{"p1", "10"}, {"p3", "30"}},
                 .steps = {Begin(1), Begin(2), Scan(1, "p", "q"), Put(2, "p2", "20"), Commit(2),
                           Scan(1, "p", "q"), Commit(1)},
                 .wrong = seen_twice,
                 .shown_by = {kNewest, kWriteThrough}});
  all.push_back({.name = "PhantomDelete",
                 .before = {{"p1", "10"}, {"p2", "20"}, {"p3", "30"}},
                 .steps = {Begin(1), Begin(2), Scan(1, "p", "q"), DeleteRange(2, "p2", "p3"),
                           Commit(2), Scan(1, "p", "q"), Commit(1)},
                 .wrong = seen_twice,
                 .shown_by = {kNewest, kWriteThrough}});
  all.push_back({.name = "PhantomAtTheEndOfTheKeys",
                 .before = {{"p1", "10"}},
                 .steps = {Begin(1), Begin(2), Scan(1, "p", ""), Put(2, "zz", "20"), Commit(2),
                           Scan(1, "p", ""), Commit(1)},
                 .wrong = seen_twice,
                 .shown_by = {kNewest, kWriteThrough}});
  all.push_back({.name = "PhantomInWhatWasEmpty",
                 .before = {{"a", "1"}},
                 .steps = {Begin(1), Begin(2), Scan(1, "p", "q"), Scan(2, "r", "s"),
                           Put(1, "r1", "1"), Put(2, "p1", "1"), Commit(1), Commit(2)},
                 .wrong = AllCommitted,
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale}});
  all.push_back({.name = "PredicateManyPreceders",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Scan(1, "x", "z"), Put(2, "xx", "3"), Commit(2),
                           Scan(1, "x", "z"), Put(1, "sum", "30"), Commit(1), Begin(2),
                           Get(2, "sum"), Commit(2)},
                 .wrong =
                     [](const Trace& trace) {
                       return Committed(trace, 1) &&
                              trace.answers[2].content != trace.answers[5].content;
                     },
                 .shown_by = {kNewest, kWriteThrough}});
}

void AddGlobal(std::vector<Scenario>& all) {
  all.push_back({.name = "LongFork",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Begin(3), Begin(4), Get(3, "y"), Get(4, "x"),
                           Put(1, "x", "11"), Commit(1), Put(2, "y", "21"), Commit(2), Get(3, "x"),
                           Get(4, "y"), Commit(3), Commit(4)},
                 .wrong =
                     [](const Trace& trace) {
                       return Committed(trace, 3) && Committed(trace, 4) &&
                              trace.value(10) == "11" && trace.value(4) == "20" &&
                              trace.value(11) == "21" && trace.value(5) == "10";
                     },
                 .shown_by = {kNewest, kWriteThrough}});
  for (const bool read_only : {false, true}) {
    // x and y are accounts; a withdrawal that leaves less than nothing costs a fee.
    all.push_back({.name = read_only ? "ReadOnlyAnomalyOfAReadOnlyOne" : "ReadOnlyAnomaly",
                   .before = {{"x", "0"}, {"y", "0"}},
                   .steps = {Begin(1), Begin(2), Get(2, "x"), Get(2, "y"), Get(1, "y"),
                             Put(1, "y", "20"), Commit(1), read_only ? BeginReadOnly(3) : Begin(3),
                             Get(3, "x"), Get(3, "y"), Commit(3), Put(2, "x", "-11"), Commit(2)},
                   .wrong =
                       [](const Trace& trace) {
                         return AllCommitted(trace) && trace.value(8) == "0" &&
                                trace.value(9) == "20" && trace.value(3) == "0";
                       },
                   .shown_by = {kSnapshot, kNewest, kWriteThrough}});
  }
  all.push_back({.name = "ReadOfThePast",
                 .before = kXY,
                 .steps = {Begin(1), Put(1, "x", "11"), Commit(1), Begin(2), Get(2, "x"),
                           Scan(2, "x", "y"), Commit(2), BeginReadOnly(3), Get(3, "x"), Commit(3)},
                 .wrong =
                     [](const Trace& trace) {
                       return !AllCommitted(trace) || trace.value(4) != "11" ||
                              trace.answers[5].content != Content{{"x", "11"}} ||
                              trace.value(8) != "11";
                     },
                 .shown_by = {kStale, kRefusing}});
  all.push_back({.name = "AReadOnlyOneSeesOneStateAndNeverLoses",
                 .before = kXY,
                 .steps = {BeginReadOnly(1), Get(1, "x"), Begin(2), Put(2, "x", "11"),
                           Put(2, "y", "21"), Commit(2), Get(1, "y"), Scan(1, "x", ""), Commit(1)},
                 .wrong =
                     [](const Trace& trace) {
                       return !AllCommitted(trace) || trace.value(1) != "10" ||
                              trace.value(6) != "20" || trace.answers[7].content != kXY ||
                              trace.answers[3].waited;
                     },
                 .shown_by = {kNewest, kWriteThrough, kRefusing}});
}

void AddProgress(std::vector<Scenario>& all) {
  all.push_back({.name = "DisjointOnesAllCommit",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Begin(3), Get(1, "x"), Get(2, "y"),
                           Scan(3, "p", "q"), Put(1, "a", "1"), Put(2, "b", "1"), Put(3, "c", "1"),
                           Commit(3), Commit(2), Commit(1)},
                 .wrong =
                     [](const Trace& trace) {
                       return !AllCommitted(trace) ||
                              std::any_of(trace.answers.begin(), trace.answers.end(),
                                          [](const Answer& answer) { return answer.waited; });
                     },
                 .shown_by = {kRefusing}});
  all.push_back(
      {.name = "ReadersOfTheSameAllCommit",
       .before = kXY,
       .steps = {Begin(1), Begin(2), Get(1, "x"), Get(2, "x"), Scan(1, "x", "z"), Scan(2, "x", "z"),
                 Put(1, "a", "1"), Put(2, "b", "1"), Commit(1), Commit(2)},
       .wrong = [](const Trace& trace) { return !AllCommitted(trace); },
       .shown_by = {kRefusing}});
  all.push_back(
      {.name = "BlindWritesAllCommit",
       .before = kXY,
       .steps = {Begin(1), Begin(2), Put(1, "x", "1"), Put(2, "x", "2"), Commit(1), Commit(2)},
       .wrong = [](const Trace& trace) { return !AllCommitted(trace) || After(trace, "x") != "2"; },
       .shown_by = {kRefusing}});
}

void AddOptimistic(std::vector<Scenario>& all) {
  const std::size_t first = all.size();
  all.push_back({.name = "TheSecondOfTwoLosesByConflict",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Get(1, "x"), Get(2, "x"), Put(1, "x", "11"),
                           Put(2, "x", "12"), Commit(2), Commit(1)},
                 .wrong =
                     [](const Trace& trace) {
                       return !Committed(trace, 2) || !EndedWith(trace, 1, Outcome::kConflict) ||
                              After(trace, "x") != "12";
                     },
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale, kRefusing}});
  all.push_back({.name = "NobodyWaits",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), GetForUpdate(1, "x"), Put(1, "x", "11"),
                           DeleteRange(1, "a", "z"), GetForUpdate(2, "x"), Put(2, "x", "12"),
                           Commit(2), Commit(1)},
                 .wrong =
                     [](const Trace& trace) {
                       return trace.answers[5].waited || trace.answers[6].waited ||
                              !Committed(trace, 2) || Committed(trace, 1);
                     },
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale, kRefusing}});
  for (std::size_t i = first; i < all.size(); ++i) all[i].only = Mode::kOptimistic;
}

void AddLocks(std::vector<Scenario>& all) {
  const std::size_t first = all.size();
  all.push_back({.name = "OneThatWaitsSeesWhatItWaitedFor",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), GetForUpdate(1, "x"), GetForUpdate(2, "x"),
                           Put(1, "x", "11"), Commit(1), Put(2, "x", "12"), Commit(2)},
                 .wrong =
                     [](const Trace& trace) {
                       return !AllCommitted(trace) || !trace.answers[3].waited ||
                              trace.value(3) != "11" || After(trace, "x") != "12";
                     },
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale, kRefusing}});
  all.push_back({.name = "SharedLocksGoTogetherAndExcludeWriters",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Begin(3), Get(1, "x"), Get(2, "x"), Put(3, "x", "1"),
                           Commit(1), Commit(2), Await(3), Commit(3)},
                 .wrong =
                     [](const Trace& trace) {
                       return !AllCommitted(trace) || trace.answers[4].waited ||
                              !trace.answers[5].waited || After(trace, "x") != "1";
                     },
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale, kRefusing}});
  all.push_back({.name = "AnUpgradeDoesNotWaitForItself",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Get(1, "x"), Put(2, "x", "2"), Put(1, "x", "1"),
                           Commit(1), Await(2), Commit(2)},
                 .wrong =
                     [](const Trace& trace) {
                       return !AllCommitted(trace) || !trace.answers[3].waited ||
                              trace.answers[4].waited || After(trace, "x") != "2";
                     },
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale, kRefusing}});
  all.push_back({.name = "ScannedRangesLockPhantomsOut",
                 .before = {{"p1", "1"}},
                 .steps = {Begin(1), Begin(2), Begin(3), Scan(1, "p", "q"), Put(2, "p2", "2"),
                           Put(3, "q", "3"), Commit(3), Commit(1), Await(2), Commit(2)},
                 .wrong =
                     [](const Trace& trace) {
                       return !AllCommitted(trace) || !trace.answers[4].waited ||
                              trace.answers[5].waited;
                     },
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale, kRefusing}});
  all.push_back({.name = "DeletedRangesAreLocked",
                 .before = {{"p1", "1"}},
                 .steps = {Begin(1), Begin(2), DeleteRange(1, "p", "q"), Get(2, "p1"), Commit(1),
                           Await(2), Commit(2)},
                 .wrong =
                     [](const Trace& trace) {
                       return !AllCommitted(trace) || !trace.answers[3].waited ||
                              trace.value(3).has_value();
                     },
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale, kRefusing}});
  const auto one_victim = [](const Trace& trace) {
    return std::count(trace.ended.begin(), trace.ended.end(), Outcome::kDeadlock) != 1 ||
           std::count(trace.committed.begin(), trace.committed.end(), false) != 1;
  };
  all.push_back({.name = "ADeadlockHasOneVictim",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Begin(3), Put(1, "a", "1"), Put(2, "b", "2"),
                           Put(3, "c", "3"), Put(1, "b", "1"), Put(2, "c", "2"), Put(3, "a", "3"),
                           Commit(3), Commit(2), Commit(1)},
                 .wrong =
                     [one_victim](const Trace& trace) {
                       return one_victim(trace) || !EndedWith(trace, 3, Outcome::kDeadlock);
                     },
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale, kRefusing}});
  all.push_back({.name = "ADeadlockOfUpgradesHasOneVictim",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Begin(3), Get(1, "x"), Get(2, "x"), Get(3, "x"),
                           Put(1, "a", "1"), Put(2, "x", "2"), Put(1, "x", "1"), Commit(3),
                           Commit(1), Commit(2)},
                 .wrong = one_victim,
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale, kRefusing}});
  all.push_back({.name = "ADeadlockOfRangesHasOneVictim",
                 .before = kXY,
                 .steps = {Begin(1), Begin(2), Scan(1, "a", "m"), Scan(2, "m", ""),
                           Put(1, "x", "1"), Put(2, "b", "2"), Commit(1), Commit(2)},
                 .wrong = one_victim,
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale, kRefusing}});
  all.push_back({.name = "AWaitForALockEndsInTime",
                 .before = kXY,
                 .steps = {Begin(1), BeginImpatient(2), Put(1, "x", "1"), Get(2, "x"), Await(2),
                           Put(1, "y", "1"), Commit(1), Commit(2)},
                 .wrong =
                     [](const Trace& trace) {
                       return !Committed(trace, 1) || !EndedWith(trace, 2, Outcome::kTimeout);
                     },
                 .shown_by = {kSnapshot, kNewest, kWriteThrough, kStale, kRefusing}});
  all.push_back({.name = "LocksGoWithTheirTransaction",
                 .before = kXY,
                 .steps = {Begin(1), Put(1, "x", "1"), Scan(1, "", ""), Rollback(1), Begin(2),
                           Put(2, "x", "2"), Commit(2), Begin(3), Put(3, "x", "3"), Commit(3)},
                 .wrong =
                     [](const Trace& trace) {
                       return !Committed(trace, 2) || !Committed(trace, 3) ||
                              trace.answers[5].waited || trace.answers[8].waited;
                     },
                 .shown_by = {kRefusing}});
  for (std::size_t i = first; i < all.size(); ++i) all[i].only = Mode::kPessimistic;
}

}  // namespace

std::string NameOf(Breakage breakage) {
  switch (breakage) {
    case Breakage::kUncheckedSnapshot:
      return "UncheckedSnapshot";
    case Breakage::kUncheckedNewest:
      return "UncheckedNewest";
    case Breakage::kWriteThrough:
      return "WriteThrough";
    case Breakage::kStale:
      return "Stale";
    case Breakage::kRefusing:
      return "Refusing";
  }
  return "?";
}

const std::vector<Scenario>& AllScenarios() {
  static const std::vector<Scenario> scenarios = [] {
    std::vector<Scenario> all;
    AddDirty(all);
    AddUpdates(all);
    AddSkew(all);
    AddPhantoms(all);
    AddGlobal(all);
    AddProgress(all);
    AddOptimistic(all);
    AddLocks(all);
    return all;
  }();
  return scenarios;
}

}  // namespace bedrock::conformance
