// Replicas of one log on real engines over a disk that crashes: whatever each was flushed, crashed
// and replayed, all give the same replies and hold the same content, and those are what a simple
// model of the rules says.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/env/random.h"
#include "proto/errors.h"
#include "storaged/core/keyspace.h"
#include "storaged/core/state_machine.h"
#include "tests/unit/storaged/core/entries.h"
#include "tests/unit/storaged/core/replica.h"

namespace bedrock::storage {
namespace {

using proto::CommandResult;
using proto::Condition;
using proto::ErrorCode;
using proto::Operation;
using Kind = proto::Operation::Kind;

constexpr std::uint64_t kEntries = 1'500;

// A log with everything in it that a log may hold.
class LogMaker {
 public:
  explicit LogMaker(std::uint64_t seed) : random_(seed) {}

  std::vector<raft::Entry> Make() {
    std::vector<raft::Entry> log;
    for (index_ = 1; index_ <= kEntries; ++index_) {
      // Now and then a leader's clock is hours ahead, or the cluster was quiet for some minutes.
      time_ms_ += random_.Below(200);
      if (random_.Chance(1, 100)) time_ms_ += random_.Below(240'000);
      if (random_.Chance(1, 500)) time_ms_ += 21'600'000;
      log.push_back(NextEntry());
      log.back().time_ms = time_ms_;
    }
    return log;
  }

 private:
  raft::Entry NextEntry() {
    switch (random_.Below(20)) {
      case 0:
        return Noop(index_);
      case 1:
        return MakeEntry(index_, "members", raft::EntryKind::kMembership);
      case 2:
        if (random_.Chance(1, 4)) return MakeEntry(index_, "bytes that are no command");
        return MakeEntry(index_, CheckBytes());
      case 3:
      case 4:
      case 5:
        // Sent again, perhaps long after its session has moved on.
        if (!sent_.empty()) {
          const std::size_t back = random_.Below(std::min<std::size_t>(sent_.size(), 200));
          return MakeEntry(index_, sent_[sent_.size() - 1 - back]);
        }
        break;
      default:
        break;
    }
    return MakeEntry(index_, CommandBytes());
  }

  std::string CommandBytes() {
    const std::uint64_t session = 1 + random_.Below(12);
    auto& next = next_[session];
    auto& low_water = low_water_[session];
    ++next;
    low_water = std::max(low_water, next - std::min(next, random_.Below(12)));
    texts_.clear();
    proto::Command command = MakeCommand(session, next, low_water);
    if (random_.Chance(1, 3)) {
      for (std::uint64_t i = random_.Below(3); i > 0; --i)
        command.conditions.push_back(ACondition());
    }
    command.operations = Operations();
    if (random_.Chance(1, 4)) command.otherwise = Operations();
    if (random_.Chance(1, 3)) {
      command.read_version = Version(Recent());
      for (std::uint64_t i = 1 + random_.Below(3); i > 0; --i) command.reads.push_back(ARead());
    }
    if (random_.Chance(1, 5)) {
      command.idempotency = {Text("request " + std::to_string(random_.Below(30))),
                             Text(FingerprintOf(random_.Chance(1, 4) ? 'b' : 'a'))};
    }
    sent_.push_back(proto::EncodeCommand(command));
    return sent_.back();
  }

  /// Of a slice somewhere; now and then from the beginning.
  std::string CheckBytes() {
    const std::string from = random_.Chance(1, 3) ? "" : EngineKey(Key());
    const auto bytes = static_cast<std::uint32_t>(1 + random_.Below(4'000));
    return proto::EncodeCheckState({.from = from, .bytes_max = bytes});
  }

  Condition ACondition() {
    Condition condition;
    condition.kind = static_cast<Condition::Kind>(random_.Below(8));
    condition.key = Key();
    const bool absent = condition.kind == Condition::Kind::kExists ||
                        condition.kind == Condition::Kind::kAbsent ||
                        condition.kind == Condition::Kind::kValueEquals;
    if (!absent) condition.version = Version(Recent());
    if (condition.kind == Condition::Kind::kValueEquals) condition.operand = Text("7");
    if (condition.kind == Condition::Kind::kRangeUnchangedSince) {
      condition.operand = EndOf(condition.key);
    }
    return condition;
  }
  proto::Read ARead() {
    const std::string_view key = Key();
    const std::uint64_t at = random_.Chance(1, 3) ? Recent() : 0;
    return random_.Chance(1, 2) ? KeyRead(key, at) : RangeRead(key, EndOf(key), at);
  }
  std::vector<proto::Operation> Operations() {
    std::vector<proto::Operation> operations;
    const bool writes_only = random_.Chance(1, 2);
    for (std::uint64_t i = random_.Below(4); i > 0; --i) operations.push_back(One(writes_only));
    return operations;
  }
  proto::Operation One(bool writes_only) {
    const std::string_view key = Key();
    switch (random_.Below(writes_only ? 4 : 10)) {
      case 0:
      case 1:
        return PutOf(key, Text(std::string(random_.Below(300), 'v') + std::to_string(index_)));
      case 2:
        return random_.Chance(1, 10) ? DropHistoryOf(Recent()) : PutOf(key, Text("7"));
      case 3:
        return DeleteOf(key);
      case 4:
        return DeleteRangeOf(key, EndOf(key));
      case 5:
      case 6:
        return AddOf(key, static_cast<std::int64_t>(random_.Below(100)) - 50);
      case 7:
        return ScanOf(key, EndOf(key), AScan());
      default:
        return GetOf(key);
    }
  }
  proto::Scan AScan() {
    proto::Scan scan;
    if (random_.Chance(1, 2)) scan.items_max = static_cast<std::uint32_t>(random_.Below(6));
    if (random_.Chance(1, 3)) scan.bytes_max = static_cast<std::uint32_t>(random_.Below(600));
    scan.reverse = random_.Chance(1, 2);
    scan.form = static_cast<proto::Scan::Form>(random_.Below(3));
    return scan;
  }

  std::uint64_t Recent() {
    return random_.Chance(1, 20) ? random_.Below(kEntries)
                                 : index_ - std::min(index_, 1 + random_.Below(60));
  }
  std::string_view Text(std::string made) { return texts_.emplace_back(std::move(made)); }
  std::string_view Key() { return Text("key" + std::to_string(10 + random_.Below(40))); }
  std::string_view EndOf(std::string_view begin) {
    if (random_.Chance(1, 20)) return {};
    return Text("key" +
                std::to_string(std::stoul(std::string(begin.substr(3))) + 1 + random_.Below(20)));
  }

  Random random_;
  std::uint64_t index_ = 0;
  std::uint64_t time_ms_ = 1'700'000'000'000;
  std::vector<std::string> sent_;
  std::deque<std::string> texts_;  // what the command's views borrow
  std::map<std::uint64_t, std::uint64_t> next_, low_water_;
};

// The rules, as plainly as they can be said: nothing is ever cleaned up but by looking at
// everything.
class Model {
 public:
  CommandResult Apply(const raft::Entry& entry) {
    clock_ += std::min<std::uint64_t>(entry.time_ms - time_, kSessionClockStepMsMax);
    time_ = entry.time_ms;
    index_ = entry.index.value();
    const CommandResult result = ApplyOne(entry);
    DropOld();
    dumps_.push_back(Dump());
    return result;
  }

  std::string Dump() const {
    std::string out;
    for (const auto& [key, state] : content_) {
      out += "u" + key + "@" + std::to_string(state.version) + "=" + state.value + "\n";
    }
    return out;
  }
  /// What was there after entry `version`.
  const std::string& DumpAt(std::uint64_t version) const { return dumps_[version - 1]; }
  std::size_t kept() const { return kept_.size(); }
  std::size_t dropped() const { return dropped_; }
  std::uint64_t watermark() const { return watermark_; }

 private:
  struct Session {
    std::uint64_t active = 0, low_water = 0;
    std::map<std::uint64_t, CommandResult> replies;
  };
  struct State {
    std::uint64_t version = 0;  // 0: of the command that is being executed
    std::string value;
  };
  using Content = std::map<std::string, State>;
  struct Change {
    std::string begin, end;
    std::uint64_t version = 0;
  };
  struct Kept {
    std::uint64_t time = 0;
    std::string fingerprint;
    CommandResult reply;
  };

  CommandResult ApplyOne(const raft::Entry& entry) {
    CommandResult result;
    result.version = Version(index_);
    if (entry.kind != raft::EntryKind::kCommand) return result;
    const auto command = proto::DecodeCommand(entry.payload.view());
    if (!command.ok()) {
      const bool check = proto::DecodeCheckState(entry.payload.view()).ok();
      result.code = check ? ErrorCode::kOk : ErrorCode::kInvalidArgument;
      return result;
    }
    auto& session = sessions_[command->session.value()];
    if (clock_ - session.active > kSessionIdleMsMax) session = {};
    session.active = clock_;
    session.low_water = std::max(session.low_water, command->low_water);
    const bool stale = command->sequence < session.low_water;
    if (!stale && session.replies.contains(command->sequence)) {
      return session.replies.at(command->sequence);
    }
    const std::string key(command->idempotency.key);
    const auto kept = key.empty() ? kept_.end() : kept_.find(key);
    if (kept != kept_.end()) {
      if (kept->second.fingerprint == command->idempotency.fingerprint) {
        result = kept->second.reply;
      } else {
        result.code = ErrorCode::kIdempotencyKeyReused;
      }
    } else if (stale) {
      result.code = ErrorCode::kStaleSequence;
    } else {
      result = Execute(*command, result);
      if (!key.empty())
        kept_[key] = {clock_, std::string(command->idempotency.fingerprint), result};
    }
    if (!stale) session.replies[command->sequence] = result;
    return result;
  }

  // Of those that are too old, the oldest four.
  void DropOld() {
    std::vector<std::pair<std::uint64_t, std::string>> old;
    for (const auto& [key, kept] : kept_) {
      if (clock_ - kept.time > kIdempotencyKeptMs) old.emplace_back(kept.time, key);
    }
    std::sort(old.begin(), old.end());
    old.resize(std::min<std::size_t>(old.size(), kIdempotencyDropsPerEntryMax));
    dropped_ += old.size();
    for (const auto& [time, key] : old) kept_.erase(key);
  }

  bool Changed(const std::string& begin, const std::string& end, std::uint64_t since) const {
    return std::any_of(changes_.begin(), changes_.end(), [&](const Change& change) {
      return change.version > since && (change.end.empty() || begin < change.end) &&
             (end.empty() || change.begin < end);
    });
  }
  bool KeyChanged(const std::string& key, std::uint64_t since) const {
    return Changed(key, key + '\0', since);
  }

  CommandResult Execute(const proto::Command& command, CommandResult result) {
    for (const auto& read : command.reads) {
      if ((read.at ? read.at : command.read_version).value() < watermark_) {
        result.code = ErrorCode::kVersionCompacted;
        return result;
      }
    }
    for (const auto& read : command.reads) {
      const std::uint64_t at = (read.at ? read.at : command.read_version).value();
      const std::string key(read.key);
      if (read.kind == proto::Read::Kind::kKey ? !KeyChanged(key, at)
                                               : !Changed(key, std::string(read.end), at)) {
        continue;
      }
      result.code = ErrorCode::kTransactionConflict;
      result.key = key;
      return result;
    }
    for (std::uint32_t i = 0; i < command.conditions.size(); ++i) {
      const auto& condition = command.conditions[i];
      if (Holds(condition, result)) continue;
      result.failed_condition = i;
      if (result.code == ErrorCode::kVersionCompacted) return result;
      if (command.otherwise) {
        result.ran_otherwise = true;
        return Run(*command.otherwise, result);
      }
      result.code = ErrorCode::kPreconditionFailed;
      const auto found = content_.find(std::string(condition.key));
      if (found != content_.end() && condition.kind != Condition::Kind::kRangeUnchangedSince) {
        result.current = Version(found->second.version);
      }
      return result;
    }
    return Run(command.operations, result);
  }

  bool Holds(const Condition& condition, CommandResult& result) const {
    const std::string key(condition.key);
    const auto found = content_.find(key);
    const bool exists = found != content_.end();
    const std::uint64_t current = exists ? found->second.version : 0;
    const std::uint64_t version = condition.version.value();
    switch (condition.kind) {
      case Condition::Kind::kVersionEquals:
        return current == version;
      case Condition::Kind::kExists:
        return exists;
      case Condition::Kind::kAbsent:
        return !exists;
      case Condition::Kind::kVersionLess:
        return current < version;
      case Condition::Kind::kVersionGreater:
        return current > version;
      case Condition::Kind::kValueEquals:
        return exists && found->second.value == condition.operand;
      case Condition::Kind::kUnchangedSince:
      case Condition::Kind::kRangeUnchangedSince:
        break;
    }
    if (version < watermark_) {
      result.code = ErrorCode::kVersionCompacted;
      return false;
    }
    return condition.kind == Condition::Kind::kUnchangedSince
               ? !KeyChanged(key, version)
               : !Changed(key, std::string(condition.operand), version);
  }

  CommandResult Run(const std::vector<Operation>& operations, CommandResult result) {
    Content content = content_;
    std::vector<Change> changes;
    std::uint64_t drop = 0;
    for (std::uint32_t i = 0; i < operations.size(); ++i) {
      proto::OperationResult done;
      if (!RunOne(operations[i], content, changes, done)) {
        result.code = ErrorCode::kInvalidArgument;
        result.key = operations[i].key;
        result.failed_operation = i;
        result.ran_otherwise = false;
        result.results.clear();
        return result;
      }
      if (operations[i].kind == Kind::kDropHistory) {
        drop = std::max(drop, operations[i].version.value());
      }
      result.results.push_back(std::move(done));
    }
    if (std::all_of(operations.begin(), operations.end(), [](const Operation& operation) {
          return operation.kind == Kind::kPut || operation.kind == Kind::kDelete ||
                 operation.kind == Kind::kDropHistory;
        })) {
      result.results.clear();
    }
    content_ = std::move(content);
    for (auto& [key, state] : content_) {
      if (state.version == 0) state.version = index_;
    }
    changes_.insert(changes_.end(), changes.begin(), changes.end());
    watermark_ = std::max(watermark_, std::min(drop, index_));
    return result;
  }

  bool RunOne(const Operation& operation, Content& content, std::vector<Change>& changes,
              proto::OperationResult& done) const {
    const std::string key(operation.key);
    const auto found = content.find(key);
    switch (operation.kind) {
      case Kind::kPut:
        content[key] = {0, std::string(operation.value)};
        changes.push_back({key, key + '\0', index_});
        return true;
      case Kind::kDelete:
        content.erase(key);
        changes.push_back({key, key + '\0', index_});
        return true;
      case Kind::kGet:
        if (found == content.end()) return true;
        done.found = true;
        done.value = found->second.value;
        done.version = Version(found->second.version);
        return true;
      case Kind::kScan:
        Scan(operation, content, done);
        return true;
      case Kind::kDeleteRange:
        for (auto at = content.lower_bound(key);
             at != content.end() && (operation.value.empty() || at->first < operation.value);) {
          at = content.erase(at);
          ++done.count;
        }
        if (done.count != 0) changes.push_back({key, std::string(operation.value), index_});
        return true;
      case Kind::kAdd: {
        std::int64_t number = 0;
        if (found != content.end()) {
          const std::string& text = found->second.value;
          if (text.find_first_not_of("-0123456789") != std::string::npos || text.size() > 15) {
            return false;
          }
          number = std::stoll(text);
        }
        done.value = std::to_string(number + operation.delta);
        content[key] = {0, done.value};
        changes.push_back({key, key + '\0', index_});
        return true;
      }
      case Kind::kDropHistory:
        return true;
    }
    return false;
  }

  static void Scan(const Operation& operation, const Content& content,
                   proto::OperationResult& done) {
    std::vector<proto::Item> all;
    for (const auto& [key, state] : content) {
      if (key < operation.key || (!operation.value.empty() && key >= operation.value)) continue;
      const bool values = operation.scan.form == proto::Scan::Form::kItems;
      all.push_back({key, values ? state.value : "", Version(state.version)});
    }
    if (operation.scan.form == proto::Scan::Form::kCount) {
      done.count = all.size();
      return;
    }
    if (operation.scan.reverse) std::reverse(all.begin(), all.end());
    std::size_t bytes = 0;
    for (const auto& item : all) {
      bytes += item.key.size() + item.value.size();
      const bool full =
          (operation.scan.items_max != 0 && done.count == operation.scan.items_max) ||
          (operation.scan.bytes_max != 0 && done.count != 0 && bytes > operation.scan.bytes_max);
      if (full) {
        done.more = true;
        done.next = operation.scan.reverse ? done.items.back().key : item.key;
        return;
      }
      done.items.push_back(item);
      ++done.count;
    }
  }

  std::uint64_t time_ = 0, clock_ = 0, index_ = 0, watermark_ = 0;
  std::map<std::uint64_t, Session> sessions_;
  std::map<std::string, Kept> kept_;
  std::size_t dropped_ = 0;
  std::vector<std::string> dumps_;
  Content content_;
  std::vector<Change> changes_;
};

// Applies a log with flushes, background work and crashes in between.
class DisturbedReplica {
 public:
  explicit DisturbedReplica(std::uint64_t seed) : random_(seed), replica_(random_.Next()) {}

  // Gives the result of each entry; those of a replay have to be the same again.
  std::vector<CommandResult> Run(const std::vector<raft::Entry>& log) {
    std::vector<std::optional<CommandResult>> results(log.size());
    while (replica_.next_index() <= log.size()) {
      const std::size_t at = replica_.next_index() - 1;
      const CommandResult result = replica_.Apply(log[at]);
      if (results[at]) {
        EXPECT_EQ(*results[at], result) << "replay of entry " << at + 1;
      }
      results[at] = result;
      NoteChecks();
      Disturb();
    }
    std::vector<CommandResult> out;
    out.reserve(results.size());
    for (const auto& result : results) out.push_back(result.value_or(CommandResult{}));
    return out;
  }

  Replica& replica() { return replica_; }
  const StateMachine& machine() const { return replica_.machine(); }
  std::string UserContent() const { return replica_.Dump({kUserKeysBegin, kUserKeysEnd}); }
  std::string AllContent() const { return replica_.Dump(); }
  // As a query of an earlier version sees it.
  std::string UserContentAt(std::uint64_t version) const {
    proto::Command query;
    query.operations = {ScanOf("", "")};
    const auto result = replica_.machine().Query(query, Version(version));
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    std::string out;
    if (!result.ok()) return out;
    for (const auto& item : result->results.at(0).items) {
      out += "u" + item.key + "@" + std::to_string(item.version.value()) + "=" + item.value + "\n";
    }
    return out;
  }
  std::uint64_t crashes_with_data() const { return crashes_with_data_; }
  // What each check gave.
  const std::map<LogIndex, raft::StateCheck>& checks() const { return checks_; }

 private:
  void NoteChecks() {
    for (const raft::StateCheck& check : machine().chain().checks()) {
      const auto [known, is_new] = checks_.emplace(check.index, check);
      if (!is_new) {
        EXPECT_EQ(known->second, check) << "replay of a check";
      }
    }
  }
  void Disturb() {
    if (random_.Chance(1, 40)) replica_.StartFlush();
    if (random_.Chance(1, 4)) replica_.RunOne();
    if (!random_.Chance(1, 60)) return;
    replica_.Crash(random_.Chance(1, 2) ? MemoryFileSystem::CrashMode::kRandom
                                        : MemoryFileSystem::CrashMode::kProcessOnly);
    if (machine().applied()) ++crashes_with_data_;
  }

  Random random_;
  Replica replica_;
  std::map<LogIndex, raft::StateCheck> checks_;
  std::uint64_t crashes_with_data_ = 0;
};

std::size_t HashesIn(const std::map<LogIndex, raft::StateCheck>& checks) {
  return static_cast<std::size_t>(std::count_if(
      checks.begin(), checks.end(),
      [](const auto& check) { return check.second.kind == raft::StateCheck::Kind::kHash; }));
}

class ReplayTest : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(ReplayTest, ReplicasThatCrashAndReplayEndAlikeAndAsTheModelSays) {
  const std::vector<raft::Entry> log = LogMaker(GetParam()).Make();
  Model model;
  std::vector<CommandResult> expected;
  expected.reserve(log.size());
  for (const auto& entry : log) expected.push_back(model.Apply(entry));

  DisturbedReplica a(2 * GetParam());
  DisturbedReplica b(2 * GetParam() + 1);
  const auto results_a = a.Run(log);
  const auto results_b = b.Run(log);
  for (std::size_t i = 0; i < log.size(); ++i) {
    ASSERT_EQ(results_a[i], expected[i]) << "entry " << i + 1;
    ASSERT_EQ(results_b[i], expected[i]) << "entry " << i + 1;
  }
  EXPECT_EQ(a.UserContent(), model.Dump());
  EXPECT_EQ(a.AllContent(), b.AllContent());
  EXPECT_EQ(a.machine().sessions(), b.machine().sessions());
  for (const auto* machine : {&a.machine(), &b.machine()}) {
    EXPECT_EQ(machine->idempotency_totals().records, model.kept());
    EXPECT_EQ(machine->history_from(), Version(model.watermark()));
  }
  EXPECT_EQ(a.machine().idempotency_totals(), b.machine().idempotency_totals());
  EXPECT_EQ(a.machine().sessions().Encode(), b.machine().sessions().Encode());
  EXPECT_EQ(a.checks(), b.checks());
  EXPECT_EQ(a.machine().chain(), b.machine().chain());
  EXPECT_GT(HashesIn(a.checks()), 20u);
  EXPECT_GT(a.crashes_with_data(), 0u);
  for (std::uint64_t at = std::max<std::uint64_t>(model.watermark(), 1); at <= kEntries; ++at) {
    ASSERT_EQ(a.UserContentAt(at), model.DumpAt(at)) << "at version " << at;
  }

  a.replica().FlushAndRestart();
  EXPECT_EQ(a.machine().applied(), LogIndex(kEntries));
  EXPECT_EQ(a.AllContent(), b.AllContent());
  EXPECT_EQ(a.machine().sessions(), b.machine().sessions());
  EXPECT_EQ(a.machine().idempotency_totals(), b.machine().idempotency_totals());
  EXPECT_EQ(a.machine().chain(), b.machine().chain());
}

INSTANTIATE_TEST_SUITE_P(Seeds, ReplayTest, ::testing::Range<std::uint64_t>(1, 13));

// The logs of these tests must hold what they claim to test.
TEST(ReplayLogTest, HoldsEveryOutcome) {
  std::map<ErrorCode, int> outcomes;
  int repeated = 0;
  int otherwise = 0;
  int scans_cut = 0;
  std::size_t dropped = 0;
  for (std::uint64_t seed = 1; seed < 13; ++seed) {
    Model model;
    for (const auto& entry : LogMaker(seed).Make()) {
      const auto result = model.Apply(entry);
      ++outcomes[result.code];
      if (result.version.value() != entry.index.value()) ++repeated;
      if (result.ran_otherwise) ++otherwise;
      for (const auto& done : result.results) scans_cut += done.more ? 1 : 0;
    }
    dropped += model.dropped();
    EXPECT_GT(model.watermark(), 0u);
  }
  EXPECT_GT(outcomes[ErrorCode::kOk], 1'000);
  EXPECT_GT(outcomes[ErrorCode::kPreconditionFailed], 500);
  EXPECT_GT(outcomes[ErrorCode::kTransactionConflict], 500);
  EXPECT_GT(outcomes[ErrorCode::kVersionCompacted], 200);
  EXPECT_GT(outcomes[ErrorCode::kStaleSequence], 200);
  EXPECT_GT(outcomes[ErrorCode::kInvalidArgument], 200);
  EXPECT_GT(outcomes[ErrorCode::kIdempotencyKeyReused], 100);
  EXPECT_GT(repeated, 100);
  EXPECT_GT(otherwise, 100);
  EXPECT_GT(scans_cut, 50);
  EXPECT_GT(dropped, 100u);
}

}  // namespace
}  // namespace bedrock::storage
