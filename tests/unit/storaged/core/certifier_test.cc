// The certifier against a plain model of all history, on a real engine that flushes and compacts
// below it: a conflict is found where there is one, and nowhere else.

#include "storaged/core/certifier.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proto/errors.h"
#include "tests/unit/storaged/core/machine_fixture.h"
#include "tests/unit/storaged/core/replica.h"

namespace bedrock::storage {
namespace {

using proto::ErrorCode;
using proto::Operation;
using proto::Read;

class CertifierTest : public MachineTest {};

TEST_F(CertifierTest, WhatIsUnchangedSinceItWasReadCommits) {
  Apply({PutOf("a", "1")});
  EXPECT_EQ(ApplyReading({KeyRead("a"), KeyRead("absent"), RangeRead("b", "c")}, 1).code,
            ErrorCode::kOk);
  EXPECT_TRUE(HasWritten());
}

TEST_F(CertifierTest, AKeyThatWasPutSinceConflictsAndIsNamed) {
  Apply({PutOf("a", "1"), PutOf("b", "1")});
  Apply({PutOf("b", "2")});
  const auto result = ApplyReading({KeyRead("a"), KeyRead("b")}, 1);
  EXPECT_EQ(result.code, ErrorCode::kTransactionConflict);
  EXPECT_EQ(result.key, "b");
  EXPECT_EQ(result.version, Version(3));
  EXPECT_FALSE(HasWritten());
}

TEST_F(CertifierTest, DeletesAddsAndRangeDeletesConflict) {
  Apply({PutOf("a", "1"), PutOf("b", "1"), PutOf("c", "1")});
  Apply({DeleteOf("a"), AddOf("b", 1), DeleteRangeOf("c", "d")});
  for (const char* key : {"a", "b", "c"}) {
    EXPECT_EQ(ApplyReading({KeyRead(key)}, 1).code, ErrorCode::kTransactionConflict) << key;
    EXPECT_EQ(ApplyReading({KeyRead(key)}, 2).code, ErrorCode::kOk) << key;
  }
}

TEST_F(CertifierTest, APhantomConflictsAndTheRangeIsNamedByItsBegin) {
  Apply({PutOf("q/1", "1")});
  Apply({PutOf("q/2", "new")});
  const auto result = ApplyReading({RangeRead("q/", "q0")}, 1);
  EXPECT_EQ(result.code, ErrorCode::kTransactionConflict);
  EXPECT_EQ(result.key, "q/");
  EXPECT_EQ(ApplyReading({RangeRead("q/1", "q/2")}, 1).code, ErrorCode::kOk);
}

TEST_F(CertifierTest, EachReadMayHaveAVersionOfItsOwn) {
  Apply({PutOf("a", "1")});
  Apply({PutOf("b", "1")});
  EXPECT_EQ(ApplyReading({KeyRead("a"), KeyRead("b", 2)}, 1).code, ErrorCode::kOk);
  const auto result = ApplyReading({KeyRead("b", 1), KeyRead("a")}, 2);
  EXPECT_EQ(result.code, ErrorCode::kTransactionConflict);
  EXPECT_EQ(result.key, "b");
}

TEST_F(CertifierTest, ACommandDoesNotConflictWithItself) {
  Apply({PutOf("a", "1")});
  proto::Command command = New();
  command.reads = {KeyRead("a")};
  command.read_version = Version(1);
  command.operations = {PutOf("a", "2")};
  EXPECT_EQ(Apply(command).code, ErrorCode::kOk);
}

TEST_F(CertifierTest, CertifyingComesBeforeConditions) {
  Apply({PutOf("a", "1")});
  Apply({PutOf("a", "2")});
  proto::Command command = New();
  command.reads = {KeyRead("a")};
  command.read_version = Version(1);
  command.conditions = {{proto::Condition::Kind::kAbsent, "a", Version()}};
  command.otherwise = {PutOf("out", "written")};
  EXPECT_EQ(Apply(command).code, ErrorCode::kTransactionConflict);
  EXPECT_FALSE(HasWritten());
}

TEST_F(CertifierTest, AReadBelowTheWatermarkIsCompactedBeforeAnyConflict) {
  Apply({PutOf("a", "1")});
  Apply({PutOf("a", "2")});
  Apply({DropHistoryOf(2)});
  EXPECT_EQ(ApplyReading({KeyRead("a", 2), KeyRead("b")}, 1).code, ErrorCode::kVersionCompacted);
  EXPECT_EQ(ApplyReading({KeyRead("a"), KeyRead("b", 1)}, 2).code, ErrorCode::kVersionCompacted);
  EXPECT_EQ(ApplyReading({KeyRead("a"), KeyRead("b")}, 2).code, ErrorCode::kOk);
}

TEST_F(CertifierTest, ARefusalForConflictIsRepeated) {
  Apply({PutOf("a", "1")});
  Apply({PutOf("a", "2")});
  proto::Command command = New();
  command.reads = {KeyRead("a")};
  command.read_version = Version(1);
  command.operations = {PutOf("out", "written")};
  const auto refused = Apply(command);
  ASSERT_EQ(refused.code, ErrorCode::kTransactionConflict);
  EXPECT_EQ(Apply(command), refused);
}

TEST_F(CertifierTest, AfterARestartTheEngineAnswersAlike) {
  Apply({PutOf("a", "1"), PutOf("q/1", "1")});
  Apply({PutOf("a", "2"), PutOf("q/2", "1")});
  FlushAndRestart();
  EXPECT_EQ(ApplyReading({KeyRead("a")}, 1).code, ErrorCode::kTransactionConflict);
  EXPECT_EQ(ApplyReading({KeyRead("b")}, 1).code, ErrorCode::kOk);
  EXPECT_EQ(ApplyReading({RangeRead("q/", "q0")}, 1).code, ErrorCode::kTransactionConflict);
  EXPECT_EQ(ApplyReading({RangeRead("r/", "r0")}, 1).code, ErrorCode::kOk);
}

// ---- The property

/// Every change there ever was.
class Changes {
 public:
  void Add(const std::string& begin, const std::string& end, std::uint64_t version) {
    changes_.push_back({begin, end, version});
  }
  bool Changed(const std::string& begin, const std::string& end, std::uint64_t since) const {
    return std::any_of(changes_.begin(), changes_.end(), [&](const Change& change) {
      return change.version > since && begin < change.end && (end.empty() || change.begin < end);
    });
  }

 private:
  struct Change {
    std::string begin, end;
    std::uint64_t version;
  };
  std::vector<Change> changes_;
};

class CertifierPropertyTest : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  CertifierPropertyTest() : random_(GetParam()), replica_(GetParam()) {}

  proto::Command New() {
    ++sequence_;
    return MakeCommand(1, sequence_, sequence_);
  }
  std::string Key() {
    // Some longer than what the ring shows of a key, and alike up to there.
    const std::string number = std::to_string(100 + random_.Below(80));
    return random_.Chance(1, 3) ? std::string(22, 'k') + number : "k" + number;
  }
  /// Writes a few keys, or a range of them.
  void Write() {
    proto::Command command = New();
    const std::string a = Key();
    const std::string b = Key();
    const std::string c = Key();
    const std::uint64_t version = replica_.next_index();
    if (random_.Chance(1, 8) && a < b) {
      // A range delete is a change of all of its range, unless there is nothing in it.
      if (!replica_.LiveKeys(a, b).empty()) changes_.Add(a, b, version);
      command.operations = {DeleteRangeOf(a, b)};
    } else {
      command.operations = {PutOf(a, "v"), DeleteOf(b), PutOf(c, "v")};
      for (const auto& key : {a, b, c}) changes_.Add(key, key + '\0', version);
    }
    ASSERT_EQ(replica_.Apply(command).code, ErrorCode::kOk);
  }
  /// Certifies a few reads and compares. Writes nothing.
  void Certify() {
    const std::uint64_t newest = replica_.next_index() - 1;
    const std::uint64_t oldest = replica_.machine().history_from().value();
    std::vector<std::string> keys;
    keys.reserve(8);
    std::vector<Read> reads;
    std::string expected;
    for (std::uint64_t i = 1 + random_.Below(4); i > 0; --i) {
      // Mostly lately: that is what answers without the engine are for.
      const std::uint64_t back =
          random_.Chance(1, 2) ? random_.Below(20) : random_.Below(newest + 1);
      const std::uint64_t at =
          std::max({newest - std::min(newest, back), oldest, std::uint64_t{1}});
      const std::string& begin = keys.emplace_back(Key());
      const std::string& end =
          keys.emplace_back(random_.Chance(1, 10) ? std::string() : begin + std::string(1, 'z'));
      const bool is_range = random_.Chance(1, 2);
      reads.push_back(is_range ? RangeRead(begin, end, at) : KeyRead(begin, at));
      const std::string last = is_range ? end : begin + '\0';
      if (expected.empty() && changes_.Changed(begin, last, at)) expected = begin;
    }
    proto::Command command = New();
    command.reads = reads;
    const auto result = replica_.Apply(command);
    ASSERT_EQ(result.code, expected.empty() ? ErrorCode::kOk : ErrorCode::kTransactionConflict);
    ASSERT_EQ(result.key, expected);
    ++(expected.empty() ? committed_ : refused_);
  }
  void DropHistory() {
    proto::Command command = New();
    const std::uint64_t newest = replica_.next_index() - 1;
    command.operations = {DropHistoryOf(newest - std::min<std::uint64_t>(newest, 300))};
    ASSERT_EQ(replica_.Apply(command).code, ErrorCode::kOk);
  }

  Random random_;
  Replica replica_;
  Changes changes_;
  std::uint64_t sequence_ = 0;
  std::uint64_t committed_ = 0;
  std::uint64_t refused_ = 0;
};

TEST_P(CertifierPropertyTest, RefusesForRealConflictsAloneAndMissesNone) {
  for (int step = 0; step < 3'000; ++step) {
    random_.Chance(1, 2) ? Write() : Certify();
    if (random_.Chance(1, 100)) DropHistory();
    if (random_.Chance(1, 100)) replica_.Flush();
    if (random_.Chance(1, 500)) replica_.FlushAndRestart();
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(committed_, 200u);
  EXPECT_GT(refused_, 200u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, CertifierPropertyTest, ::testing::Range<std::uint64_t>(1, 7));

}  // namespace
}  // namespace bedrock::storage
