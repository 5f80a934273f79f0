// A storaged that becomes what another one is: over a network that loses, repeats, mixes and
// damages frames, with restarts of either side, and with a crash at every call to the disk.

#include "storaged/core/storage_node.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
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
  void Fill(NodeRig& source, std::uint64_t entries = kEntries) {
    source.ApplyTo(entries);
    source.Flush();
  }
  void ExpectSame(NodeRig& source, NodeRig& target) {
    const std::uint64_t index = target.applied();
    EXPECT_EQ(DumpOf(target.node().engine(), Version(index)), ExpectedAt(source, index));
    EXPECT_GT(DumpOf(target.node().engine(), Version(index)).size(), 1000u);
  }
  std::vector<std::string> NamesIn(NodeRig& rig, const std::string& folder) {
    auto names = rig.files().List(folder);
    return names.ok() ? *names : std::vector<std::string>();
  }
};

TEST_F(StorageNodeTest, AnEmptyNodeBecomesWhatItsSourceIs) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source);
  RigPair pair(source, target, 1);
  pair.at_least = kEntries;
  ASSERT_TRUE(pair.UntilInstalled());
  EXPECT_EQ(target.applied(), kEntries);
  EXPECT_EQ(target.durable(), kEntries);
  ExpectSame(source, target);
  EXPECT_EQ(target.node().machine().sessions().Encode(),
            source.node().machine().sessions().Encode());
  // A command of before gets its first answer again.
  const auto again = source.log().At(kEntries - 2);
  raft::Entry entry = MakeEntry(kEntries + 1, std::string(again.payload.view()));
  target.Receive("raftd", RequestId(),
                 proto::Apply{{{entry, {.router = "router", .request = RequestId(4)}}}});
  const auto out = target.Settle();
  const auto reply = std::find_if(out.messages.begin(), out.messages.end(),
                                  [](const Outgoing& message) { return message.to == "router"; });
  ASSERT_NE(reply, out.messages.end());
  EXPECT_EQ(std::get<proto::CommandReply>(reply->message).result.version, Version(kEntries - 2));
}

TEST_F(StorageNodeTest, ProgressTellsOfTheSnapshotWithItsTermAndMembers) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source);
  target.ApplyTo(kOld);
  RigPair pair(source, target, 1);
  pair.at_least = kEntries;
  ASSERT_TRUE(pair.UntilInstalled());
  pair.Until([&] { return pair.applied && pair.applied->applied == LogIndex(kEntries); }, 1000);
  ASSERT_TRUE(pair.applied);
  const std::uint64_t members = RigLog::MembershipAt(kEntries);
  EXPECT_EQ(pair.applied->applied, LogIndex(kEntries));
  EXPECT_EQ(pair.applied->durable_applied, LogIndex(kEntries));
  EXPECT_EQ(pair.applied->health, ErrorCode::kOk);
  EXPECT_EQ(pair.applied->applied_term, Term(1));
  EXPECT_EQ(pair.applied->membership_index, LogIndex(members));
  EXPECT_EQ(pair.applied->membership.view(), "members of " + std::to_string(members));
}

TEST_F(StorageNodeTest, ASourceThatWritesOnIsReadAsOfOneEntry) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    NodeRig source(1, 20 + seed);
    NodeRig target(2, 30 + seed);
    Fill(source);
    RigPair pair(source, target, seed);
    pair.Want();
    std::uint64_t next = kEntries;
    ASSERT_TRUE(pair.Until([&] {
      if (next < 3 * kEntries) source.ApplyTo(++next);
      return target.node().installed() > 0;
    }));
    EXPECT_GE(target.applied(), kEntries);
    ExpectSame(source, target);
    // The log goes on where the snapshot ends.
    target.ApplyTo(source.applied());
    ExpectSame(source, target);
  }
}

TEST_F(StorageNodeTest, FramesThatAreLostRepeatedMixedAndDamagedDoNotMatter) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    NodeRig source(1, 100 + seed, RigLog(9'000));
    NodeRig target(2, 200 + seed);
    Fill(source);
    target.ApplyTo(kOld);
    RigPair pair(source, target, seed);
    Random random(seed);
    pair.faults = {random.Below(200), random.Below(200), random.Below(500), random.Below(60)};
    pair.at_least = kEntries;
    ASSERT_TRUE(pair.UntilInstalled());
    EXPECT_EQ(target.applied(), kEntries);
    ExpectSame(source, target);
  }
}

TEST_F(StorageNodeTest, BothSidesMayRestartAtAnyTime) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    NodeRig source(1, 300 + seed);
    NodeRig target(2, 400 + seed);
    Fill(source);
    target.ApplyTo(kOld);
    target.Flush();
    RigPair pair(source, target, seed);
    pair.Want();
    Random random(seed);
    int restarts = 0;
    ASSERT_TRUE(pair.Until([&] {
      if (restarts < 6 && random.Chance(1, 300)) {
        ++restarts;
        pair.Cut();
        NodeRig& one = random.Chance(1, 2) ? source : target;
        one.Crash(random.Chance(1, 2) ? CrashMode::kProcessOnly : CrashMode::kRandom);
        EXPECT_TRUE(one.Open().ok());
        if (target.applied() < kEntries && target.node().source() == nullptr) pair.Want();
      }
      return target.applied() >= kEntries;
    }));
    ExpectSame(source, target);
  }
}

TEST_F(StorageNodeTest, ARestartOfTheTargetFetchesOnlyWhatIsMissing) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source, 3000);
  RigPair pair(source, target, 1);
  pair.Want();
  const auto progress = [&] { return target.node().fetch().Progress(); };
  ASSERT_TRUE(pair.Until([&] { return progress().bytes_done > 100'000; }));
  ASSERT_EQ(target.node().installed(), 0u);
  const std::uint64_t total = progress().bytes_total;
  pair.Cut();
  target.Restart();
  target.Settle();
  const std::uint64_t before = pair.bytes_asked;
  ASSERT_TRUE(pair.UntilInstalled());
  EXPECT_LT(pair.bytes_asked - before, total - 80'000);
  ExpectSame(source, target);
}

TEST_F(StorageNodeTest, ARestartOfTheSourceKeepsTheSnapshot) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source, 3000);
  RigPair pair(source, target, 1);
  pair.Want();
  ASSERT_TRUE(pair.Until([&] { return pair.bytes_sent > 80'000; }));
  const SnapshotId id = target.node().fetch().manifest().id;
  pair.Cut();
  source.Crash(CrashMode::kLoseUnsynced);
  ASSERT_TRUE(source.Open().ok());
  source.Settle();
  EXPECT_EQ(source.node().snapshots().kept(), 1u);
  ASSERT_TRUE(pair.Until([&] {
    EXPECT_TRUE(target.node().installed() > 0 || target.node().fetch().manifest().id == id);
    return target.node().installed() > 0;
  }));
  ExpectSame(source, target);
}

TEST_F(StorageNodeTest, ASnapshotThatIsKeptNoLongerIsBegunAnew) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source, 3000);
  RigPair pair(source, target, 1);
  pair.Want();
  ASSERT_TRUE(pair.Until([&] { return pair.bytes_sent > 80'000; }));
  pair.Cut();
  source.clock().AdvanceMs(kSnapshotIdleMs);
  source.Settle();
  EXPECT_EQ(source.node().snapshots().kept(), 0u);
  EXPECT_TRUE(NamesIn(source, "data/storage.checkpoints").empty());
  ASSERT_TRUE(pair.UntilInstalled());
  ExpectSame(source, target);
}

TEST_F(StorageNodeTest, APartOfALargeFileIsGoneOnWith) {
  NodeRig source(1, 11, RigLog(5 * kMiB));
  NodeRig target(2, 12);
  Fill(source, 120);
  RigPair pair(source, target, 1);
  pair.Want();
  // Within the blob.
  ASSERT_TRUE(pair.Until([&] {
    const auto bytes = target.files().FileSize(
        "data/storage." + FormatHex(target.node().fetch().manifest().id.value()) + "/" + [&] {
          for (const auto& file : target.node().fetch().manifest().files) {
            if (file.size > 4 * kMiB) return file.name + ".part";
          }
          return std::string("none");
        }());
    return bytes.ok() && *bytes >= 3 * kMiB;
  }));
  ASSERT_EQ(target.node().installed(), 0u);
  pair.Cut();
  target.Restart();
  target.Settle();
  const std::uint64_t before = pair.bytes_asked;
  ASSERT_TRUE(pair.UntilInstalled());
  EXPECT_LT(pair.bytes_asked - before, 3 * kMiB);
  ExpectSame(source, target);
}

TEST_F(StorageNodeTest, WhatIsInMemoryIsBounded) {
  NodeRig source(1, 11, RigLog(4 * kMiB));
  NodeRig target(2, 12);
  Fill(source, 800);
  RigPair pair(source, target, 1);
  pair.faults.reorder = 900;
  ASSERT_TRUE(pair.UntilInstalled());
  EXPECT_GT(pair.bytes_sent, 28 * kMiB);
  EXPECT_LE(pair.held_bytes_max, kFetchCredit * proto::kSnapshotChunkBytesMax);
  EXPECT_GT(pair.held_bytes_max, proto::kSnapshotChunkBytesMax);
  EXPECT_LE(pair.asked_max, kFetchCredit + 1);
}

TEST_F(StorageNodeTest, TheSourceKeepsItsPace) {
  NodeRig source(1, 11, RigLog(4 * kMiB));
  NodeRig target(2, 12);
  Fill(source, 400);
  source.bytes_per_second = 2 * kMiB;
  source.Restart();
  const std::uint64_t begun = source.now_ms();
  RigPair pair(source, target, 1);
  ASSERT_TRUE(pair.UntilInstalled());
  const double seconds = static_cast<double>(source.now_ms() - begun) / 1000;
  // One chunk may go in advance.
  EXPECT_LE(static_cast<double>(pair.bytes_sent),
            seconds * 2 * kMiB + proto::kSnapshotChunkBytesMax + 2 * kMiB * Pace::kBurstMs / 1000);
  EXPECT_GE(static_cast<double>(pair.bytes_sent), seconds * kMiB);
}

TEST_F(StorageNodeTest, WhoReadsWhileItIsInstalledIsToldToAskAgain) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source);
  target.ApplyTo(kOld);
  RigPair pair(source, target, 1);
  pair.Want();
  // It waits for what is applied later than the snapshot.
  target.Receive("router", RequestId(77),
                 proto::Get{.key = Bytes::Copy("key 2"), .min_version = Version(kEntries + 5)});
  ASSERT_TRUE(pair.UntilInstalled());
  ASSERT_EQ(pair.to_others.size(), 1u);
  EXPECT_EQ(pair.to_others[0].request, RequestId(77));
  EXPECT_EQ(std::get<proto::GetReply>(pair.to_others[0].message).error.code,
            ErrorCode::kStorageUnavailable);
  pair.to_others.clear();
  target.Receive("router", RequestId(78), proto::Get{.key = Bytes::Copy("key 2")});
  const auto out = target.Run();
  EXPECT_EQ(std::get<proto::GetReply>(out.messages.at(0).message).version, Version(2));
}

TEST_F(StorageNodeTest, OneThatIsNotNewerThanWhatIsAppliedIsDropped) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source);
  target.ApplyTo(kOld);
  RigPair pair(source, target, 1);
  pair.Want();
  ASSERT_TRUE(pair.Until([&] { return pair.bytes_sent > 20'000; }));
  // The log was quicker.
  target.ApplyTo(kEntries);
  ASSERT_TRUE(pair.Until([&] { return target.node().source() == nullptr; }, 10'000));
  target.Settle();
  EXPECT_EQ(target.node().installed(), 0u);
  EXPECT_EQ(NamesIn(target, "data"), (std::vector<std::string>{"storage"}));
  // Nor is one begun.
  pair.at_least = kEntries;
  pair.Want();
  EXPECT_EQ(target.node().source(), nullptr);
}

TEST_F(StorageNodeTest, ASourceThatIsBehindSaysSo) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source);
  RigPair pair(source, target, 1);
  pair.at_least = kEntries + 1;
  pair.Want();
  ASSERT_TRUE(pair.Until([&] { return !pair.progress.empty() && !pair.last().error.ok(); }));
  EXPECT_EQ(pair.last().error.code, ErrorCode::kTooStale);
  // Once it has applied that, it flushes for the sake of the snapshot.
  source.ApplyTo(kEntries + 1);
  ASSERT_TRUE(pair.UntilInstalled());
  EXPECT_EQ(target.applied(), kEntries + 1);
}

TEST_F(StorageNodeTest, OnlyTheRightNodeOfTheRightClusterIsTaken) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source);
  RigPair pair(source, target, 1);
  source.cluster = ClusterId(0xbad);
  source.Restart();
  pair.Want();
  ASSERT_TRUE(pair.Until([&] { return !pair.progress.empty() && !pair.last().error.ok(); }));
  EXPECT_EQ(pair.last().error.code, ErrorCode::kWrongCluster);
  source.cluster = kRigCluster;
  source.Restart();
  pair.progress.clear();
  pair.source_id = NodeId(3);
  pair.Want();
  ASSERT_TRUE(pair.Until([&] {
    return !pair.progress.empty() && pair.last().error.code == ErrorCode::kInvalidArgument;
  }));
  pair.source_id = NodeId(1);
  ASSERT_TRUE(pair.UntilInstalled());
}

TEST_F(StorageNodeTest, ASourceThatFallsSilentIsAnError) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source);
  RigPair pair(source, target, 1);
  pair.Want();
  ASSERT_TRUE(pair.Until([&] { return pair.bytes_sent > 20'000; }));
  pair.link_up = false;
  pair.Cut();
  ASSERT_TRUE(pair.Until([&] { return target.node().source() == nullptr; }));
  pair.Until([&] { return !pair.last().error.ok(); }, 100);
  EXPECT_EQ(pair.last().error.code, ErrorCode::kStorageUnavailable);
  pair.link_up = true;
  ASSERT_TRUE(pair.UntilInstalled());
  ExpectSame(source, target);
}

TEST_F(StorageNodeTest, ADiskThatIsTooSmallIsAnErrorUntilItIsLargeEnough) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source);
  target.ApplyTo(kOld);
  const std::string before = DumpOf(target.node().engine(), Version(kOld));
  target.files().SetCapacity(kFetchReserveBytes);
  RigPair pair(source, target, 1);
  pair.Want();
  ASSERT_TRUE(pair.Until([&] { return !pair.progress.empty() && !pair.last().error.ok(); }));
  EXPECT_EQ(pair.last().error.code, ErrorCode::kStorageFull);
  EXPECT_EQ(DumpOf(target.node().engine(), Version(kOld)), before);
  target.files().SetCapacity(MemoryFileSystem::kUnlimited);
  ASSERT_TRUE(pair.UntilInstalled());
  ExpectSame(source, target);
}

TEST_F(StorageNodeTest, ATableThatHasRottenAtTheSourceIsFoundAndNothingIsLost) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source);
  target.ApplyTo(kOld);
  const std::string before = DumpOf(target.node().engine(), Version(kOld));
  RigPair pair(source, target, 1);
  pair.Want();
  ASSERT_TRUE(pair.Until([&] { return source.node().snapshots().kept() == 1; }));
  source.Settle();
  const std::string folder =
      "data/storage.checkpoints/" + NamesIn(source, "data/storage.checkpoints").at(0);
  const auto names = NamesIn(source, folder);
  const auto table = std::find_if(names.begin(), names.end(),
                                  [](const std::string& name) { return name.ends_with(".sst"); });
  ASSERT_NE(table, names.end());
  ASSERT_TRUE(source.files().FlipBit(JoinPath(folder, *table), 8 * 1000).ok());
  ASSERT_TRUE(pair.Until(
      [&] { return !pair.progress.empty() && pair.last().error.code == ErrorCode::kCorruption; }));
  EXPECT_NE(pair.last().error.detail.find(*table), std::string::npos) << pair.last().error.detail;
  EXPECT_EQ(target.node().installed(), 0u);
  EXPECT_EQ(DumpOf(target.node().engine(), Version(kOld)), before);
}

TEST_F(StorageNodeTest, AFetchThatALaterLeaderWantsFurtherBeginsAnew) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source);
  RigPair pair(source, target, 1);
  pair.Want();
  ASSERT_TRUE(pair.Until([&] { return pair.bytes_sent > 20'000; }));
  const SnapshotId id = target.node().fetch().manifest().id;
  // This one it has.
  pair.at_least = kEntries / 2;
  pair.Want();
  EXPECT_EQ(target.node().fetch().manifest().id, id);
  source.ApplyTo(kEntries + 100);
  pair.at_least = kEntries + 100;
  pair.Want();
  EXPECT_NE(target.node().fetch().manifest().id, id);
  ASSERT_TRUE(pair.UntilInstalled());
  EXPECT_GE(target.applied(), kEntries + 100);
  target.Settle();
  EXPECT_EQ(NamesIn(target, "data").size(), 2u);  // the engine's folder and the pointer to it
}

TEST_F(StorageNodeTest, AHaltedReplicaIsHealedByASnapshot) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source);
  target.ApplyTo(kOld);
  // A command of a later release: this replica stops there.
  target.Receive("raftd", RequestId(),
                 proto::Apply{{{MakeEntry(kOld + 1, std::string("\x91\x7f", 2)), {}}}});
  target.Run();
  ASSERT_EQ(target.node().core().health(), ErrorCode::kStorageUnavailable);
  RigPair pair(source, target, 1);
  ASSERT_TRUE(pair.UntilInstalled());
  EXPECT_EQ(target.node().core().health(), ErrorCode::kOk);
  target.ApplyTo(kEntries + 50);
}

TEST_F(StorageNodeTest, APointerThatCannotBeWrittenLeavesTheOldData) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source);
  target.ApplyTo(kOld);
  target.files().Inject({.operations = {MemoryFileSystem::Operation::kWrite},
                         .path_suffix = "storage.current.tmp",
                         .error = StatusCode::kNoSpace});
  RigPair pair(source, target, 1);
  pair.Want();
  ASSERT_TRUE(pair.Until([&] { return !pair.progress.empty() && !pair.last().error.ok(); }));
  EXPECT_EQ(pair.last().error.code, ErrorCode::kStorageFull);
  EXPECT_FALSE(target.node().failed());
  target.ApplyTo(kOld + 10);
  // What was fetched is not fetched again.
  const std::uint64_t asked = pair.bytes_asked;
  ASSERT_TRUE(pair.UntilInstalled());
  EXPECT_LT(pair.bytes_asked - asked, asked / 2);
  ExpectSame(source, target);
}

TEST_F(StorageNodeTest, APointerOfUnknownFateEndsTheProcess) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source);
  target.ApplyTo(kOld);
  target.Flush();
  RigPair pair(source, target, 1);
  pair.Want();
  ASSERT_TRUE(
      pair.Until([&] { return target.node().fetch().state() == SnapshotFetch::State::kComplete; }));
  target.files().Inject(
      {.operations = {MemoryFileSystem::Operation::kRename}, .path_suffix = "storage.current"});
  ASSERT_TRUE(pair.Until([&] { return target.node().failed(); }));
  // Nothing is made durable any more that raftd could rely on.
  target.Receive("raftd", RequestId(), proto::Apply{{{target.log().At(kOld + 1), {}}}});
  target.Settle();
  EXPECT_EQ(target.applied(), kOld);
  target.Crash(CrashMode::kRandom);
  ASSERT_TRUE(target.Open().ok());
  EXPECT_TRUE(target.applied() == kOld || target.applied() == kEntries);
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
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source);
  for (std::uint64_t round = 1; round <= 3; ++round) {
    RigPair pair(source, target, round);
    pair.at_least = source.applied();
    pair.Want();
    ASSERT_TRUE(pair.Until([&] { return target.node().installed() == round; }));
    ExpectSame(source, target);
    source.ApplyTo(source.applied() + 300);
  }
  target.Settle();
  target.Restart();
  target.Settle();
  EXPECT_EQ(NamesIn(target, "data").size(), 2u);
  // And it is a source itself.
  NodeRig third(1, 13);
  NodeRig* const from = &target;
  RigPair pair(*from, third, 9);
  pair.source_id = NodeId(2);
  ASSERT_TRUE(pair.UntilInstalled());
  ExpectSame(target, third);
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
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source);
  {
    RigPair pair(source, target, 1);
    ASSERT_TRUE(pair.UntilInstalled());
    target.Settle();
  }
  target.Crash(CrashMode::kLoseUnsynced);
  const auto pointer = ReadFile(target.files(), "data/storage.current", 100);
  ASSERT_TRUE(pointer.ok());
  ASSERT_TRUE(target.files().Remove("data/storage.current").ok());
  EXPECT_TRUE(target.Open().IsCorruption());
  std::string damaged = *pointer;
  damaged[10] ^= 1;
  ASSERT_TRUE(ReplaceFile(target.files(), "data/storage.current", damaged).ok());
  EXPECT_TRUE(target.Open().IsCorruption());
  ASSERT_TRUE(ReplaceFile(target.files(), "data/storage.current", *pointer).ok());
  ASSERT_TRUE(target.Open().ok());
  EXPECT_EQ(target.applied(), kEntries);
}

TEST_F(StorageNodeTest, TheStatusSaysWhatIsFetchedAndKept) {
  NodeRig source(1, 11);
  NodeRig target(2, 12);
  Fill(source);
  RigPair pair(source, target, 1);
  pair.Want();
  ASSERT_TRUE(pair.Until([&] { return pair.bytes_sent > 20'000; }));
  target.Settle();
  const auto status_of = [](NodeRig& rig) {
    rig.Receive("router", RequestId(5), proto::StorageStatusQuery());
    for (auto& message : rig.Run().messages) {
      if (auto* status = std::get_if<proto::StorageStatus>(&message.message)) return *status;
    }
    return proto::StorageStatus();
  };
  EXPECT_EQ(status_of(target).installing, LogIndex(kEntries));
  EXPECT_GT(status_of(target).installing_bytes_total, status_of(target).installing_bytes_done);
  EXPECT_EQ(status_of(source).snapshots_kept, 1u);
}

}  // namespace
}  // namespace bedrock::storage
