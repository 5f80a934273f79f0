#include "common/codec/coding.h"
#include "common/codec/crc32c.h"
#include "common/record/record_format.h"
#include "common/record/record_reader.h"
#include "raftd/log/segment_scanner.h"
#include "tests/unit/raftd/log/log_fixture.h"

namespace bedrock::raft {
namespace {

using CrashMode = MemoryFileSystem::CrashMode;

/// A log whose batches can be found and damaged one by one.
class RecoveryTest : public LogFixture {
 protected:
  std::vector<Batch> Batches(std::uint64_t segment) {
    const std::string content = Content(SegmentPath(segment));
    const auto header = DecodeSegmentHeader(content);
    EXPECT_TRUE(header.ok());
    return ScanSegment(content, segment, {header->prev_seq, header->chain}).batches;
  }
  /// Makes the `n`th batch of a segment unreadable, padding aside.
  void DamageBatch(std::size_t n, std::uint64_t segment = 1) {
    log_.reset();
    const auto batches = Batches(segment);
    ASSERT_LT(n, batches.size());
    Damage(SegmentPath(segment), batches[n].start, batches[n].start + batches[n].tail.bytes);
  }
  void ExpectCorruption(std::string_view part) {
    const auto opened = TryOpen();
    ASSERT_FALSE(opened.ok());
    EXPECT_TRUE(opened.status().IsCorruption()) << opened.status().ToString();
    EXPECT_NE(opened.status().message().find(part), std::string_view::npos)
        << opened.status().ToString();
  }
  Health health() const { return log_->recovered().health; }
  IndexRange Range(std::uint64_t first, std::uint64_t last) {
    return {LogIndex(first), LogIndex(last)};
  }
  /// Segments 1 to 3 or more, four entries in each.
  void FillSegments(std::uint64_t last) {
    for (std::uint64_t i = 1; i <= last; ++i)
      SubmitAndSync(writes_.Vote(1, 2).Add(i, i, 1, 3000).Commit(i - 1));
  }
};

// ---- Verdict 1: clean

TEST_F(RecoveryTest, CleanToTheEndStarts) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 3, 1));
  SubmitAndSync(writes_.Add(4, 5, 1));
  Open();
  EXPECT_EQ(health(), Health());
  EXPECT_EQ(ReadAll(), Entries(1, 5, 1));
}

// ---- Verdict 2: torn

TEST_F(RecoveryTest, BadBytesBeyondWhatWasProvedAreATornTailAndCut) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 3, 1));
  SubmitAndSync(writes_.Add(4, 5, 1, 2000));
  DamageBatch(1);
  // A whole record of the torn batch must not come back to life behind a shorter new batch.
  Open();
  EXPECT_TRUE(health().torn_tail);
  EXPECT_FALSE(health().damaged);
  EXPECT_FALSE(health().lost_up_to);
  EXPECT_EQ(ReadAll(), Entries(1, 3, 1));
  EXPECT_EQ(log_->recovered().vote, MakeVote(1, 2));
  SubmitAndSync(writes_.Add(4, 4, 1));
  Open();
  EXPECT_EQ(health(), Health());
  EXPECT_EQ(ReadAll(), Entries(1, 4, 1));
}

TEST_F(RecoveryTest, ATornTailIsZeroedDurablyBeforeTheFirstAppend) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 3, 1));
  SubmitAndSync(writes_.Add(4, 9, 1, 1000));
  const std::uint64_t start = Batches(1).at(1).start;
  log_.reset();
  Damage(SegmentPath(1), start, start + 100);  // five whole records stay
  Open();
  EXPECT_TRUE(health().torn_tail);
  Crash(CrashMode::kLoseUnsynced);
  const std::string content = Content(SegmentPath(1));
  EXPECT_EQ(content.find_first_not_of('\0', start), std::string::npos);
}

TEST_F(RecoveryTest, AWholeBatchBehindATornOneIsCutAsWell) {
  // Two batches reach the disk between two syncs: an unordered cache keeps only the second.
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 1, 1));
  SubmitAndSync(writes_.Add(2, 2, 1));
  SubmitAndSync(writes_.Add(3, 3, 1));
  const auto batches = Batches(1);
  log_.reset();
  // The third says that only the first was durable, as it would have.
  std::string content = Content(SegmentPath(1));
  std::string third;
  record::RecordReader reader(std::string_view(content).substr(batches[2].start), 0, 1);
  while (reader.Next() == record::Finding::kRecord) {
    record::Record record = reader.record();
    std::string payload(record.payload);
    if (record.type == static_cast<std::uint8_t>(RecordType::kEnd)) {
      BatchEnd end = batches[2].tail;
      end.synced.offset = batches[1].start;
      payload = EncodeBatchEnd(end, batches[1].tail.chain);
      record.payload = payload;
    }
    record::AppendRecord(third, record);
    if (record.type == static_cast<std::uint8_t>(RecordType::kEnd)) break;
  }
  ASSERT_TRUE(files().Overwrite(SegmentPath(1), batches[2].start, third).ok());
  Damage(SegmentPath(1), batches[1].start, batches[1].start + 50);
  Open();
  EXPECT_TRUE(health().torn_tail);
  EXPECT_FALSE(health().damaged);
  EXPECT_EQ(ReadAll(), Entries(1, 1, 1));
  SubmitAndSync(writes_.Add(2, 2, 1, 10));
  Open();
  EXPECT_EQ(ReadAll().size(), 2U);
}

// ---- Verdict 3: damaged

TEST_F(RecoveryTest, ABadBatchBelowWhatWasProvedIsDamageFromTheHintToTheFirstIndexAfterIt) {
  Open();
  SubmitAndSync(writes_.Vote(2, 2).Add(1, 6, 1).Commit(4));
  SubmitAndSync(writes_.Add(7, 9, 1));
  SubmitAndSync(writes_.Add(10, 12, 2));
  SubmitAndSync(writes_.Add(13, 13, 2));
  DamageBatch(1);
  for (int start = 0; start < 3; ++start) {
    Open();
    EXPECT_EQ(health().damaged, Range(5, 9)) << "told at every start";
    EXPECT_FALSE(health().torn_tail);
    EXPECT_EQ(log_->recovered().last_index, LogIndex(13));
    EXPECT_EQ(log_->recovered().terms.back().term, Term(2));
    EXPECT_EQ(log_->recovered().last_time_ms, 2013U);
    EXPECT_EQ(*log_->Read(LogIndex(1), LogIndex(13), 1 << 20), Entries(1, 4, 1));
    EXPECT_TRUE(log_->Read(LogIndex(5), LogIndex(13), 1).status().IsCorruption());
    EXPECT_TRUE(log_->Read(LogIndex(9), LogIndex(13), 1).status().IsCorruption());
    EXPECT_EQ(log_->Read(LogIndex(10), LogIndex(13), 1 << 20)->size(), 4U);
  }
}

TEST_F(RecoveryTest, AnIdleProofTurnsTheLossOfTheLastBatchIntoDamage) {
  Open();
  SubmitAndSync(writes_.Vote(3, 2).Add(1, 6, 1).Commit(6));
  SubmitAndSync(writes_.Add(7, 8, 1).Add(9, 9, 3));
  ASSERT_TRUE(log_->SyncIdle().ok());
  DamageBatch(1);
  for (int start = 0; start < 3; ++start) {
    Open();
    EXPECT_EQ(health().damaged, Range(7, 9));
    EXPECT_EQ(log_->recovered().last_index, LogIndex(9)) << "votes need the true last entry";
    EXPECT_EQ(log_->recovered().terms.back(), (TermRun{LogIndex(9), Term(3)}));
    EXPECT_EQ(log_->recovered().vote, MakeVote(3, 2));
  }
}

TEST_F(RecoveryTest, ACutHiddenInTheBadBatchPutsWhatItMayHaveCutInDoubt) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 9, 1).Commit(3));
  SubmitAndSync(writes_.Vote(2, 1).Cut(5).Add(5, 6, 2));
  SubmitAndSync(writes_.Add(7, 8, 2));
  DamageBatch(1);
  Open();
  EXPECT_EQ(health().damaged, Range(4, 6));
  EXPECT_EQ(log_->recovered().last_index, LogIndex(8)) << "entry 9 was cut";
  EXPECT_EQ(*log_->Read(LogIndex(7), LogIndex(8), 1 << 20), Entries(7, 8, 2));
  EXPECT_EQ(*log_->Read(LogIndex(1), LogIndex(8), 1 << 20), Entries(1, 3, 1));
  EXPECT_EQ(log_->recovered().vote, MakeVote(2, 1)) << "the vote file covers it";
}

TEST_F(RecoveryTest, AHiddenCutMayHaveBroughtLowerTerms) {
  Open();
  SubmitAndSync(writes_.Vote(6, 2).Add(1, 2, 1).Add(3, 6, 5).Commit(2));
  SubmitAndSync(writes_.Cut(3).Add(3, 3, 4));
  SubmitAndSync(writes_.Add(4, 4, 4));
  DamageBatch(1);
  Open();
  EXPECT_EQ(health().damaged, Range(3, 3));
  EXPECT_EQ(log_->recovered().last_index, LogIndex(4));
  EXPECT_EQ(log_->recovered().terms.back().term, Term(4));
}

TEST_F(RecoveryTest, ALaterCutNarrowsTheDamage) {
  Open();
  SubmitAndSync(writes_.Vote(3, 2).Add(1, 6, 1).Commit(2));
  SubmitAndSync(writes_.Add(7, 9, 1));
  SubmitAndSync(writes_.Add(10, 12, 1));
  SubmitAndSync(writes_.Cut(5).Add(5, 7, 3));
  DamageBatch(1);
  Open();
  EXPECT_EQ(health().damaged, Range(3, 4));
  EXPECT_EQ(log_->recovered().last_index, LogIndex(7));
}

TEST_F(RecoveryTest, DamageThatWasRefilledIsNotToldAgain) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 6, 1).Commit(4));
  SubmitAndSync(writes_.Add(7, 9, 1));
  SubmitAndSync(writes_.Add(10, 12, 1));
  DamageBatch(1);
  Open();
  ASSERT_EQ(health().damaged, Range(5, 9));
  SubmitAndSync(writes_.Cut(5).Add(5, 12, 1));
  EXPECT_EQ(*log_->Read(LogIndex(1), LogIndex(12), 1 << 20), Entries(1, 12, 1));
  Open();
  EXPECT_EQ(health(), Health());
  EXPECT_EQ(ReadAll(), Entries(1, 12, 1));
}

TEST_F(RecoveryTest, ARestartInTheMiddleOfARefillStillKnowsHowFarTheLogWent) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 6, 1).Commit(4));
  SubmitAndSync(writes_.Add(7, 9, 1));
  SubmitAndSync(writes_.Add(10, 12, 1));
  DamageBatch(1);
  Open();
  SubmitAndSync(writes_.Cut(5).Add(5, 6, 1));
  Open();
  EXPECT_EQ(log_->recovered().last_index, LogIndex(6));
  EXPECT_EQ(health().lost_up_to, LogIndex(12)) << "entries up to 12 were acknowledged";
  SubmitAndSync(writes_.Add(7, 12, 1));
  Open();
  EXPECT_EQ(health(), Health());
}

TEST_F(RecoveryTest, ANewerTermsEntriesEndARefillThatStaysShorter) {
  Open();
  SubmitAndSync(writes_.Vote(2, 3).Add(1, 6, 1).Commit(4));
  SubmitAndSync(writes_.Add(7, 9, 1));
  SubmitAndSync(writes_.Add(10, 12, 1));
  DamageBatch(1);
  Open();
  SubmitAndSync(writes_.Cut(5).Add(5, 6, 2));
  Open();
  EXPECT_EQ(health(), Health()) << "a leader of term 2 never had the others";
}

TEST_F(RecoveryTest, DamageInAClosedSegmentIsTold) {
  Open();
  FillSegments(10);
  const auto batches = Batches(2);
  log_.reset();
  Damage(SegmentPath(2), batches.back().start, batches.back().start + 100);
  Open();
  const std::uint64_t lost = batches.back().last_index.value();
  ASSERT_TRUE(health().damaged);
  EXPECT_EQ(health().damaged->last, LogIndex(lost));
  EXPECT_EQ(log_->recovered().last_index, LogIndex(10));
  EXPECT_EQ(*log_->Read(LogIndex(lost + 1), LogIndex(10), 1 << 20), Entries(lost + 1, 10, 1, 3000));
}

TEST_F(RecoveryTest, CompactionBehindTheDamageEndsIt) {
  Open();
  FillSegments(14);
  DamageBatch(1);
  Open();
  ASSERT_TRUE(health().damaged);
  SubmitAndSync(writes_.Add(15, 15, 1).Commit(14));
  ASSERT_TRUE(log_->Compact(LogIndex(12)).ok());
  executor_.RunAll();
  Open();
  EXPECT_EQ(health(), Health());
  EXPECT_EQ(log_->recovered().last_index, LogIndex(15));
}

// ---- Where a log may begin

/// A second segment whose header tells of an entry that was cut behind it, which nothing but that
/// CUT says.
class CutBelowASegmentTest : public RecoveryTest {
 protected:
  /// Segment 1 holds entries up to 4 of term 1, and so says the header of segment 2. There those
  /// from `cut_from_` on became ones of term 2, and 5 follows in a batch of its own.
  void CutBelowTheSecondSegment() {
    SubmitAndSync(writes_.Vote(1, 2).Add(1, 3, 1, 3000));
    SubmitAndSync(writes_.Add(4, 4, 1, 3000).Commit(cut_from_ - 1));
    SubmitAndSync(writes_.Vote(2, 3).Cut(cut_from_).Add(cut_from_, 4, 2, 3000));
    SubmitAndSync(writes_.Add(5, 5, 2).Commit(4));
    ASSERT_EQ(Batches(2).front().last_index, LogIndex(4));
  }
  void CompactAllThatMayGo(LogIndex index) {
    ASSERT_TRUE(log_->Compact(index).ok());
    executor_.RunAll();
  }

  std::uint64_t cut_from_ = 4;
};

TEST_F(CutBelowASegmentTest, KeepsTheSegmentBeforeItSoThatRotOfTheCutIsDamageLikeAnyOther) {
  Open();
  CutBelowTheSecondSegment();
  CompactAllThatMayGo(LogIndex(4));
  DamageBatch(0, 2);
  Open();
  EXPECT_EQ(health().damaged, Range(4, 4));
  EXPECT_EQ(log_->recovered().prev_index, LogIndex(0));
  EXPECT_EQ(log_->recovered().last_index, LogIndex(5));
  EXPECT_EQ(log_->recovered().terms.back().term, Term(2));
}

TEST_F(CutBelowASegmentTest, OfMoreThanOneEntryMayBeHiddenByMoreThanOneBatch) {
  cut_from_ = 3;
  Open();
  CutBelowTheSecondSegment();
  SubmitAndSync(writes_.Add(6, 6, 2));
  CompactAllThatMayGo(LogIndex(4));
  DamageBatch(1, 2);
  DamageBatch(0, 2);
  Open();
  EXPECT_EQ(health().damaged, Range(3, 5));
  EXPECT_EQ(log_->recovered().last_index, LogIndex(6));
}

TEST_F(CutBelowASegmentTest, BothGoOnceALaterSegmentBeginsBehindWhatIsNotNeeded) {
  Open();
  CutBelowTheSecondSegment();
  for (std::uint64_t i = 6; i <= 12; ++i) SubmitAndSync(writes_.Add(i, i, 2, 3000));
  CompactAllThatMayGo(LogIndex(12));
  EXPECT_EQ(Names(kSegmentSuffix), std::vector<std::string>{SegmentPath(4).substr(9)});
  Open();
  EXPECT_EQ(log_->recovered().prev_term, Term(2));
  EXPECT_EQ(health(), Health());
}

TEST_F(CutBelowASegmentTest, NeverIsInTheFirstSegmentWhereverACrashComesWhileTheyGo) {
  Open();
  CutBelowTheSecondSegment();
  for (std::uint64_t i = 6; i <= 8; ++i) SubmitAndSync(writes_.Add(i, i, 2, 3000).Commit(i));
  executor_.RunAll();
  ASSERT_EQ(Names(kSegmentSuffix).size(), 3U);
  ASSERT_TRUE(log_->Compact(LogIndex(8)).ok());
  ASSERT_TRUE(executor_.RunOne());
  ASSERT_EQ(Names(kSegmentSuffix).size(), 2U);
  Open();
  EXPECT_GE(log_->recovered().prev_index, LogIndex(5));
  EXPECT_EQ(log_->recovered().prev_term, Term(2));
  EXPECT_EQ(log_->recovered().last_index, LogIndex(8));
  EXPECT_EQ(health(), Health());
}

TEST_F(CutBelowASegmentTest, IsRememberedOverAStart) {
  Open();
  CutBelowTheSecondSegment();
  Open();
  CompactAllThatMayGo(LogIndex(4));
  EXPECT_EQ(Names(kSegmentSuffix).size(), 2U);
}

TEST_F(CutBelowASegmentTest, IsTakenForGrantedWhereDamageMayHideIt) {
  Open();
  CutBelowTheSecondSegment();
  DamageBatch(0, 2);
  Open();
  CompactAllThatMayGo(LogIndex(4));
  EXPECT_EQ(Names(kSegmentSuffix).size(), 2U);
}

TEST_F(CutBelowASegmentTest, ThatIsLostWithTheEndLeavesALogThatStarts) {
  Open();
  CutBelowTheSecondSegment();
  CompactAllThatMayGo(LogIndex(4));
  log_.reset();
  auto file = files().Open(SegmentPath(2), FileSystem::OpenMode::kReadWrite);
  ASSERT_TRUE((*file)->Truncate(kPageBytes).ok());
  Open();
  EXPECT_EQ(log_->recovered().last_index, LogIndex(4)) << "of term 1 again, as nothing tells";
  EXPECT_GE(health().lost_up_to, LogIndex(5)) << "but the loss is known";
}

// ---- Verdict 4: the end is lost

TEST_F(RecoveryTest, AMissingLastSegmentIsALossAndNotAShorterLog) {
  Open();
  FillSegments(10);
  log_.reset();
  const auto names = Names(kSegmentSuffix);
  ASSERT_GE(names.size(), 3U);
  ASSERT_TRUE(files().Remove("raft/log/" + names.back()).ok());
  for (int start = 0; start < 2; ++start) {
    Open();
    EXPECT_GT(health().lost_up_to, log_->recovered().last_index) << "told at every start";
  }
  const std::uint64_t last = log_->recovered().last_index.value();
  SubmitAndSync(writes_.Add(last + 1, 10, 1, 3000));
  Open();
  EXPECT_EQ(health(), Health()) << "refilled";
  EXPECT_EQ(ReadAll(), Entries(1, 10, 1, 3000));
}

class LossTest : public RecoveryTest {
 protected:
  /// Of term 2, while this node was in term 3.
  void LoseEntries4To6() {
    Open();
    SubmitAndSync(writes_.Vote(2, 2).Add(1, 3, 1));
    SubmitAndSync(writes_.Add(4, 6, 2).Commit(6));
    SubmitAndSync(writes_.Vote(3, 3));  // brings the hint into the vote file
    const std::uint64_t second = Batches(1).at(1).start;
    log_.reset();
    auto file = files().Open(SegmentPath(1), FileSystem::OpenMode::kReadWrite);
    ASSERT_TRUE((*file)->Truncate(second).ok());
    Open();
  }
};

// They may be gone for good: uncommitted, and in no other log.
TEST_F(LossTest, AnEntryOfALaterTermEndsIt) {
  LoseEntries4To6();
  ASSERT_EQ(health().lost_up_to, LogIndex(6));
  SubmitAndSync(writes_.Add(4, 4, 3));
  Open();
  EXPECT_EQ(health().lost_up_to, LogIndex(6)) << "they may have been of term 3, too";
  SubmitAndSync(writes_.Vote(4, 3).Add(5, 5, 4));
  Open();
  EXPECT_EQ(health(), Health());
}

// Each start in a later term would put off for ever when that is.
TEST_F(LossTest, ARestartKeepsHowNewWhatWasLostCanHaveBeen) {
  LoseEntries4To6();
  EXPECT_EQ(health().lost_term, Term(3));
  SubmitAndSync(writes_.Vote(7, 3));
  Open();
  EXPECT_EQ(health().lost_up_to, LogIndex(6));
  EXPECT_EQ(health().lost_term, Term(3));
  SubmitAndSync(writes_.Add(4, 4, 4));
  Open();
  EXPECT_EQ(health(), Health());
}

TEST_F(RecoveryTest, AShortenedLastSegmentIsALoss) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 3, 1));
  SubmitAndSync(writes_.Add(4, 6, 1));
  const std::uint64_t second = Batches(1).at(1).start;
  log_.reset();
  auto file = files().Open(SegmentPath(1), FileSystem::OpenMode::kReadWrite);
  ASSERT_TRUE((*file)->Truncate(second).ok());
  for (int start = 0; start < 2; ++start) {
    Open();
    EXPECT_EQ(log_->recovered().last_index, LogIndex(3));
    EXPECT_EQ(health().lost_up_to, LogIndex(4));
  }
  EXPECT_EQ(Content(SegmentPath(1)).size(), kSmallSegment);
  SubmitAndSync(writes_.Add(4, 4, 1));
  Open();
  EXPECT_EQ(health(), Health());
}

TEST_F(RecoveryTest, ASegmentThatLacksItsLastPaddingGetsItsSizeBack) {
  Open();
  FillSegments(4);
  ASSERT_TRUE(log_->SyncIdle().ok());
  ASSERT_EQ(Batches(1).back().end, kSmallSegment);
  log_.reset();
  auto file = files().Open(SegmentPath(1), FileSystem::OpenMode::kReadWrite);
  ASSERT_TRUE((*file)->Truncate(kSmallSegment - 100).ok());
  Open();
  EXPECT_GE(health().lost_up_to, LogIndex(5)) << "what else was there can't be known";
  EXPECT_EQ(log_->Read(LogIndex(1), LogIndex(4), 1 << 20)->size(), 4U);
  log_.reset();
  EXPECT_EQ(*files().FileSize(SegmentPath(1)), kSmallSegment) << "as a spare it would be too short";
}

TEST_F(RecoveryTest, AMarkIsNoCommitWhereACutMayBeLostWithTheEnd) {
  Open();
  FillSegments(10);
  SubmitAndSync(writes_.Vote(2, 3).Cut(10).Add(10, 11, 2).Commit(11));
  ASSERT_TRUE(log_->Compact(LogIndex(11)).ok());
  executor_.RunAll();
  const std::uint64_t of_the_cut = Batches(3).at(2).start;
  log_.reset();
  auto file = files().Open(SegmentPath(3), FileSystem::OpenMode::kReadWrite);
  ASSERT_TRUE((*file)->Truncate(of_the_cut).ok());
  for (int start = 0; start < 3; ++start) {
    Open();
    EXPECT_EQ(log_->recovered().prev_index, LogIndex(8));
    EXPECT_EQ(log_->recovered().last_index, LogIndex(10)) << "of term 1 again";
    EXPECT_EQ(log_->recovered().commit_hint, LogIndex(9)) << "this entry 10 never was committed";
    EXPECT_EQ(health().lost_up_to, LogIndex(11));
  }
}

TEST_F(RecoveryTest, ACommitHintAboveTheLastEntryProvesALoss) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 3, 1));
  SubmitAndSync(writes_.Add(4, 6, 1).Commit(6));
  SubmitAndSync(writes_.Vote(2, 3));  // brings the hint into the vote file
  const auto batches = Batches(1);
  log_.reset();
  // The disk forgot the newest writes and shows what was there before.
  ASSERT_TRUE(files()
                  .Overwrite(SegmentPath(1), batches[1].start,
                             std::string(kSmallSegment - batches[1].start, '\0'))
                  .ok());
  Open();
  EXPECT_EQ(log_->recovered().last_index, LogIndex(3));
  EXPECT_EQ(health().lost_up_to, LogIndex(6));
  EXPECT_EQ(log_->recovered().vote, MakeVote(2, 3));
  EXPECT_LE(log_->recovered().commit_hint, LogIndex(3));
}

// ---- Verdict 5: must not start

TEST_F(RecoveryTest, AMissingSegmentInTheMiddleIsRefused) {
  Open();
  FillSegments(10);
  log_.reset();
  ASSERT_TRUE(files().Remove(SegmentPath(2)).ok());
  ExpectCorruption("under a new id");
}

TEST_F(RecoveryTest, AMissingFirstSegmentIsRefused) {
  Open();
  FillSegments(10);
  log_.reset();
  ASSERT_TRUE(files().Remove(SegmentPath(1)).ok());
  ExpectCorruption("are missing");
}

TEST_F(RecoveryTest, AGapThatCompactionExplainsIsNone) {
  Open();
  FillSegments(14);
  const std::string first = Content(SegmentPath(1));
  ASSERT_TRUE(log_->Compact(LogIndex(10)).ok());
  executor_.RunAll();
  log_.reset();
  // A removal that a strange disk forgot.
  auto file = files().Open(SegmentPath(1), FileSystem::OpenMode::kCreate);
  ASSERT_TRUE((*file)->WriteAt(0, first).ok());
  Open();
  EXPECT_EQ(health(), Health());
  EXPECT_GE(log_->recovered().prev_index, LogIndex(8));
  executor_.RunAll();
  EXPECT_FALSE(*files().Exists(SegmentPath(1)));
}

TEST_F(RecoveryTest, AWipedLogUnderItsOldVoteFileIsRefused) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 3, 1));
  log_.reset();
  ASSERT_TRUE(files().Remove(SegmentPath(1)).ok());
  ExpectCorruption("under a new id");
}

TEST_F(RecoveryTest, AMissingVoteFileIsRefused) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 3, 1));
  log_.reset();
  ASSERT_TRUE(files().Remove("raft/vote").ok());
  ExpectCorruption("whom it voted for");
}

TEST_F(RecoveryTest, AVoteFileWithoutAReadableSlotIsRefused) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 3, 1));
  log_.reset();
  Damage("raft/vote", 20, 60);
  Damage("raft/vote", kPageBytes + 20, kPageBytes + 60);
  ExpectCorruption("whom it voted for");
}

TEST_F(RecoveryTest, ALostSlotIsFineWhileTheLogProvesTheVote) {
  for (std::uint64_t slot = 0; slot < 2; ++slot) {
    files_ = std::make_unique<MemoryFileSystem>();
    Open();
    SubmitAndSync(writes_.Vote(1, 2).Add(1, 3, 1));
    SubmitAndSync(writes_.Vote(2, 3));
    log_.reset();
    Damage("raft/vote", slot * kPageBytes + 20, slot * kPageBytes + 60);
    Open();
    EXPECT_EQ(log_->recovered().vote, MakeVote(2, 3));
    EXPECT_EQ(health(), Health());
    log_.reset();
    Damage("raft/vote", (1 - slot) * kPageBytes + 20, (1 - slot) * kPageBytes + 60);
    Open();
    EXPECT_EQ(log_->recovered().vote, MakeVote(2, 3)) << "the lost slot was written anew";
  }
}

TEST_F(RecoveryTest, ALostSlotAndDamageThatMayHideANewerVoteAreRefused) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 3, 1));
  SubmitAndSync(writes_.Vote(2, 3));
  SubmitAndSync(writes_.Add(4, 4, 1));
  DamageBatch(1);
  auto newest = VoteSlot();
  std::uint64_t newest_slot = 0;
  for (std::uint64_t slot = 0; slot < 2; ++slot) {
    const auto read = DecodeVoteSlot(Content("raft/vote").substr(slot * kPageBytes));
    if (read->seq > newest.seq) {
      newest = *read;
      newest_slot = slot;
    }
  }
  Damage("raft/vote", newest_slot * kPageBytes + 20, newest_slot * kPageBytes + 60);
  ExpectCorruption("newest vote");
}

TEST_F(RecoveryTest, AVoteBehindTheDamageMakesALostSlotHarmless) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 3, 1));
  SubmitAndSync(writes_.Vote(2, 3));
  SubmitAndSync(writes_.Vote(3, 1));
  DamageBatch(1);
  Damage("raft/vote", 20, 60);
  Open();
  EXPECT_EQ(log_->recovered().vote, MakeVote(3, 1));
}

TEST_F(RecoveryTest, AnotherNodesLogIsRefused) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 3, 1));
  LogOptions options = SmallOptions();
  options.node = NodeId(3);
  const auto opened = TryOpen(options);
  EXPECT_TRUE(opened.status().IsCorruption());
  EXPECT_NE(opened.status().message().find("n2"), std::string_view::npos)
      << opened.status().ToString();
}

TEST_F(RecoveryTest, AnotherClustersLogIsRefused) {
  Open();
  LogOptions options = SmallOptions();
  options.cluster = ClusterId(1);
  const auto opened = TryOpen(options);
  EXPECT_TRUE(opened.status().IsCorruption());
  EXPECT_NE(opened.status().message().find(FormatClusterId(kCluster)), std::string_view::npos);
}

TEST_F(RecoveryTest, ASegmentOfAnotherNodeAmongOursIsRefused) {
  Open();
  FillSegments(6);
  log_.reset();
  const auto header = DecodeSegmentHeader(Content(SegmentPath(2)));
  SegmentHeader foreign = *header;
  foreign.node = NodeId(9);
  ASSERT_TRUE(files().Overwrite(SegmentPath(2), 0, EncodeSegmentHeader(foreign)).ok());
  ExpectCorruption("n9");
}

TEST_F(RecoveryTest, ASegmentOfANewerFormatIsRefusedByName) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 3, 1));
  log_.reset();
  std::string page = Content(SegmentPath(1)).substr(0, kPageBytes);
  StoreFixed(page.data() + 12, std::uint32_t{2});
  StoreFixed(page.data() + 8, Crc32c(std::string_view(page).substr(12, 124)));
  ASSERT_TRUE(files().Overwrite(SegmentPath(1), 0, page).ok());
  ExpectCorruption("format 2");
}

TEST_F(RecoveryTest, AnOlderCopyOfASegmentPutBackIsNoticed) {
  Open();
  SubmitAndSync(writes_.Vote(1, 2).Add(1, 1, 1));
  const std::string old = Content(SegmentPath(1));
  FillSegments(0);
  for (std::uint64_t i = 2; i <= 10; ++i) SubmitAndSync(writes_.Add(i, i, 1, 3000));
  log_.reset();
  ASSERT_TRUE(files().Overwrite(SegmentPath(1), 0, old).ok());
  Open();
  ASSERT_TRUE(health().damaged);
  EXPECT_EQ(health().damaged->first, LogIndex(1));
  EXPECT_EQ(log_->recovered().last_index, LogIndex(10));
}

// ---- Every byte

/// What a log held before it was damaged.
struct Original {
  Recovered recovered;
  std::vector<Entry> entries;
  LogIndex proved;  ///< Entries that no later start may miss silently.
};

class EveryByteTest : public RecoveryTest {
 protected:
  /// Votes, cuts, hints, terms, three segments.
  void Build() {
    LogOptions options = SmallOptions();
    options.segment_bytes = kSegmentBytesMin;
    options_ = options;
    Open(options_);
    SubmitAndSync(writes_.Vote(1, 2).Add(1, 5, 1, 100));
    SubmitAndSync(writes_.Vote(2, 3).Add(6, 9, 1, 100).Commit(5));
    SubmitAndSync(writes_.Cut(8).Add(8, 10, 2, 100));
    SubmitAndSync(writes_.Vote(3, 1).Add(11, 12, 3, 100).Commit(9));
    SubmitAndSync(writes_.Vote(3, 1).Add(13, 13, 3, 100).Commit(12));
    original_.proved = LogIndex(12);
  }
  void Remember() {
    Open(options_);
    original_.recovered = log_->recovered();
    original_.entries = ReadAll();
    log_.reset();
    ASSERT_GE(Names(kSegmentSuffix).size(), 3U);
  }

  /// Flips one bit in each byte of `path`; returns how often each outcome came.
  void FlipEachByte(const std::string& path) {
    const std::unique_ptr<MemoryFileSystem> pristine = std::move(files_);
    const std::uint64_t size = *pristine->FileSize(path);
    for (std::uint64_t at = 0; at < size; ++at) {
      SCOPED_TRACE(path + ", byte " + std::to_string(at));
      files_ = pristine->Clone();
      ASSERT_TRUE(files().FlipBit(path, 8 * at + (at * 7 + at / 8) % 8).ok());
      Check(at % 32 == 0);
      if (HasFailure()) return;
    }
    log_.reset();
    files_ = pristine->Clone();
  }

  void Check(bool go_on) {
    auto opened = TryOpen(options_);
    if (!opened.ok()) {
      EXPECT_TRUE(opened.status().IsCorruption()) << opened.status().ToString();
      ++refused_;
      return;
    }
    log_ = std::move(opened).value();
    const Recovered& found = log_->recovered();
    EXPECT_EQ(found.vote, original_.recovered.vote);
    EXPECT_LE(found.last_index, original_.recovered.last_index);
    if (found.last_index < original_.recovered.last_index) {
      EXPECT_TRUE(found.health.torn_tail || found.health.lost_up_to);
      if (!found.health.lost_up_to) {
        EXPECT_GE(found.last_index, original_.proved);
      }
      ++shorter_;
    } else if (found.health.damaged) {
      ++damaged_;
    } else {
      ++same_;
      EXPECT_EQ(found.terms, original_.recovered.terms);
    }
    ExpectRightEntries(found);
    if (go_on && !found.health.damaged && !found.health.lost_up_to) {
      const std::uint64_t next = found.last_index.value() + 1;
      SubmitAndSync(writes_.Add(next, next, 3));
      Open(options_);
      EXPECT_EQ(log_->recovered().last_index, LogIndex(next));
      EXPECT_EQ(health(), Health());
    }
  }

  /// Whatever is served is what was written; what is in doubt isn't served.
  void ExpectRightEntries(const Recovered& found) {
    for (LogIndex i(1); i <= found.last_index; i = i.Next()) {
      const auto read = log_->Read(i, i, 1);
      const auto& damaged = found.health.damaged;
      if (damaged && i >= damaged->first && i <= damaged->last) {
        EXPECT_TRUE(read.status().IsCorruption());
      } else {
        ASSERT_TRUE(read.ok()) << read.status().ToString();
        EXPECT_EQ(read->front(), original_.entries[i.value() - 1]);
      }
    }
  }

  LogOptions options_;
  Original original_;
  int refused_ = 0, shorter_ = 0, damaged_ = 0, same_ = 0;
};

TEST_F(EveryByteTest, OfAProvedLogNoFlipIsServedOrMakesItSilentlyShorter) {
  Build();
  ASSERT_TRUE(log_->SyncIdle().ok());
  original_.proved = LogIndex(13);
  Remember();
  for (const std::string& name : Names(kSegmentSuffix)) FlipEachByte("raft/log/" + name);
  EXPECT_GT(refused_, 200) << "headers";
  EXPECT_GT(damaged_, 800) << "batches";
  EXPECT_GT(same_, 800) << "padding";
  EXPECT_EQ(shorter_, 0);
}

TEST_F(EveryByteTest, OfTheLastBatchAFlipIsATornTail) {
  Build();
  Remember();
  const std::string last = "raft/log/" + Names(kSegmentSuffix).back();
  FlipEachByte(last);
  EXPECT_GT(shorter_, 100);
}

TEST_F(EveryByteTest, OfTheVoteFileNoFlipLosesTheVote) {
  Build();
  Remember();
  FlipEachByte("raft/vote");
  EXPECT_EQ(refused_, 0) << "the log proves the vote";
  EXPECT_EQ(same_, 2 * static_cast<int>(kPageBytes));
}

TEST_F(EveryByteTest, ManyFlipsNeverMakeAnEntryThatWasNotWritten) {
  Build();
  ASSERT_TRUE(log_->SyncIdle().ok());
  Remember();
  std::vector<Entry> written = original_.entries;
  for (const Entry& entry : Entries(1, 9, 1, 100)) written.push_back(entry);
  const std::unique_ptr<MemoryFileSystem> pristine = std::move(files_);
  std::vector<std::string> paths{"raft/vote"};
  for (std::uint64_t n = 1; n <= 3; ++n) paths.push_back(SegmentPath(n));
  int opened_count = 0;
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    files_ = pristine->Clone();
    for (std::uint64_t n = random.Between(2, 6); n > 0; --n) {
      const std::string& path = paths[random.Below(paths.size())];
      const std::uint64_t page = random.Below(3) * kPageBytes;
      ASSERT_TRUE(
          files().FlipBit(path, (page + random.Below(900)) % (2 * kPageBytes) * 8 + 3).ok());
    }
    auto opened = TryOpen(options_);
    if (!opened.ok()) {
      ASSERT_TRUE(opened.status().IsCorruption()) << opened.status().ToString();
      continue;
    }
    log_ = std::move(opened).value();
    ++opened_count;
    for (LogIndex i = log_->recovered().prev_index.Next(); i <= log_->recovered().last_index;
         i = i.Next()) {
      const auto read = log_->Read(i, i, 1);
      if (!read.ok()) continue;
      ASSERT_NE(std::find(written.begin(), written.end(), read->front()), written.end());
    }
  }
  EXPECT_GT(opened_count, 150);
}

}  // namespace
}  // namespace bedrock::raft
