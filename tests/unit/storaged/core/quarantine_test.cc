// A storaged whose state differs from the other replicas': it serves nobody, over restarts, until
// another's data take the place of its own.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "storaged/core/storage_node.h"
#include "storaged/snapshot/manifest.h"
#include "tests/unit/storaged/core/node_rig.h"

namespace bedrock::storage {
namespace {

using proto::ErrorCode;

constexpr std::uint64_t kEntries = 200;

class QuarantineTest : public ::testing::Test {
 protected:
  QuarantineTest() : node_(2, 12) {
    node_.ApplyTo(kEntries);
    Check(node_);
    Check(node_);  // the second one has something to say of what was before
  }

  /// Its next entry is a check of all that it holds.
  static raft::StateCheck Check(NodeRig& rig) {
    const std::string payload = proto::EncodeCheckState(
        {.from = {}, .bytes_max = static_cast<std::uint32_t>(proto::kCheckBytesMax)});
    rig.Receive("raftd", RequestId(), proto::Apply{{{MakeEntry(rig.applied() + 1, payload), {}}}});
    rig.Run();
    return Last(rig);
  }
  static const raft::StateCheck& Last(NodeRig& rig) {
    return rig.node().machine().chain().checks().back();
  }
  /// Has it quarantined, and that noted on disk; what it said meanwhile.
  static std::vector<Outgoing> Quarantine(NodeRig& rig, const raft::StateCheck& check) {
    rig.Receive("raftd", RequestId(5), proto::Quarantine{check});
    return rig.Settle().messages;
  }
  template <typename T>
  static T Answer(NodeRig& rig, proto::Message question) {
    rig.Receive("somebody", RequestId(9), std::move(question));
    for (const Outgoing& message : rig.Settle().messages) {
      if (message.to != "somebody" || message.request != RequestId(9)) continue;
      if (const T* answer = std::get_if<T>(&message.message)) return *answer;
    }
    ADD_FAILURE() << "no answer";
    return {};
  }
  static ErrorCode ReadError(NodeRig& rig) {
    return Answer<proto::GetReply>(rig, proto::Get{.key = Bytes("key 2"), .min_version = {}})
        .error.code;
  }
  static ErrorCode Health(NodeRig& rig) { return rig.node().core().health(); }

  NodeRig node_;
};

TEST_F(QuarantineTest, AQuarantinedReplicaServesNoReadsAndSaysWhy) {
  ASSERT_EQ(Last(node_).kind, raft::StateCheck::Kind::kHash);
  EXPECT_EQ(ReadError(node_), ErrorCode::kOk);
  Quarantine(node_, Last(node_));
  EXPECT_EQ(ReadError(node_), ErrorCode::kStorageUnavailable);
  proto::Command query;
  query.operations = {GetOf("key 2")};
  const auto queried =
      Answer<proto::QueryReply>(node_, proto::Query{.command = Bytes(EncodeCommand(query))});
  EXPECT_EQ(queried.error.code, ErrorCode::kStorageUnavailable);
  proto::Lock lock;
  lock.transaction = {BootId(1), 1};
  lock.term = Term(1);
  lock.hold_ms = 1'000;
  lock.what.key = Bytes("k");
  EXPECT_FALSE(Answer<proto::LockReply>(node_, lock).error.ok());
  const auto status = Answer<proto::StorageStatus>(node_, proto::StorageStatusQuery{});
  EXPECT_EQ(status.health, ErrorCode::kDiverged);
  EXPECT_EQ(status.diverged_at, Last(node_).index);
  EXPECT_EQ(status.checked, Last(node_).index);
  EXPECT_EQ(status.check_passes, 2u);
  EXPECT_NE(status.detail.find(std::to_string(kEntries + 2)), std::string::npos) << status.detail;
}

TEST_F(QuarantineTest, ReadsThatWaitAreEnded) {
  node_.Receive("reader", RequestId(3),
                proto::Get{.key = Bytes("k"), .min_version = Version(kEntries + 1'000)});
  node_.Run();
  const auto said = Quarantine(node_, Last(node_));
  EXPECT_TRUE(std::any_of(said.begin(), said.end(), [](const Outgoing& message) {
    const auto* reply = std::get_if<proto::GetReply>(&message.message);
    return message.to == "reader" && reply != nullptr &&
           reply->error.code == ErrorCode::kStorageUnavailable;
  }));
}

TEST_F(QuarantineTest, ItsRaftdIsToldOnceItIsOnDisk) {
  node_.Receive("raftd", RequestId(5), proto::Quarantine{Last(node_)});
  node_.Run();
  EXPECT_EQ(Health(node_), ErrorCode::kStorageUnavailable);
  const auto said = node_.Settle().messages;
  ASSERT_FALSE(said.empty());
  const auto* progress = std::get_if<proto::ApplyProgress>(&said.back().message);
  ASSERT_NE(progress, nullptr);
  EXPECT_EQ(said.back().to, "raftd");
  EXPECT_EQ(progress->health, ErrorCode::kDiverged);
  ASSERT_TRUE(progress->state);
  EXPECT_EQ(progress->state->diverged_at, Last(node_).index);
  EXPECT_EQ(progress->state->checks, node_.node().machine().chain().checks());
}

TEST_F(QuarantineTest, WhatItDidNotFindItselfIsNotHeldAgainstIt) {
  const raft::StateCheck found = Last(node_);
  raft::StateCheck other = found;
  ++other.hash;
  Quarantine(node_, other);
  other = found;
  other.index = other.index.Next();
  Quarantine(node_, other);
  other = found;
  other.kind = raft::StateCheck::Kind::kDamaged;
  Quarantine(node_, other);
  // The first check of all: it found nothing to compare there.
  const raft::StateCheck unknown = node_.node().machine().chain().checks().front();
  ASSERT_EQ(unknown.kind, raft::StateCheck::Kind::kUnknown);
  Quarantine(node_, unknown);
  EXPECT_EQ(Health(node_), ErrorCode::kOk);
  EXPECT_EQ(ReadError(node_), ErrorCode::kOk);
}

TEST_F(QuarantineTest, OnlyTheOwnRaftdIsHeard) {
  proto::Frame frame{.header = node_.Header()};
  frame.header.node = NodeId(3);
  frame.packets.push_back({RequestId(5), 0, proto::Quarantine{Last(node_)}});
  node_.node().Receive("raftd", std::move(frame), node_.now_ms());
  const auto said = node_.Settle().messages;
  ASSERT_EQ(said.size(), 1u);
  EXPECT_NE(std::get_if<proto::Refusal>(&said[0].message), nullptr);
  EXPECT_EQ(Health(node_), ErrorCode::kOk);
}

TEST_F(QuarantineTest, ItOutlastsRestartsAndCrashes) {
  node_.Flush();
  const raft::StateCheck check = Last(node_);
  Quarantine(node_, check);
  node_.Restart();
  EXPECT_EQ(Health(node_), ErrorCode::kDiverged);
  EXPECT_EQ(node_.node().core().diverged_at(), check.index);
  EXPECT_EQ(ReadError(node_), ErrorCode::kStorageUnavailable);
  node_.Crash(MemoryFileSystem::CrashMode::kLoseUnsynced);
  ASSERT_TRUE(node_.Open().ok());
  EXPECT_EQ(Health(node_), ErrorCode::kDiverged);
}

TEST_F(QuarantineTest, ACrashBeforeItWasOnDiskLeavesAReplicaThatIsToldAgain) {
  node_.Flush();
  const raft::StateCheck check = Last(node_);
  node_.Receive("raftd", RequestId(5), proto::Quarantine{check});
  node_.Run();
  node_.Crash(MemoryFileSystem::CrashMode::kLoseUnsynced);
  ASSERT_TRUE(node_.Open().ok());
  EXPECT_EQ(Health(node_), ErrorCode::kOk);
  Quarantine(node_, check);
  EXPECT_EQ(Health(node_), ErrorCode::kDiverged);
}

TEST_F(QuarantineTest, WithoutRoomOnDiskItIsNotedLater) {
  node_.files().SetCapacity(0);
  Quarantine(node_, Last(node_));
  EXPECT_EQ(Health(node_), ErrorCode::kStorageUnavailable);
  EXPECT_FALSE(node_.node().quarantine_fault().ok());
  EXPECT_EQ(ReadError(node_), ErrorCode::kStorageUnavailable);
  node_.files().SetCapacity(MemoryFileSystem::kUnlimited);
  ASSERT_TRUE(node_.node().NextWakeup());
  node_.clock().AdvanceMs(*node_.node().NextWakeup() - node_.now_ms());
  node_.Settle();
  EXPECT_EQ(Health(node_), ErrorCode::kDiverged);
  EXPECT_TRUE(node_.node().quarantine_fault().ok());
}

TEST_F(QuarantineTest, ItGoesOnApplyingButAnswersNoCommands) {
  Quarantine(node_, Last(node_));
  const std::uint64_t next = node_.applied() + 1;
  node_.Receive("raftd", RequestId(),
                proto::Apply{{{MakeEntry(next, PutCommand(99, 1, "k", "v")),
                               {.router = "router", .request = RequestId(4)}}}});
  for (const Outgoing& message : node_.Settle().messages) EXPECT_NE(message.to, "router");
  EXPECT_EQ(node_.applied(), next);
}

TEST_F(QuarantineTest, ItLendsNobodyItsData) {
  node_.Flush();
  Quarantine(node_, Last(node_));
  const auto manifest = Answer<proto::SnapshotManifest>(
      node_, proto::SnapshotOpen{.at_least = LogIndex(1), .resume = {}});
  EXPECT_EQ(manifest.error.code, ErrorCode::kStorageUnavailable);
  EXPECT_FALSE(manifest.id);
  const auto chunk = Answer<proto::SnapshotChunk>(
      node_, proto::SnapshotRead{.id = SnapshotId(7), .file = 0, .offset = 0, .bytes = 10});
  EXPECT_EQ(chunk.error.code, ErrorCode::kStorageUnavailable);
}

TEST_F(QuarantineTest, AReaderInTheMiddleOfItsSnapshotGetsNoMoreOfIt) {
  node_.Flush();
  NodeRig target(3, 13);
  node_.bytes_per_second = 1;  // of the next life
  node_.Restart();
  RigPair pair(node_, target, 1);
  pair.source_id = node_.id();
  pair.at_least = kEntries;
  pair.Want();
  ASSERT_TRUE(pair.Until([&] { return target.node().fetch().manifest().id.value() != 0; }));
  Quarantine(node_, Last(node_));
  const bool failed =
      pair.Until([&] { return !pair.progress.empty() && !pair.last().error.ok(); }, 200'000);
  EXPECT_TRUE(failed);
  EXPECT_EQ(target.node().installed(), 0u);
}

TEST_F(QuarantineTest, AnothersSnapshotEndsIt) {
  NodeRig source(1, 11);
  source.ApplyTo(kEntries);
  Check(source);
  Check(source);
  source.ApplyTo(kEntries + 50);
  source.Flush();
  node_.Flush();
  Quarantine(node_, Last(node_));
  ASSERT_TRUE(node_.files().Exists("data/storage.quarantine").value());
  RigPair pair(source, node_, 1);
  pair.at_least = kEntries + 50;
  ASSERT_TRUE(pair.UntilInstalled());
  node_.Settle();
  EXPECT_EQ(Health(node_), ErrorCode::kOk);
  EXPECT_EQ(ReadError(node_), ErrorCode::kOk);
  EXPECT_EQ(node_.node().machine().chain(), source.node().machine().chain());
  EXPECT_FALSE(node_.files().Exists("data/storage.quarantine").value());
  node_.Restart();
  EXPECT_EQ(Health(node_), ErrorCode::kOk);
  // It can be quarantined again.
  const raft::StateCheck check = Check(node_);
  Quarantine(node_, check);
  node_.Restart();
  EXPECT_EQ(Health(node_), ErrorCode::kDiverged);
}

TEST_F(QuarantineTest, ANoteOnDataThatAreGoneMeansNothing) {
  node_.Flush();
  Quarantine(node_, Last(node_));
  node_.Close();
  ASSERT_TRUE(RemoveFolder(node_.files(), "data/storage").ok());
  ASSERT_TRUE(node_.Open().ok());
  EXPECT_EQ(node_.applied(), 0u);
  EXPECT_EQ(Health(node_), ErrorCode::kOk);
  // Nor later on, when the new data hold something.
  node_.ApplyTo(kEntries);
  node_.Flush();
  node_.Close();
  ASSERT_TRUE(node_.Open().ok());
  EXPECT_GT(node_.applied(), 0u);
  EXPECT_EQ(Health(node_), ErrorCode::kOk);
}

TEST_F(QuarantineTest, ANoteOnDataThatAreGoneDoesNotComeBackWithAPowerCut) {
  node_.Flush();
  Quarantine(node_, Last(node_));
  node_.Close();
  ASSERT_TRUE(RemoveFolder(node_.files(), "data/storage").ok());
  ASSERT_TRUE(node_.files().SyncDirectory("data").ok());
  ASSERT_TRUE(node_.Open().ok());
  EXPECT_EQ(node_.applied(), 0u);
  node_.ApplyTo(kEntries);
  node_.Flush();
  node_.Crash(MemoryFileSystem::CrashMode::kLoseUnsynced);
  ASSERT_TRUE(node_.Open().ok());
  EXPECT_EQ(node_.applied(), kEntries);
  EXPECT_EQ(Health(node_), ErrorCode::kOk);
}

TEST_F(QuarantineTest, ANoteThatCannotBeReadCounts) {
  node_.Flush();
  Quarantine(node_, Last(node_));
  node_.Close();
  {
    auto file = node_.files().Open("data/storage.quarantine", FileSystem::OpenMode::kCreate);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->WriteAt(0, "storage 17\n00000000\n").ok());
  }
  ASSERT_TRUE(node_.Open().ok());
  EXPECT_EQ(Health(node_), ErrorCode::kDiverged);
  EXPECT_EQ(node_.node().core().diverged_at(), DataFolder::kQuarantineUnclear);
}

TEST_F(QuarantineTest, DamageThatACheckMeetsIsCountedAndTold) {
  // See state_chain_test.cc for what becomes of the hash.
  node_.ApplyTo(4 * kEntries);
  node_.Flush();
  node_.Close();
  auto names = node_.files().List("data/storage");
  ASSERT_TRUE(names.ok());
  for (const std::string& name : *names) {
    if (!name.ends_with(".sst")) continue;
    const std::string path = "data/storage/" + name;
    auto file = node_.files().Open(path, FileSystem::OpenMode::kReadWrite);
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    // Behind the system's records, which are read when it is opened.
    const std::uint64_t at = *(*file)->Size() / 2;
    if (at > 5'000) {
      ASSERT_TRUE((*file)->WriteAt(at, "rotten").ok());
    }
  }
  const Status opened = node_.Open();
  ASSERT_TRUE(opened.ok()) << opened.ToString();
  const std::uint64_t applied = node_.applied();
  const raft::StateCheck check = Check(node_);
  EXPECT_EQ(check.kind, raft::StateCheck::Kind::kDamaged);
  EXPECT_EQ(node_.applied(), applied + 1);
  EXPECT_EQ(node_.node().core().corrupt_reads(), 1u);
  Quarantine(node_, check);
  EXPECT_EQ(Health(node_), ErrorCode::kDiverged);
}

}  // namespace
}  // namespace bedrock::storage
