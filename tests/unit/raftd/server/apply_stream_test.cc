#include "raftd/server/apply_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "common/env/random.h"

namespace bedrock::raft {
namespace {

using Effect = ApplyStream::Effect;
using proto::ErrorCode;

constexpr BootId kBoot{11};

Entry MakeEntry(std::uint64_t index) {
  return {.index = LogIndex(index), .term = Term(1), .payload = Bytes::Copy("x")};
}

/// [first, last], of which the core still holds those from `held` on.
ApplyRange Range(std::uint64_t first, std::uint64_t last, std::uint64_t held) {
  ApplyRange range{.first = LogIndex(first), .last = LogIndex(last), .entries = {}};
  for (std::uint64_t i = held; i <= last; ++i) range.entries.push_back(MakeEntry(i));
  return range;
}

proto::ApplyProgress Progress(std::uint64_t applied, std::uint64_t durable = 0) {
  return {.applied = LogIndex(applied), .durable_applied = LogIndex(durable)};
}

std::string Describe(const std::optional<ApplyStream::Action>& action) {
  if (!action) return "nothing";
  if (const auto* send = std::get_if<ApplyStream::Send>(&*action)) {
    return "send " + std::to_string(send->entries.front().index.value()) + ".." +
           std::to_string(send->entries.back().index.value());
  }
  if (const auto* load = std::get_if<ApplyStream::Load>(&*action)) {
    return "load " + std::to_string(load->first.value()) + ".." +
           std::to_string(load->last.value());
  }
  return "probe";
}

class ApplyStreamTest : public ::testing::Test {
 protected:
  std::string Next(std::uint64_t now_ms) { return Describe(stream_.Next(now_ms)); }

  ApplyStream stream_{ApplyStream::Limits{}, 0};
};

TEST_F(ApplyStreamTest, NothingIsSentBeforeStoragedSaysWhereItIs) {
  stream_.Add(Range(1, 3, 1));
  EXPECT_EQ(Next(0), "probe");
  EXPECT_EQ(Next(0), "nothing");
  EXPECT_EQ(Next(49), "nothing");
  EXPECT_EQ(Next(50), "probe");
  EXPECT_EQ(stream_.Health(50), ErrorCode::kStorageUnavailable);
  EXPECT_EQ(stream_.OnProgress(kBoot, Progress(2, 1), 60), Effect::kRestart);
  EXPECT_EQ(stream_.applied(), LogIndex(2));
  EXPECT_EQ(stream_.durable_applied(), LogIndex(1));
  EXPECT_EQ(stream_.Health(60), ErrorCode::kOk);
  // The core hands out again what storaged has not.
  stream_.Add(Range(3, 3, 3));
  EXPECT_EQ(Next(60), "send 3..3");
}

TEST_F(ApplyStreamTest, WhatTheCoreNoLongerHoldsIsLoadedPieceByPiece) {
  stream_.OnProgress(kBoot, Progress(0), 0);
  stream_.Add(Range(1, 9, 7));
  auto action = stream_.Next(0);
  ASSERT_EQ(Describe(action), "load 1..6");
  EXPECT_EQ(Next(0), "nothing");
  const std::uint64_t round = std::get<ApplyStream::Load>(*action).round;
  stream_.Loaded(round, {MakeEntry(1), MakeEntry(2)});
  EXPECT_EQ(Next(0), "send 1..2");
  EXPECT_EQ(Next(0), "load 3..6");
  stream_.Loaded(round, {MakeEntry(3), MakeEntry(4), MakeEntry(5), MakeEntry(6)});
  EXPECT_EQ(Next(0), "send 3..6");
  EXPECT_EQ(Next(0), "send 7..9");
}

TEST_F(ApplyStreamTest, ARangeThatTheCoreHoldsNothingOfIsLoadedWhole) {
  stream_.OnProgress(kBoot, Progress(0), 0);
  stream_.Add(Range(1, 2, 3));
  auto action = stream_.Next(0);
  ASSERT_EQ(Describe(action), "load 1..2");
  stream_.Loaded(std::get<ApplyStream::Load>(*action).round, {MakeEntry(1), MakeEntry(2)});
  EXPECT_EQ(Next(0), "send 1..2");
}

TEST_F(ApplyStreamTest, AnAnswerToALoadFromBeforeARestartIsIgnored) {
  stream_.OnProgress(kBoot, Progress(0), 0);
  stream_.Add(Range(1, 2, 3));
  const auto action = stream_.Next(0);
  EXPECT_EQ(stream_.OnProgress(BootId(12), Progress(1), 1), Effect::kRestart);
  stream_.Loaded(std::get<ApplyStream::Load>(*action).round, {MakeEntry(1)});
  stream_.Add(Range(2, 2, 2));
  EXPECT_EQ(Next(1), "send 2..2");
}

TEST_F(ApplyStreamTest, AnotherBootIdIsARestart) {
  stream_.OnProgress(kBoot, Progress(0), 0);
  stream_.Add(Range(1, 2, 1));
  Next(0);
  EXPECT_EQ(stream_.OnProgress(kBoot, Progress(2, 0), 1), Effect::kAdvance);
  EXPECT_EQ(stream_.OnProgress(BootId(12), Progress(0, 0), 2), Effect::kRestart);
}

TEST_F(ApplyStreamTest, MoreAppliedThanWasSentIsARestart) {
  stream_.OnProgress(kBoot, Progress(0), 0);
  stream_.Add(Range(1, 5, 1));
  // The raftd before this one had sent up to 3.
  EXPECT_EQ(stream_.OnProgress(kBoot, Progress(3), 1), Effect::kRestart);
  stream_.Add(Range(4, 5, 4));
  EXPECT_EQ(Next(1), "send 4..5");
}

TEST_F(ApplyStreamTest, AFailedSendMeansAskingAgain) {
  stream_.OnProgress(kBoot, Progress(0), 0);
  stream_.Add(Range(1, 2, 1));
  EXPECT_EQ(Next(100), "send 1..2");
  stream_.SendFailed(100);
  EXPECT_EQ(Next(100), "probe");
  EXPECT_EQ(stream_.OnProgress(kBoot, Progress(0), 120), Effect::kRestart);
}

TEST_F(ApplyStreamTest, AnAnswerThatShowsNoAdvanceAfterAProbeProvesALoss) {
  stream_.OnProgress(kBoot, Progress(0), 0);
  stream_.Add(Range(1, 2, 1));
  EXPECT_EQ(Next(0), "send 1..2");
  EXPECT_EQ(Next(249), "nothing");
  EXPECT_EQ(Next(250), "probe");
  EXPECT_EQ(stream_.OnProgress(kBoot, Progress(0), 251), Effect::kRestart);
}

TEST_F(ApplyStreamTest, AnAnswerThatShowsAnAdvanceAfterAProbeDoesNot) {
  stream_.OnProgress(kBoot, Progress(0), 0);
  stream_.Add(Range(1, 2, 1));
  Next(0);
  EXPECT_EQ(Next(250), "probe");
  EXPECT_EQ(stream_.OnProgress(kBoot, Progress(1), 251), Effect::kAdvance);
  EXPECT_EQ(stream_.OnProgress(kBoot, Progress(1), 252), Effect::kAdvance);
}

TEST_F(ApplyStreamTest, SilenceAfterASendIsUnavailability) {
  stream_.OnProgress(kBoot, Progress(0), 0);
  EXPECT_EQ(stream_.Health(100'000), ErrorCode::kOk);
  stream_.Add(Range(1, 2, 1));
  Next(100'000);
  EXPECT_EQ(stream_.Health(100'999), ErrorCode::kOk);
  EXPECT_EQ(stream_.Health(101'000), ErrorCode::kStorageUnavailable);
  stream_.OnProgress(kBoot, Progress(2), 101'001);
  EXPECT_EQ(stream_.Health(101'001), ErrorCode::kOk);
}

TEST_F(ApplyStreamTest, AnIdleStoragedThatDoesNotAnswerProbesIsUnavailable) {
  stream_.OnProgress(kBoot, Progress(0), 0);
  EXPECT_EQ(Next(250), "probe");
  EXPECT_EQ(stream_.Health(1249), ErrorCode::kOk);
  EXPECT_EQ(stream_.Health(1250), ErrorCode::kStorageUnavailable);
}

TEST_F(ApplyStreamTest, WhatStoragedReportsOfItselfIsItsHealth) {
  proto::ApplyProgress progress = Progress(0);
  progress.health = ErrorCode::kStorageFull;
  stream_.OnProgress(kBoot, progress, 0);
  EXPECT_EQ(stream_.Health(0), ErrorCode::kStorageFull);
}

/// A model of core and storaged around it: whatever is lost, whoever restarts, storaged ends up
/// with every entry, each applied once and in order.
TEST(ApplyStreamModelTest, EveryEntryArrivesInOrderWhateverGetsLost) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    Random random(seed);
    ApplyStream stream(ApplyStream::Limits{}, 0);
    constexpr std::uint64_t kLast = 60;
    std::uint64_t now_ms = 0;
    std::uint64_t handed = 0;   // the core's cursor
    std::uint64_t applied = 0;  // storaged's
    std::uint64_t durable = 0;
    std::uint64_t boot = 1;
    struct Frame {
      bool probe = false;
      std::vector<Entry> entries;
    };
    std::deque<Frame> to_storage;
    std::deque<std::pair<std::uint64_t, proto::ApplyProgress>> to_raftd;
    const auto faults = [&] { return now_ms < 20'000; };

    for (; now_ms < 60'000 && (faults() || stream.applied() < LogIndex(kLast));
         now_ms += random.Between(1, 40)) {
      if (handed < kLast && random.Chance(1, 3)) {
        const std::uint64_t last = std::min(kLast, handed + random.Between(1, 8));
        stream.Add(Range(handed + 1, last, random.Between(handed + 1, last + 1)));
        handed = last;
      }
      while (auto action = stream.Next(now_ms)) {
        if (const auto* load = std::get_if<ApplyStream::Load>(&*action)) {
          std::vector<Entry> entries;
          const std::uint64_t last = random.Between(load->first.value(), load->last.value());
          for (std::uint64_t i = load->first.value(); i <= last; ++i) {
            entries.push_back(MakeEntry(i));
          }
          stream.Loaded(load->round, std::move(entries));
          continue;
        }
        if (faults() && random.Chance(1, 20)) {
          stream.SendFailed(now_ms);
          break;
        }
        if (faults() && random.Chance(1, 20)) continue;  // lost without a word
        Frame frame{.probe = std::holds_alternative<ApplyStream::Probe>(*action)};
        if (!frame.probe) frame.entries = std::get<ApplyStream::Send>(*action).entries;
        to_storage.push_back(std::move(frame));
      }
      while (!to_storage.empty() && random.Chance(2, 3)) {
        const Frame frame = std::move(to_storage.front());
        to_storage.pop_front();
        for (const Entry& entry : frame.entries) {
          if (entry.index.value() > applied + 1) break;  // a gap
          if (entry.index.value() == applied + 1) ++applied;
        }
        if (random.Chance(1, 4)) durable = applied;
        to_raftd.emplace_back(boot, Progress(applied, durable));
      }
      if (faults() && random.Chance(1, 60)) {  // storaged dies and comes back
        applied = durable;
        ++boot;
        to_storage.clear();
        to_raftd.clear();
        if (random.Chance(1, 2)) stream.SendFailed(now_ms);
      }
      while (!to_raftd.empty() && random.Chance(2, 3)) {
        const auto [from, progress] = to_raftd.front();
        to_raftd.pop_front();
        if (stream.OnProgress(BootId(from), progress, now_ms) == Effect::kRestart) {
          handed = progress.applied.value();
        }
      }
    }
    ASSERT_EQ(applied, kLast) << "seed " << seed;
    ASSERT_EQ(stream.applied(), LogIndex(kLast)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace bedrock::raft
