#include "storaged/core/membership_record.h"

#include <gtest/gtest.h>

#include <string>

#include "storaged/core/keyspace.h"
#include "tests/unit/storaged/core/machine_fixture.h"
#include "tests/unit/storaged/core/replica.h"

namespace bedrock::storage {
namespace {

raft::Entry Members(std::uint64_t index, const std::string& payload) {
  return MakeEntry(index, payload, raft::EntryKind::kMembership);
}

TEST(MembershipRecordTest, ComesBackAsItWas) {
  for (const std::string& payload :
       {std::string(), std::string("members"), std::string(70'000, 'm')}) {
    const auto record = DecodeMembershipRecord(EncodeMembershipRecord(LogIndex(300), payload));
    ASSERT_TRUE(record.ok());
    EXPECT_EQ(record->index, LogIndex(300));
    EXPECT_EQ(record->payload.view(), payload);
  }
  EXPECT_TRUE(DecodeMembershipRecord("").status().IsCorruption());
  EXPECT_TRUE(DecodeMembershipRecord("\xff").status().IsCorruption());
  EXPECT_TRUE(DecodeMembershipRecord(std::string(1, '\0')).status().IsCorruption());
}

class DurableProgressTest : public MachineTest {
 protected:
  DurableProgress progress_;
};

TEST_F(DurableProgressTest, TellsOfTheMembersAsOfWhatIsDurable) {
  Apply(Members(1, "one"));
  Apply(Noop(2));
  machine_->StartFlush();
  Apply(Members(3, "three"));
  Apply(Members(4, "four"));
  machine_->StartFlush();
  Apply(Members(5, "five"));

  ASSERT_TRUE(progress_.Follow(*engine_).ok());
  EXPECT_EQ(progress_.mark(), engine::AppliedMark());
  EXPECT_EQ(progress_.membership(), MembershipRecord());
  engine_->FinishFlush();
  ASSERT_TRUE(progress_.Follow(*engine_).ok());
  EXPECT_EQ(progress_.mark().index, LogIndex(2));
  EXPECT_EQ(progress_.mark().term, Term(1));
  EXPECT_EQ(progress_.membership().index, LogIndex(1));
  EXPECT_EQ(progress_.membership().payload.view(), "one");
  engine_->FinishFlush();
  ASSERT_TRUE(progress_.Follow(*engine_).ok());
  EXPECT_EQ(progress_.mark().index, LogIndex(4));
  EXPECT_EQ(progress_.membership().payload.view(), "four");
}

TEST_F(DurableProgressTest, MovesNotWhereTheMembersCannotBeRead) {
  Apply(Members(1, "one"));
  Flush();
  ASSERT_TRUE(progress_.Follow(*engine_).ok());
  Apply(Members(2, "two"));
  Flush();
  engine_->get_status = Status::Corruption("000002.sst: offset 5");
  EXPECT_TRUE(progress_.Follow(*engine_).IsCorruption());
  EXPECT_EQ(progress_.mark().index, LogIndex(1));
  EXPECT_EQ(progress_.membership().payload.view(), "one");
  engine_->get_status = Status::Ok();
  ASSERT_TRUE(progress_.Follow(*engine_).ok());
  EXPECT_EQ(progress_.mark().index, LogIndex(2));
}

TEST(MembershipReplayTest, TheRecordIsThatOfTheNewestEntryWhateverCrashed) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    Replica replica(seed);
    Random random(seed);
    std::uint64_t newest = 0;
    const auto kind = [](std::uint64_t index) { return index % 7 == 3; };
    while (replica.next_index() < 400) {
      const std::uint64_t index = replica.next_index();
      replica.Apply(kind(index) ? Members(index, "members " + std::to_string(index))
                                : MakeEntry(index, PutCommand(1, index, "k", "v", index)));
      if (random.Chance(1, 5)) replica.RunOne();
      if (random.Chance(1, 30)) replica.StartFlush();
      if (random.Chance(1, 60)) replica.Crash(MemoryFileSystem::CrashMode::kRandom);
      newest = replica.machine().applied().value();
      while (newest > 0 && !kind(newest)) --newest;
      const auto record = ReadMembershipRecord(replica.engine(), replica.machine().newest());
      ASSERT_TRUE(record.ok());
      ASSERT_EQ(record->index, LogIndex(newest));
      ASSERT_EQ(record->payload.view(), newest == 0 ? "" : "members " + std::to_string(newest));
    }
  }
}

}  // namespace
}  // namespace bedrock::storage
