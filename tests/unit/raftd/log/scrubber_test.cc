#include "raftd/log/scrubber.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/raftd/log/log_fixture.h"

namespace bedrock::raft {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::IsEmpty;
using ::testing::Lt;
using ::testing::SizeIs;

class ScrubberTest : public LogFixture {
 protected:
  void Fill(std::uint64_t last) {
    Open();
    for (std::uint64_t i = 1; i <= last; ++i) {
      SubmitAndSync(writes_.Vote(1, 2).Add(i, i, 1, i % 7 == 0 ? 9000 : 700).Commit(i - 1));
    }
    ASSERT_GE(Names(kSegmentSuffix).size(), 4U);
  }
  /// One scrub of everything, in steps of these bytes.
  std::vector<Scrubbed::Damage> ScrubAll(std::size_t bytes) {
    std::vector<Scrubbed::Damage> found;
    for (int step = 0; step < 10'000; ++step) {
      const Result<Scrubbed> scrubbed = log_->Scrub(bytes);
      EXPECT_TRUE(scrubbed.ok()) << scrubbed.status().ToString();
      if (!scrubbed.ok()) return found;
      if (scrubbed->damage) found.push_back(*scrubbed->damage);
      if (scrubbed->done) return found;
    }
    ADD_FAILURE() << "it never ends";
    return found;
  }
  std::uint64_t Written() { return Names(kSegmentSuffix).size(); }
};

TEST_F(ScrubberTest, AWholeLogIsFoundWholeInStepsOfAnySize) {
  Fill(60);
  for (const std::size_t bytes : {1U, 5000U, 1U << 20}) EXPECT_THAT(ScrubAll(bytes), IsEmpty());
  Open();
  EXPECT_THAT(ScrubAll(5000), IsEmpty());
}

TEST_F(ScrubberTest, AnEmptyLogIsDoneAtOnce) {
  Open();
  EXPECT_TRUE(log_->Scrub(1)->done);
  EXPECT_TRUE(log_->Scrub(1)->done);
}

/// As recovery would: whatever byte of a batch rots, also of one that a cut has made void.
TEST_F(ScrubberTest, EveryRottenByteOfAClosedSegmentIsFoundWithItsPlaceAndToldOnce) {
  Fill(30);
  SubmitAndSync(writes_.Cut(25).Vote(2, 2).Add(25, 40, 2, 700));
  const std::string whole = Content(SegmentPath(2));
  for (std::uint64_t at = 0; at < whole.size(); at += 61) {
    Open();
    const bool is_padding = at >= kPageBytes && whole[at] == '\0';
    const bool is_blank = at > 128 && at < kPageBytes;
    if (is_padding || is_blank) continue;
    ASSERT_TRUE(files().FlipBit(SegmentPath(2), 8 * at).ok());
    const auto found = ScrubAll(5000);
    ASSERT_THAT(found, SizeIs(1)) << at;
    EXPECT_EQ(found[0].segment, 2U);
    EXPECT_EQ(found[0].recoverable, at >= kPageBytes);
    EXPECT_LE(found[0].offset, at);
    EXPECT_THAT(ScrubAll(5000), IsEmpty()) << "told before";
    ASSERT_TRUE(files().FlipBit(SegmentPath(2), 8 * at).ok());
  }
}

TEST_F(ScrubberTest, WhatRecoveryToldIsNotToldAgain) {
  Fill(60);
  Damage(SegmentPath(2), kPageBytes + 100, kPageBytes + 110);
  Open();
  ASSERT_TRUE(log_->recovered().health.damaged);
  EXPECT_THAT(ScrubAll(5000), IsEmpty());
  Damage(SegmentPath(3), kPageBytes + 100, kPageBytes + 110);
  EXPECT_THAT(ScrubAll(5000), SizeIs(1));
}

TEST_F(ScrubberTest, TheSegmentThatIsWrittenIsLeftAlone) {
  Fill(60);
  Damage(SegmentPath(Written()), kPageBytes + 100, kPageBytes + 110);
  EXPECT_THAT(ScrubAll(5000), IsEmpty());
}

TEST_F(ScrubberTest, SegmentsMayGoAndComeWhileItRuns) {
  Fill(60);
  Random random(3);
  std::uint64_t last = 60;
  for (int i = 0; i < 300; ++i) {
    const Result<Scrubbed> scrubbed = log_->Scrub(1);
    ASSERT_TRUE(scrubbed.ok()) << scrubbed.status().ToString();
    ASSERT_FALSE(scrubbed->damage);
    if (random.Chance(1, 3)) {
      ++last;
      SubmitAndSync(writes_.Add(last, last, 1, 3000));
    }
    if (random.Chance(1, 20)) {
      ASSERT_TRUE(log_->Compact(LogIndex(last - 3)).ok());
    }
    executor_.RunAll();  // files are recycled
  }
}

TEST_F(ScrubberTest, AFileThatCannotBeReadIsToldAndPassedOver) {
  Fill(60);
  files().Inject({.operations = {MemoryFileSystem::Operation::kRead},
                  .path_suffix = SegmentFileName(2, kSegmentSuffix),
                  .forever = MemoryFileSystem::Forever::kYes});
  int errors = 0;
  bool done = false;
  for (int i = 0; i < 1000 && !done; ++i) {
    const Result<Scrubbed> scrubbed = log_->Scrub(5000);
    if (!scrubbed.ok()) ++errors;
    done = scrubbed.ok() && scrubbed->done;
  }
  EXPECT_TRUE(done);
  EXPECT_THAT(errors, AllOf(Ge(1), Lt(3)));
  files().ClearFaults();
  SubmitAndSync(writes_.Add(61, 61, 1));
}

}  // namespace
}  // namespace bedrock::raft
