#include "storaged/core/session_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/codec/coding.h"
#include "common/env/random.h"

namespace bedrock::storage {
namespace {

using proto::CommandResult;
using proto::ErrorCode;
using Verdict = SessionTable::Verdict;

constexpr SessionId kA{7};
constexpr SessionId kB{9};

CommandResult Reply(std::uint64_t version) {
  CommandResult reply;
  reply.version = Version(version);
  return reply;
}

// Enters a new command and records `version` as its reply.
void Execute(SessionTable& table, SessionId session, std::uint64_t sequence, std::uint64_t version,
             std::uint64_t low_water = 0) {
  ASSERT_EQ(table.Enter(session, sequence, low_water).verdict, Verdict::kNew);
  table.Record(session, sequence, low_water, Reply(version));
}

Verdict VerdictOf(SessionTable& table, SessionId session, std::uint64_t sequence) {
  return table.Enter(session, sequence, 0).verdict;
}

TEST(SessionTableTest, GivesTheStoredReplyAgain) {
  SessionTable table;
  Execute(table, kA, 1, 10);
  const auto again = table.Enter(kA, 1, 0);
  EXPECT_EQ(again.verdict, Verdict::kKnown);
  EXPECT_EQ(again.reply, Reply(10));
  EXPECT_EQ(VerdictOf(table, kA, 2), Verdict::kNew);
}

TEST(SessionTableTest, KeepsSessionsApart) {
  SessionTable table;
  Execute(table, kA, 1, 10);
  Execute(table, kB, 1, 11);
  EXPECT_EQ(table.Enter(kA, 1, 0).reply, Reply(10));
  EXPECT_EQ(table.Enter(kB, 1, 0).reply, Reply(11));
}

TEST(SessionTableTest, DropsRepliesBelowTheLowWaterMarkAndCallsThemStale) {
  SessionTable table;
  Execute(table, kA, 1, 10);
  Execute(table, kA, 2, 11);
  Execute(table, kA, 3, 12, 2);
  EXPECT_EQ(table.reply_count(), 2u);
  EXPECT_EQ(VerdictOf(table, kA, 1), Verdict::kStale);
  EXPECT_EQ(VerdictOf(table, kA, 2), Verdict::kKnown);
}

TEST(SessionTableTest, CallsASequenceStaleThatWasNeverSeenButIsBelowTheMark) {
  SessionTable table;
  Execute(table, kA, 9, 10, 5);
  EXPECT_EQ(VerdictOf(table, kA, 4), Verdict::kStale);
}

TEST(SessionTableTest, KeepsTheHighestLowWaterMarkItWasTold) {
  SessionTable table;
  Execute(table, kA, 9, 10, 5);
  Execute(table, kA, 10, 11, 3);  // an older command that comes later
  EXPECT_EQ(VerdictOf(table, kA, 4), Verdict::kStale);
}

TEST(SessionTableTest, BeginsNoSessionForACommandThatIsNotRecorded) {
  SessionTable table;
  EXPECT_EQ(table.Enter(kA, 1, 5).verdict, Verdict::kStale);
  EXPECT_EQ(table.Enter(kA, 6, 5).verdict, Verdict::kNew);
  EXPECT_EQ(table.session_count(), 0u);
}

TEST(SessionTableTest, KeepsASessionThatIsIdleForTheWholeBoundAndDropsItAfterwards) {
  SessionTable table;
  table.AdvanceTime(1);
  Execute(table, kA, 1, 10);
  std::uint64_t now = 1;
  for (; now < 1 + kSessionIdleMsMax; now += kSessionClockStepMsMax) table.AdvanceTime(now);
  table.AdvanceTime(1 + kSessionIdleMsMax);
  EXPECT_EQ(table.session_count(), 1u);
  table.AdvanceTime(2 + kSessionIdleMsMax);
  EXPECT_EQ(table.session_count(), 0u);
  EXPECT_EQ(table.reply_count(), 0u);
}

TEST(SessionTableTest, KeepsASessionThatWasActiveMeanwhile) {
  SessionTable table;
  Execute(table, kA, 1, 10);
  Execute(table, kB, 1, 11);
  for (std::uint64_t minute = 1; minute <= 30; ++minute) {
    table.AdvanceTime(minute * kSessionClockStepMsMax);
    table.Enter(kA, 1, 0);
  }
  EXPECT_EQ(VerdictOf(table, kA, 1), Verdict::kKnown);
  EXPECT_EQ(VerdictOf(table, kB, 1), Verdict::kNew);
}

TEST(SessionTableTest, OneJumpOfALeadersClockDropsNoSession) {
  SessionTable table;
  table.AdvanceTime(1'000);
  Execute(table, kA, 1, 10);
  table.AdvanceTime(1'000 + 24 * kSessionIdleMsMax);
  EXPECT_EQ(VerdictOf(table, kA, 1), Verdict::kKnown);
}

TEST(SessionTableTest, TimeThatGoesBackwardChangesNothing) {
  SessionTable table;
  table.AdvanceTime(5'000);
  Execute(table, kA, 1, 10);
  const SessionTable before = table;
  table.AdvanceTime(4'000);
  EXPECT_EQ(table, before);
}

TEST(SessionTableTest, EnteringTheSameEntryTwiceIsAsOnce) {
  SessionTable once;
  Execute(once, kA, 1, 10);
  SessionTable twice = once;
  once.AdvanceTime(50'000);
  EXPECT_EQ(once.Enter(kA, 2, 2).verdict, Verdict::kNew);
  for (int i = 0; i < 2; ++i) {
    twice.AdvanceTime(50'000);
    EXPECT_EQ(twice.Enter(kA, 2, 2).verdict, Verdict::kNew);
  }
  EXPECT_EQ(once, twice);
}

TEST(SessionTableTest, RefusesACommandBeyondASessionsReplies) {
  SessionTable table;
  for (std::uint64_t i = 1; i <= kRepliesPerSessionMax; ++i) Execute(table, kA, i, i);
  EXPECT_EQ(VerdictOf(table, kA, kRepliesPerSessionMax + 1), Verdict::kFull);
  EXPECT_EQ(VerdictOf(table, kA, 1), Verdict::kKnown);  // nothing was forgotten
  EXPECT_EQ(VerdictOf(table, kB, 1), Verdict::kNew);    // others are not hurt
  Execute(table, kA, kRepliesPerSessionMax + 1, 1, 2);  // the mark makes room
}

TEST(SessionTableTest, RefusesACommandBeyondAllReplies) {
  SessionTable table;
  for (std::uint64_t i = 0; i < kRepliesMax; ++i) {
    Execute(table, SessionId(1 + i / kRepliesPerSessionMax), 1 + i % kRepliesPerSessionMax, 1);
  }
  EXPECT_EQ(VerdictOf(table, SessionId(1'000), 1), Verdict::kFull);
  EXPECT_EQ(VerdictOf(table, SessionId(1), 1), Verdict::kKnown);
  const auto decoded = SessionTable::Decode(table.Encode());
  ASSERT_TRUE(decoded.ok()) << decoded.status().ToString();
  EXPECT_EQ(*decoded, table);
}

TEST(SessionTableTest, RefusesASessionBeyondTheBound) {
  SessionTable table;
  for (std::uint64_t i = 1; i <= kSessionsMax; ++i) Execute(table, SessionId(i), 1, i);
  EXPECT_EQ(VerdictOf(table, SessionId(kSessionsMax + 1), 1), Verdict::kFull);
  EXPECT_EQ(VerdictOf(table, SessionId(1), 2), Verdict::kNew);
  EXPECT_EQ(table.session_count(), kSessionsMax);
}

TEST(SessionTableTest, AnEmptyClientStateIsAnEmptyTable) {
  const auto table = SessionTable::Decode("");
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(*table, SessionTable());
}

SessionTable Sample() {
  SessionTable table;
  table.AdvanceTime(1'700'000'000'000);
  Execute(table, kA, 3, 10, 2);
  table.AdvanceTime(1'700'000'000'500);
  Execute(table, kA, 900, 11, 2);
  EXPECT_EQ(table.Enter(kB, UINT64_MAX, 1).verdict, Verdict::kNew);
  table.Record(kB, UINT64_MAX, 1,
               CommandResult{.code = ErrorCode::kPreconditionFailed,
                             .version = Version(12),
                             .current = Version(5),
                             .failed_condition = 1});
  return table;
}

TEST(SessionTableTest, ComesBackFromItsEncodingAsItWas) {
  const SessionTable table = Sample();
  const auto decoded = SessionTable::Decode(table.Encode());
  ASSERT_TRUE(decoded.ok()) << decoded.status().ToString();
  EXPECT_EQ(*decoded, table);
  EXPECT_EQ(decoded->Encode(), table.Encode());
}

TEST(SessionTableTest, RandomTablesComeBackAndBehaveAlike) {
  Random random(20261);
  SessionTable table;
  std::uint64_t time = 1'700'000'000'000;
  for (int step = 0; step < 20'000; ++step) {
    time += random.Below(400);
    const SessionId session(1 + random.Below(40) * random.Below(40));
    const std::uint64_t sequence = 1 + random.Below(200);
    const std::uint64_t low_water = random.Below(sequence + 2);
    table.AdvanceTime(time);
    if (table.Enter(session, sequence, low_water).verdict == Verdict::kNew) {
      table.Record(session, sequence, low_water, Reply(static_cast<std::uint64_t>(step)));
    }
    if (step % 100 != 0) continue;
    auto decoded = SessionTable::Decode(table.Encode());
    ASSERT_TRUE(decoded.ok()) << decoded.status().ToString();
    ASSERT_EQ(*decoded, table);
    table = std::move(decoded).value();  // goes on from it
  }
  EXPECT_GT(table.session_count(), 0u);
}

TEST(SessionTableTest, EveryTruncationIsCorruption) {
  const std::string encoded = Sample().Encode();
  for (std::size_t size = 1; size < encoded.size(); ++size) {
    EXPECT_TRUE(SessionTable::Decode(encoded.substr(0, size)).status().IsCorruption()) << size;
  }
  EXPECT_TRUE(SessionTable::Decode(encoded + "x").status().IsCorruption());
}

struct Damage {
  const char* name;
  std::string bytes;
};

std::string Header(std::uint64_t clock, std::uint64_t sessions) {
  std::string out("\x01", 1);
  PutVarint(out, 5);
  PutVarint(out, clock);
  PutVarint(out, sessions);
  return out;
}

std::string SessionBytes(std::uint64_t id, std::uint64_t low_water, std::uint64_t active,
                         std::uint64_t replies) {
  std::string out;
  PutFixed(out, id);
  PutVarint(out, low_water);
  PutVarint(out, active);
  PutVarint(out, replies);
  return out;
}

std::string ReplyBytes(std::uint64_t delta, ErrorCode code) {
  std::string out;
  PutVarint(out, delta);
  CommandResult reply = Reply(1);
  reply.code = code;
  PutLengthPrefixed(out, proto::EncodeCommandResult(reply));
  return out;
}

TEST(SessionTableTest, TheHandMadeBytesOfTheseTestsDecode) {
  const auto table = SessionTable::Decode(Header(9, 1) + SessionBytes(1, 2, 9, 1) +
                                          ReplyBytes(2, ErrorCode::kPreconditionFailed));
  ASSERT_TRUE(table.ok()) << table.status().ToString();
  EXPECT_EQ(table->reply_count(), 1u);
}

TEST(SessionTableTest, BrokenRulesAreCorruption) {
  const std::vector<Damage> damages = {
      {"unknown format", "\x02" + Header(9, 0).substr(1)},
      {"too many sessions", Header(9, kSessionsMax + 1)},
      {"session 0", Header(9, 1) + SessionBytes(0, 0, 9, 0)},
      {"sessions descend", Header(9, 2) + SessionBytes(2, 0, 9, 0) + SessionBytes(1, 0, 9, 0)},
      {"session twice", Header(9, 2) + SessionBytes(2, 0, 9, 0) + SessionBytes(2, 0, 9, 0)},
      {"active in the future", Header(9, 1) + SessionBytes(1, 0, 10, 0)},
      {"idle too long", Header(kSessionIdleMsMax + 1, 1) + SessionBytes(1, 0, 0, 0)},
      {"too many replies", Header(9, 1) + SessionBytes(1, 0, 9, kRepliesPerSessionMax + 1)},
      {"reply 0", Header(9, 1) + SessionBytes(1, 0, 9, 1) + ReplyBytes(0, ErrorCode::kOk)},
      {"reply below the mark",
       Header(9, 1) + SessionBytes(1, 5, 9, 1) + ReplyBytes(4, ErrorCode::kOk)},
      {"sequence overflows", Header(9, 1) + SessionBytes(1, 0, 9, 2) +
                                 ReplyBytes(UINT64_MAX, ErrorCode::kOk) +
                                 ReplyBytes(1, ErrorCode::kOk)},
      {"code never kept",
       Header(9, 1) + SessionBytes(1, 0, 9, 1) + ReplyBytes(1, ErrorCode::kStaleSequence)},
      {"no result", Header(9, 1) + SessionBytes(1, 0, 9, 1) + "\x01\x01\x07"},
  };
  for (const auto& damage : damages) {
    EXPECT_TRUE(SessionTable::Decode(damage.bytes).status().IsCorruption()) << damage.name;
  }
}

}  // namespace
}  // namespace bedrock::storage
