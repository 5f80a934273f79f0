#include "storaged/core/read_queue.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/env/random.h"

namespace bedrock::storage {
namespace {

WaitingRead Read(std::uint64_t request, std::uint64_t min_version, std::uint64_t deadline_ms,
                 std::string key = "k") {
  return {.from = "router",
          .request = RequestId(request),
          .subject = Bytes(std::move(key)),
          .min_version = Version(min_version),
          .deadline_ms = deadline_ms};
}

std::vector<std::uint64_t> ReadyAt(ReadQueue& queue, std::uint64_t applied) {
  std::vector<std::uint64_t> requests;
  while (const auto read = queue.TakeReady(Version(applied))) {
    requests.push_back(read->request.value());
  }
  return requests;
}

TEST(ReadQueueTest, GivesReadsOnceTheirVersionIsApplied) {
  ReadQueue queue;
  ASSERT_TRUE(queue.Add(Read(1, 10, 100)));
  EXPECT_FALSE(queue.HasReady(Version(9)));
  EXPECT_TRUE(queue.HasReady(Version(10)));
  EXPECT_EQ(ReadyAt(queue, 10), (std::vector<std::uint64_t>{1}));
  EXPECT_EQ(queue.size(), 0u);
}

TEST(ReadQueueTest, LowerVersionsGoFirstAndEqualOnesInOrderOfArrival) {
  ReadQueue queue;
  ASSERT_TRUE(queue.Add(Read(1, 12, 100)));
  ASSERT_TRUE(queue.Add(Read(2, 11, 100)));
  ASSERT_TRUE(queue.Add(Read(3, 12, 50)));
  ASSERT_TRUE(queue.Add(Read(4, 13, 50)));
  EXPECT_EQ(ReadyAt(queue, 12), (std::vector<std::uint64_t>{2, 1, 3}));
  EXPECT_EQ(queue.size(), 1u);
}

TEST(ReadQueueTest, ExpiresAtTheDeadlineAndNotBefore) {
  ReadQueue queue;
  ASSERT_TRUE(queue.Add(Read(1, 10, 100)));
  ASSERT_TRUE(queue.Add(Read(2, 10, 90)));
  EXPECT_EQ(queue.NextDeadline(), 90u);
  EXPECT_EQ(queue.TakeExpired(89), std::nullopt);
  EXPECT_EQ(queue.TakeExpired(90)->request, RequestId(2));
  EXPECT_EQ(queue.TakeExpired(90), std::nullopt);
  EXPECT_EQ(queue.NextDeadline(), 100u);
}

TEST(ReadQueueTest, AReadThatWasTakenDoesNotExpire) {
  ReadQueue queue;
  ASSERT_TRUE(queue.Add(Read(1, 10, 100)));
  ReadyAt(queue, 10);
  EXPECT_EQ(queue.TakeExpired(1'000), std::nullopt);
  EXPECT_EQ(queue.NextDeadline(), std::nullopt);
}

TEST(ReadQueueTest, RefusesBeyondItsNumberOfReads) {
  ReadQueue queue;
  for (std::size_t i = 0; i < kWaitingReadsMax; ++i) ASSERT_TRUE(queue.Add(Read(i, 10, 100)));
  EXPECT_FALSE(queue.Add(Read(0, 10, 100)));
  ASSERT_NE(queue.TakeAny(), std::nullopt);
  EXPECT_TRUE(queue.Add(Read(0, 10, 100)));
}

TEST(ReadQueueTest, RefusesBeyondItsBytesOfKeysAndCountsThemBack) {
  ReadQueue queue;
  const std::size_t key_bytes = 8'192;
  for (std::size_t i = 0; i < kWaitingReadsBytesMax / key_bytes; ++i) {
    ASSERT_TRUE(queue.Add(Read(i, 10, 100, std::string(key_bytes, 'k'))));
  }
  EXPECT_FALSE(queue.Add(Read(0, 10, 100)));
  ASSERT_NE(queue.TakeExpired(100), std::nullopt);
  EXPECT_TRUE(queue.Add(Read(0, 10, 100)));
}

TEST(ReadQueueTest, CopiesTheKeySoThatItsFrameCanGo) {
  ReadQueue queue;
  const Bytes frame(std::string(1'000, 'f') + "key");
  WaitingRead read = Read(1, 10, 100);
  read.subject = frame.Slice(frame.view().substr(1'000));
  const char* in_frame = read.subject.data();
  ASSERT_TRUE(queue.Add(std::move(read)));
  const auto taken = queue.TakeAny();
  EXPECT_EQ(taken->subject.view(), "key");
  EXPECT_NE(taken->subject.data(), in_frame);
}

// Against a plain list.
TEST(ReadQueueTest, BehavesLikeASortedList) {
  Random random(4711);
  ReadQueue queue;
  std::vector<WaitingRead> model;  // in order of arrival
  const auto remove = [&model](auto best) {
    WaitingRead read = *best;
    model.erase(best);
    return read;
  };
  for (std::uint64_t step = 0; step < 20'000; ++step) {
    const std::uint64_t choice = random.Below(4);
    if (choice < 2) {
      const auto read = Read(step, random.Below(50), random.Below(50));
      ASSERT_TRUE(queue.Add(read));
      model.push_back(read);
    } else if (choice == 2) {
      const std::uint64_t applied = random.Below(50);
      auto best = model.end();
      for (auto i = model.begin(); i != model.end(); ++i) {
        const bool better = best == model.end() || i->min_version < best->min_version;
        if (i->min_version.value() <= applied && better) best = i;
      }
      const auto taken = queue.TakeReady(Version(applied));
      ASSERT_EQ(taken.has_value(), best != model.end());
      if (taken) {
        ASSERT_EQ(taken->request, remove(best).request);
      }
    } else {
      const std::uint64_t now = random.Below(50);
      const auto taken = queue.TakeExpired(now);
      auto earliest = model.end();
      for (auto i = model.begin(); i != model.end(); ++i) {
        if (earliest == model.end() || i->deadline_ms < earliest->deadline_ms) earliest = i;
      }
      const bool expired = earliest != model.end() && earliest->deadline_ms <= now;
      ASSERT_EQ(taken.has_value(), expired);
      if (!taken) continue;
      ASSERT_EQ(taken->deadline_ms, earliest->deadline_ms);
      for (auto i = model.begin(); i != model.end(); ++i) {
        if (i->request == taken->request) {
          model.erase(i);
          break;
        }
      }
    }
    ASSERT_EQ(queue.size(), model.size());
  }
}

}  // namespace
}  // namespace bedrock::storage
