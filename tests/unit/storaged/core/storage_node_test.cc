// A storaged that becomes what another one is: over a network that loses, repeats, mixes and
// damages frames, with restarts of either side, and with a crash at every call to the disk.

#include "storaged/core/storage_node.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tests/unit/storaged/core/node_rig.h"

namespace bedrock::storage {
namespace {

using proto::ErrorCode;
using CrashMode = MemoryFileSystem::CrashMode;

constexpr std::uint64_t kEntries = 600;
/// Of which the target has the first.
constexpr std::uint64_t kOld = 90;

/// What a node of this log holds after `index`.
std::string ExpectedAt(NodeRig& source, std::uint64_t index) {
  return DumpOf(source.node().engine(), Version(index));
}

class StorageNodeTest : public ::testing::Test {
 protected:
  struct Meeting {
    std::uint64_t seed = 1;
    std::uint64_t entries = kEntries;  ///< What the source holds, flushed.
    std::uint64_t old = 0;             ///< Of which the target has the first.
    RigLog log = RigLog();
  };

  /// A source, a target and what is between them; they take the place of those before.
  void Meet(const Meeting& meeting) {
    pair_.reset();
    source_ = std::make_unique<NodeRig>(1, 10 + meeting.seed, meeting.log);
    target_ = std::make_unique<NodeRig>(2, 11 + meeting.seed, meeting.log);
    Fill(*source_, meeting.entries);
    target_->ApplyTo(meeting.old);
    pair_ = std::make_unique<RigPair>(*source_, *target_, meeting.seed);
  }
  static void Fill(NodeRig& source, std::uint64_t entries = kEntries) {
    source.ApplyTo(entries);
    source.Flush();
  }
  void ExpectSame() { ExpectSame(*source_, *target_); }
  static void ExpectSame(NodeRig& source, NodeRig& target) {
    const std::uint64_t index = target.applied();
    EXPECT_EQ(DumpOf(target.node().engine(), Version(index)), ExpectedAt(source, index));
    EXPECT_GT(DumpOf(target.node().engine(), Version(index)).size(), 1000u);
  }
  std::vector<std::string> NamesIn(NodeRig& rig, const std::string& folder) {
    auto names = rig.files().List(folder);
    return names.ok() ? *names : std::vector<std::string>();
  }

  std::unique_ptr<NodeRig> source_;
  std::unique_ptr<NodeRig> target_;
  std::unique_ptr<RigPair> pair_;
};

TEST_F(StorageNodeTest, AnEmptyNodeBecomesWhatItsSourceIs) {
  Meet({});
  pair_->at_least = kEntries;
  ASSERT_TRUE(pair_->UntilInstalled());
  EXPECT_EQ(target_->applied(), kEntries);
  EXPECT_EQ(target_->durable(), kEntries);
  ExpectSame();
  EXPECT_EQ(target_->node().machine().sessions().Encode(),
            source_->node().machine().sessions().Encode());
  // A command of before gets its first answer again.
  const auto again = source_->log().At(kEntries - 2);
  raft::Entry entry = MakeEntry(kEntries + 1, std::string(again.payload.view()));
  target_->Receive("raftd", RequestId(),
                   proto::Apply{{{entry, {.router = "router", .request = RequestId(4)}}}});
  const auto out = target_->Settle();
  const auto reply = std::find_if(out.messages.begin(), out.messages.end(),
                                  [](const Outgoing& message) { return message.to == "router"; });
  ASSERT_NE(reply, out.messages.end());
  EXPECT_EQ(std::get<proto::CommandReply>(reply->message).result.version, Version(kEntries - 2));
}

TEST_F(StorageNodeTest, ProgressTellsOfTheSnapshotWithItsTermAndMembers) {
  Meet({.old = kOld});
  pair_->at_least = kEntries;
  ASSERT_TRUE(pair_->UntilInstalled());
  pair_->Until([&] { return pair_->applied && pair_->applied->applied == LogIndex(kEntries); },
               1000);
  ASSERT_TRUE(pair_->applied);
  const std::uint64_t members = RigLog::MembershipAt(kEntries);
  EXPECT_EQ(pair_->applied->applied, LogIndex(kEntries));
  EXPECT_EQ(pair_->applied->durable_applied, LogIndex(kEntries));
  EXPECT_EQ(pair_->applied->health, ErrorCode::kOk);
  EXPECT_EQ(pair_->applied->applied_term, Term(1));
  EXPECT_EQ(pair_->applied->membership_index, LogIndex(members));
  EXPECT_EQ(pair_->applied->membership.view(), "members of " + std::to_string(members));
}

TEST_F(StorageNodeTest, ASourceThatWritesOnIsReadAsOfOneEntry) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Meet({.seed = seed});
    pair_->Want();
    std::uint64_t next = kEntries;
    ASSERT_TRUE(pair_->Until([&] {
      if (next < 3 * kEntries) source_->ApplyTo(++next);
      return target_->node().installed() > 0;
    }));
    EXPECT_GE(target_->applied(), kEntries);
    ExpectSame();
    // The log goes on where the snapshot ends.
    target_->ApplyTo(source_->applied());
    ExpectSame();
  }
}

TEST_F(StorageNodeTest, FramesThatAreLostRepeatedMixedAndDamagedDoNotMatter) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    Meet({.seed = seed, .old = kOld, .log = RigLog(9'000)});
    Random random(seed);
    pair_->faults = {random.Below(200), random.Below(200), random.Below(500), random.Below(60)};
    pair_->at_least = kEntries;
    ASSERT_TRUE(pair_->UntilInstalled());
    EXPECT_EQ(target_->applied(), kEntries);
    ExpectSame();
  }
}

TEST_F(StorageNodeTest, BothSidesMayRestartAtAnyTime) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    Meet({.seed = seed, .old = kOld});
    target_->Flush();
    pair_->Want();
    Random random(seed);
    int restarts = 0;
    ASSERT_TRUE(pair_->Until([&] {
      if (restarts < 6 && random.Chance(1, 300)) {
        ++restarts;
        pair_->Cut();
        NodeRig& one = random.Chance(1, 2) ? *source_ : *target_;
        one.Crash(random.Chance(1, 2) ? CrashMode::kProcessOnly : CrashMode::kRandom);
        EXPECT_TRUE(one.Open().ok());
        if (target_->applied() < kEntries && target_->node().source() == nullptr) pair_->Want();
      }
      return target_->applied() >= kEntries;
    }));
    ExpectSame();
  }
}

TEST_F(StorageNodeTest, ARestartOfTheTargetFetchesOnlyWhatIsMissing) {
  Meet({.entries = 3000});
  pair_->Want();
  const auto progress = [&] { return target_->node().fetch().Progress(); };
  ASSERT_TRUE(pair_->Until([&] { return progress().bytes_done > 100'000; }));
  ASSERT_EQ(target_->node().installed(), 0u);
  const std::uint64_t total = progress().bytes_total;
  pair_->Cut();
  target_->Restart();
  target_->Settle();
  const std::uint64_t before = pair_->bytes_asked;
  ASSERT_TRUE(pair_->UntilInstalled());
  EXPECT_LT(pair_->bytes_asked - before, total - 80'000);
  ExpectSame();
}

TEST_F(StorageNodeTest, ARestartOfTheSourceKeepsTheSnapshot) {
  Meet({.entries = 3000});
  ASSERT_TRUE(pair_->UntilSent(80'000));
  const SnapshotId id = target_->node().fetch().manifest().id;
  pair_->Cut();
  source_->Crash(CrashMode::kLoseUnsynced);
  ASSERT_TRUE(source_->Open().ok());
  source_->Settle();
  EXPECT_EQ(source_->node().snapshots().kept(), 1u);
  ASSERT_TRUE(pair_->Until([&] {
    EXPECT_TRUE(target_->node().installed() > 0 || target_->node().fetch().manifest().id == id);
    return target_->node().installed() > 0;
  }));
  ExpectSame();
}

TEST_F(StorageNodeTest, ASnapshotThatIsKeptNoLongerIsBegunAnew) {
  Meet({.entries = 3000});
  ASSERT_TRUE(pair_->UntilSent(80'000));
  pair_->Cut();
  source_->clock().AdvanceMs(kSnapshotIdleMs);
  source_->Settle();
  EXPECT_EQ(source_->node().snapshots().kept(), 0u);
  EXPECT_TRUE(NamesIn(*source_, "data/storage.checkpoints").empty());
  ASSERT_TRUE(pair_->UntilInstalled());
  ExpectSame();
}

TEST_F(StorageNodeTest, APartOfALargeFileIsGoneOnWith) {
  Meet({.entries = 120, .log = RigLog(5 * kMiB)});
  pair_->Want();
  // Within the blob.
  ASSERT_TRUE(pair_->Until([&] {
    const auto bytes = target_->files().FileSize(
        "data/storage." + FormatHex(target_->node().fetch().manifest().id.value()) + "/" + [&] {
          for (const auto& file : target_->node().fetch().manifest().files) {
            if (file.size > 4 * kMiB) return file.name + ".part";
          }
          return std::string("none");
        }());
    return bytes.ok() && *bytes >= 3 * kMiB;
  }));
  ASSERT_EQ(target_->node().installed(), 0u);
  pair_->Cut();
  target_->Restart();
  target_->Settle();
  const std::uint64_t before = pair_->bytes_asked;
  ASSERT_TRUE(pair_->UntilInstalled());
  EXPECT_LT(pair_->bytes_asked - before, 3 * kMiB);
  ExpectSame();
}

TEST_F(StorageNodeTest, WhatIsInMemoryIsBounded) {
  Meet({.entries = 800, .log = RigLog(4 * kMiB)});
  pair_->faults.reorder = 900;
  ASSERT_TRUE(pair_->UntilInstalled());
  EXPECT_GT(pair_->bytes_sent, 28 * kMiB);
  EXPECT_LE(pair_->held_bytes_max, kFetchCredit * proto::kSnapshotChunkBytesMax);
  EXPECT_GT(pair_->held_bytes_max, proto::kSnapshotChunkBytesMax);
  EXPECT_LE(pair_->asked_max, kFetchCredit + 1);
}

TEST_F(StorageNodeTest, TheSourceKeepsItsPace) {
  Meet({.entries = 400, .log = RigLog(4 * kMiB)});
  source_->bytes_per_second = 2 * kMiB;
  source_->Restart();
  const std::uint64_t begun = source_->now_ms();
  ASSERT_TRUE(pair_->UntilInstalled());
  const double seconds = static_cast<double>(source_->now_ms() - begun) / 1000;
  // One chunk may go in advance.
  EXPECT_LE(static_cast<double>(pair_->bytes_sent),
            seconds * 2 * kMiB + proto::kSnapshotChunkBytesMax + 2 * kMiB * Pace::kBurstMs / 1000);
  EXPECT_GE(static_cast<double>(pair_->bytes_sent), seconds * kMiB);
}

TEST_F(StorageNodeTest, WhoReadsWhileItIsInstalledIsToldToAskAgain) {
  Meet({.old = kOld});
  pair_->Want();
  // It waits for what is applied later than the snapshot.
  target_->Receive("router", RequestId(77),
                   proto::Get{.key = Bytes::Copy("key 2"), .min_version = Version(kEntries + 5)});
  ASSERT_TRUE(pair_->UntilInstalled());
  ASSERT_EQ(pair_->to_others.size(), 1u);
  EXPECT_EQ(pair_->to_others[0].request, RequestId(77));
  EXPECT_EQ(std::get<proto::GetReply>(pair_->to_others[0].message).error.code,
            ErrorCode::kStorageUnavailable);
  pair_->to_others.clear();
  target_->Receive("router", RequestId(78), proto::Get{.key = Bytes::Copy("key 2")});
  const auto out = target_->Run();
  EXPECT_EQ(std::get<proto::GetReply>(out.messages.at(0).message).version, Version(2));
}

TEST_F(StorageNodeTest, OneThatIsNotNewerThanWhatIsAppliedIsDropped) {
  Meet({.old = kOld});
  ASSERT_TRUE(pair_->UntilSent(20'000));
  // The log was quicker.
  target_->ApplyTo(kEntries);
  ASSERT_TRUE(pair_->Until([&] { return target_->node().source() == nullptr; }, 10'000));
  target_->Settle();
  EXPECT_EQ(target_->node().installed(), 0u);
  EXPECT_EQ(NamesIn(*target_, "data"), (std::vector<std::string>{"storage"}));
  // Nor is one begun.
  pair_->at_least = kEntries;
  pair_->Want();
  EXPECT_EQ(target_->node().source(), nullptr);
}

TEST_F(StorageNodeTest, ASourceThatIsBehindSaysSo) {
  Meet({});
  pair_->at_least = kEntries + 1;
  pair_->Want();
  ASSERT_TRUE(pair_->UntilError());
  EXPECT_EQ(pair_->last().error.code, ErrorCode::kTooStale);
  // Once it has applied that, it flushes for the sake of the snapshot.
  source_->ApplyTo(kEntries + 1);
  ASSERT_TRUE(pair_->UntilInstalled());
  EXPECT_EQ(target_->applied(), kEntries + 1);
}

TEST_F(StorageNodeTest, OnlyTheRightNodeOfTheRightClusterIsTaken) {
  Meet({});
  source_->cluster = ClusterId(0xbad);
  source_->Restart();
  pair_->Want();
  ASSERT_TRUE(pair_->UntilError());
  EXPECT_EQ(pair_->last().error.code, ErrorCode::kWrongCluster);
  source_->cluster = kRigCluster;
  source_->Restart();
  pair_->progress.clear();
  pair_->source_id = NodeId(3);
  pair_->Want();
  ASSERT_TRUE(pair_->UntilError(ErrorCode::kInvalidArgument));
  pair_->source_id = NodeId(1);
  ASSERT_TRUE(pair_->UntilInstalled());
}

TEST_F(StorageNodeTest, ASourceThatFallsSilentIsAnError) {
  Meet({});
  ASSERT_TRUE(pair_->UntilSent(20'000));
  pair_->link_up = false;
  pair_->Cut();
  ASSERT_TRUE(pair_->Until([&] { return target_->node().source() == nullptr; }));
  pair_->Until([&] { return !pair_->last().error.ok(); }, 100);
  EXPECT_EQ(pair_->last().error.code, ErrorCode::kStorageUnavailable);
  pair_->link_up = true;
  ASSERT_TRUE(pair_->UntilInstalled());
  ExpectSame();
}

TEST_F(StorageNodeTest, ADiskThatIsTooSmallIsAnErrorUntilItIsLargeEnough) {
  Meet({.old = kOld});
  const std::string before = DumpOf(target_->node().engine(), Version(kOld));
  target_->files().SetCapacity(kFetchReserveBytes);
  pair_->Want();
  ASSERT_TRUE(pair_->UntilError());
  EXPECT_EQ(pair_->last().error.code, ErrorCode::kStorageFull);
  EXPECT_EQ(DumpOf(target_->node().engine(), Version(kOld)), before);
  target_->files().SetCapacity(MemoryFileSystem::kUnlimited);
  ASSERT_TRUE(pair_->UntilInstalled());
  ExpectSame();
}

TEST_F(StorageNodeTest, ATableThatHasRottenAtTheSourceIsFoundAndNothingIsLost) {
  Meet({.old = kOld});
  const std::string before = DumpOf(target_->node().engine(), Version(kOld));
  pair_->Want();
  ASSERT_TRUE(pair_->Until([&] { return source_->node().snapshots().kept() == 1; }));
  source_->Settle();
  const std::string folder =
      "data/storage.checkpoints/" + NamesIn(*source_, "data/storage.checkpoints").at(0);
  const auto names = NamesIn(*source_, folder);
  const auto table = std::find_if(names.begin(), names.end(),
                                  [](const std::string& name) { return name.ends_with(".sst"); });
  ASSERT_NE(table, names.end());
  ASSERT_TRUE(source_->files().FlipBit(JoinPath(folder, *table), 8 * 1000).ok());
  ASSERT_TRUE(pair_->UntilError(ErrorCode::kCorruption));
  EXPECT_NE(pair_->last().error.detail.find(*table), std::string::npos)
      << pair_->last().error.detail;
  EXPECT_EQ(target_->node().installed(), 0u);
  EXPECT_EQ(DumpOf(target_->node().engine(), Version(kOld)), before);
}

TEST_F(StorageNodeTest, AFetchThatALaterLeaderWantsFurtherBeginsAnew) {
  Meet({});
  ASSERT_TRUE(pair_->UntilSent(20'000));
  const SnapshotId id = target_->node().fetch().manifest().id;
  // This one it has.
  pair_->at_least = kEntries / 2;
  pair_->Want();
  EXPECT_EQ(target_->node().fetch().manifest().id, id);
  source_->ApplyTo(kEntries + 100);
  pair_->at_least = kEntries + 100;
  pair_->Want();
  EXPECT_NE(target_->node().fetch().manifest().id, id);
  ASSERT_TRUE(pair_->UntilInstalled());
  EXPECT_GE(target_->applied(), kEntries + 100);
  target_->Settle();
  EXPECT_EQ(NamesIn(*target_, "data").size(), 2u);  // the engine's folder and the pointer to it
}

TEST_F(StorageNodeTest, AHaltedReplicaIsHealedByASnapshot) {
  Meet({.old = kOld});
  // A command of a later release: this replica stops there.
  target_->Receive("raftd", RequestId(),
                   proto::Apply{{{MakeEntry(kOld + 1, std::string("\x91\x7f", 2)), {}}}});
  target_->Run();
  ASSERT_EQ(target_->node().core().health(), ErrorCode::kStorageUnavailable);
  ASSERT_TRUE(pair_->UntilInstalled());
  EXPECT_EQ(target_->node().core().health(), ErrorCode::kOk);
  target_->ApplyTo(kEntries + 50);
}

TEST_F(StorageNodeTest, APointerThatCannotBeWrittenLeavesTheOldData) {
  Meet({.old = kOld});
  target_->files().Inject({.operations = {MemoryFileSystem::Operation::kWrite},
                           .path_suffix = "storage.current.tmp",
                           .error = StatusCode::kNoSpace});
  pair_->Want();
  ASSERT_TRUE(pair_->UntilError());
  EXPECT_EQ(pair_->last().error.code, ErrorCode::kStorageFull);
  EXPECT_FALSE(target_->node().failed());
  target_->ApplyTo(kOld + 10);
  // What was fetched is not fetched again.
  const std::uint64_t asked = pair_->bytes_asked;
  ASSERT_TRUE(pair_->UntilInstalled());
  EXPECT_LT(pair_->bytes_asked - asked, asked / 2);
  ExpectSame();
}

TEST_F(StorageNodeTest, APointerOfUnknownFateEndsTheProcess) {
  Meet({.old = kOld});
  target_->Flush();
  pair_->Want();
  ASSERT_TRUE(pair_->Until(
      [&] { return target_->node().fetch().state() == SnapshotFetch::State::kComplete; }));
  target_->files().Inject(
      {.operations = {MemoryFileSystem::Operation::kRename}, .path_suffix = "storage.current"});
  ASSERT_TRUE(pair_->Until([&] { return target_->node().failed(); }));
  // Nothing is made durable any more that raftd could rely on.
  target_->Receive("raftd", RequestId(), proto::Apply{{{target_->log().At(kOld + 1), {}}}});
  target_->Settle();
  EXPECT_EQ(target_->applied(), kOld);
  target_->Crash(CrashMode::kRandom);
  ASSERT_TRUE(target_->Open().ok());
  EXPECT_TRUE(target_->applied() == kOld || target_->applied() == kEntries);
}

TEST_F(StorageNodeTest, ACrashAtAnyCallToTheDiskLeavesTheOldDataOrTheNew) {
  // How many calls there are.
  const auto run = [&](NodeRig& source, NodeRig& target) {
    RigPair pair(source, target, 5);
    pair.at_least = kEntries;
    pair.Want();
    pair.Until([&] { return target.files().crashed() || target.node().installed() > 0; });
    if (!target.files().crashed()) target.Settle();
  };
  NodeRig source(1, 11);
  Fill(source);
  const std::string old_state = ExpectedAt(source, kOld);
  const std::string new_state = ExpectedAt(source, kEntries);
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  {
    NodeRig target(2, 12);
    target.ApplyTo(kOld);
    target.Flush();
    first = target.files().mutations() + 1;
    run(source, target);
    last = target.files().mutations();
  }
  ASSERT_GT(last, first + 50);
  std::size_t old_found = 0;
  std::size_t new_found = 0;
  for (std::uint64_t at = first; at <= last; ++at) {
    SCOPED_TRACE(at);
    NodeRig target(2, 12);
    target.ApplyTo(kOld);
    target.Flush();
    target.files().CrashAtMutation(at);
    run(source, target);
    if (!target.files().crashed()) break;  // the order of work differs a little from run to run
    static constexpr CrashMode kModes[] = {CrashMode::kProcessOnly, CrashMode::kLoseUnsynced,
                                           CrashMode::kKeepUnsynced, CrashMode::kRandom};
    target.Crash(kModes[at % std::size(kModes)]);
    const Status opened = target.Open();
    ASSERT_TRUE(opened.ok()) << opened.ToString();
    ASSERT_TRUE(target.applied() == kOld || target.applied() == kEntries) << target.applied();
    const bool is_new = target.applied() == kEntries;
    ++(is_new ? new_found : old_found);
    ASSERT_EQ(DumpOf(target.node().engine(), target.node().machine().newest()),
              is_new ? new_state : old_state);
    // It gets there all the same, and leaves nothing behind.
    if (!is_new) {
      RigPair pair(source, target, at);
      pair.at_least = kEntries;
      ASSERT_TRUE(pair.UntilInstalled());
      ASSERT_EQ(DumpOf(target.node().engine(), target.node().machine().newest()), new_state);
    }
    target.Settle();
    target.Restart();
    target.Settle();
    ASSERT_EQ(target.applied(), kEntries);
    ASSERT_EQ(NamesIn(target, "data").size(), 2u);
  }
  EXPECT_GT(old_found, 30u);
  EXPECT_GT(new_found, 2u);
}

TEST_F(StorageNodeTest, AnotherSnapshotMayFollow) {
  Meet({});
  for (std::uint64_t round = 1; round <= 3; ++round) {
    RigPair pair(*source_, *target_, round);
    pair.at_least = source_->applied();
    pair.Want();
    ASSERT_TRUE(pair.Until([&] { return target_->node().installed() == round; }));
    ExpectSame();
    source_->ApplyTo(source_->applied() + 300);
  }
  target_->Settle();
  target_->Restart();
  target_->Settle();
  EXPECT_EQ(NamesIn(*target_, "data").size(), 2u);
  // And it is a source itself.
  NodeRig third(1, 13);
  RigPair pair(*target_, third, 9);
  pair.source_id = NodeId(2);
  ASSERT_TRUE(pair.UntilInstalled());
  ExpectSame(*target_, third);
}

TEST_F(StorageNodeTest, WhatIsNoWholeCheckpointIsRemovedAtTheStart) {
  NodeRig source(1, 11);
  Fill(source);
  const std::string half = "data/storage.checkpoints/00000000000000aa";
  ASSERT_TRUE(source.files().CreateDirectories(half).ok());
  ASSERT_TRUE(source.files().Open(half + "/000002.sst", FileSystem::OpenMode::kCreate).ok());
  source.Restart();
  source.Settle();
  EXPECT_TRUE(NamesIn(source, "data/storage.checkpoints").empty());
}

TEST_F(StorageNodeTest, AMissingPointerIsNoNewDatabase) {
  Meet({});
  ASSERT_TRUE(pair_->UntilInstalled());
  target_->Settle();
  target_->Crash(CrashMode::kLoseUnsynced);
  const auto pointer = ReadFile(target_->files(), "data/storage.current", 100);
  ASSERT_TRUE(pointer.ok());
  ASSERT_TRUE(target_->files().Remove("data/storage.current").ok());
  EXPECT_TRUE(target_->Open().IsCorruption());
  std::string damaged = *pointer;
  damaged[10] ^= 1;
  ASSERT_TRUE(ReplaceFile(target_->files(), "data/storage.current", damaged).ok());
  EXPECT_TRUE(target_->Open().IsCorruption());
  ASSERT_TRUE(ReplaceFile(target_->files(), "data/storage.current", *pointer).ok());
  ASSERT_TRUE(target_->Open().ok());
  EXPECT_EQ(target_->applied(), kEntries);
}

TEST_F(StorageNodeTest, TheStatusSaysWhatIsFetchedAndKept) {
  Meet({});
  ASSERT_TRUE(pair_->UntilSent(20'000));
  target_->Settle();
  const auto status_of = [](NodeRig& rig) {
    rig.Receive("router", RequestId(5), proto::StorageStatusQuery());
    for (auto& message : rig.Run().messages) {
      if (auto* status = std::get_if<proto::StorageStatus>(&message.message)) return *status;
    }
    return proto::StorageStatus();
  };
  EXPECT_EQ(status_of(*target_).installing, LogIndex(kEntries));
  EXPECT_GT(status_of(*target_).installing_bytes_total, status_of(*target_).installing_bytes_done);
  EXPECT_EQ(status_of(*source_).snapshots_kept, 1u);
}

}  // namespace
}  // namespace bedrock::storage
