#include "routerd/core/history_keeper.h"

#include <gtest/gtest.h>

#include <optional>

namespace bedrock::router {
namespace {

constexpr std::uint64_t kHistoryMs = 60'000;

/// A node with a keeper: a status every 250 ms, and proposals that commit at once.
class Node {
 public:
  explicit Node(std::uint64_t history_ms = kHistoryMs) : keeper_(history_ms) {}

  void Pass(std::uint64_t ms, std::uint64_t writes_each_status = 0) {
    for (const std::uint64_t end = now_ + ms; now_ < end;) {
      now_ += 250;
      applied_ += writes_each_status;
      keeper_.OnApplied(Version(applied_), Version(watermark_), now_);
      if (const auto due = keeper_.Due(held, now_)) {
        ++proposals;
        watermark_ = due->value();
        keeper_.OnProposed(Version(++applied_));
      }
    }
  }
  std::uint64_t now() const { return now_; }
  std::uint64_t applied() const { return applied_; }
  std::uint64_t watermark() const { return watermark_; }

  std::optional<Version> held;
  int proposals = 0;

 private:
  HistoryKeeper keeper_;
  std::uint64_t now_ = 1'000'000;
  std::uint64_t applied_ = 10;
  std::uint64_t watermark_ = 0;
};

TEST(HistoryKeeperTest, NothingIsDroppedBeforeItIsOldEnough) {
  Node node;
  node.Pass(kHistoryMs - 1000, 1);
  EXPECT_EQ(node.proposals, 0);
  node.Pass(3000, 1);
  EXPECT_EQ(node.proposals, 1);
}

TEST(HistoryKeeperTest, TheWatermarkFollowsAtTheAgeOfTheHistory) {
  Node node;
  node.Pass(2 * kHistoryMs, 1);
  const std::uint64_t then = node.applied();
  node.Pass(kHistoryMs, 1);
  EXPECT_LE(node.watermark(), then) << "what was the newest a history ago is kept";
  EXPECT_GT(node.watermark(), then - 80) << "but not much more";
}

TEST(HistoryKeeperTest, AnIdleClusterComesToRest) {
  Node node;
  node.Pass(kHistoryMs, 1);
  const std::uint64_t last_write = node.applied();
  node.Pass(10 * kHistoryMs);
  const int proposals = node.proposals;
  EXPECT_GE(node.watermark(), last_write) << "all that was overwritten may go";
  node.Pass(100 * kHistoryMs);
  EXPECT_EQ(node.proposals, proposals);
}

TEST(HistoryKeeperTest, WhatIsStillReadHoldsItBack) {
  Node node;
  node.Pass(kHistoryMs, 1);
  node.held = Version(20);
  node.Pass(5 * kHistoryMs, 1);
  EXPECT_EQ(node.watermark(), 20U);
  node.held.reset();
  node.Pass(20'000, 1);
  EXPECT_GT(node.watermark(), 20U);
}

TEST(HistoryKeeperTest, AShortHistoryIsDroppedOften) {
  Node node(1000);
  node.Pass(20'000, 1);
  EXPECT_GE(node.proposals, 10);
}

TEST(HistoryKeeperTest, NoneMeansThatAllIsKept) {
  Node node(0);
  node.Pass(3'600'000, 1);
  EXPECT_EQ(node.proposals, 0);
}

TEST(HistoryKeeperTest, AFailedProposalIsMadeAgain) {
  HistoryKeeper keeper(1000);
  std::uint64_t now = 0;
  for (; now <= 5000; now += 250) keeper.OnApplied(Version(10 + now), Version(), now);
  const auto first = keeper.Due(std::nullopt, now);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(keeper.Due(std::nullopt, now + 5000), std::nullopt) << "one at a time";
  keeper.OnProposed(std::nullopt);
  EXPECT_EQ(keeper.Due(std::nullopt, now + 5000), first);
}

}  // namespace
}  // namespace bedrock::router
