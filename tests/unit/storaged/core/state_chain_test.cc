#include "storaged/core/state_chain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storaged/core/client_state.h"
#include "storaged/core/keyspace.h"
#include "tests/unit/storaged/core/entries.h"
#include "tests/unit/storaged/core/fake_engine.h"
#include "tests/unit/storaged/core/replica.h"

namespace bedrock::storage {
namespace {

using Kind = raft::StateCheck::Kind;
using proto::ErrorCode;

constexpr std::uint64_t kKeys = 30;
constexpr std::uint32_t kSliceBytes = 200;

std::string CheckBytes(std::string_view from, std::uint32_t bytes = kSliceBytes) {
  return proto::EncodeCheckState({.from = from, .bytes_max = bytes});
}

/// A state machine on maps that a test may change behind its back.
class Node {
 public:
  Node() { Open(); }

  /// Empty again.
  void Renew() {
    Crash([](FakeDisk& disk) { disk = FakeDisk(); });
  }
  void Restart(const std::function<void(FakeDisk&)>& meanwhile = {}) {
    machine_->StartFlush();
    engine_->FinishFlushes();
    Crash(meanwhile);
  }
  /// What was not flushed is gone.
  void Crash(const std::function<void(FakeDisk&)>& meanwhile = {}) {
    machine_.reset();
    engine_.reset();
    if (meanwhile) meanwhile(disk_);
    Open();
  }

  proto::CommandResult Apply(const raft::Entry& entry) {
    auto result = machine_->Apply(entry);
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    return result.ok() ? *result : proto::CommandResult{};
  }
  const StateChain& chain() const { return machine_->chain(); }
  const raft::StateCheck& last() const { return chain().checks().back(); }
  FakeEngine& engine() { return *engine_; }
  StateMachine& machine() { return *machine_; }

 private:
  void Open() {
    engine_ = std::make_unique<FakeEngine>(disk_);
    auto opened = StateMachine::Open(*engine_);
    CHECK_MSG(opened.ok(), opened.status().ToString());
    machine_ = std::move(opened).value();
  }

  FakeDisk disk_;
  std::unique_ptr<FakeEngine> engine_;
  std::unique_ptr<StateMachine> machine_;
};

/// Two replicas of one log. `a` is the leader's: it says where slices begin.
class StateChainTest : public ::testing::Test {
 protected:
  void ApplyBoth(const std::string& payload) {
    const raft::Entry entry = MakeEntry(++index_, payload);
    const proto::CommandResult of_a = a_.Apply(entry);
    const proto::CommandResult of_b = b_.Apply(entry);
    if (same_results_) {
      EXPECT_EQ(of_a, of_b);
    }
  }
  void Put(const std::string& key, const std::string& value) {
    proto::Command command = PutCommand(7, ++sequence_, key, value);
    // One kept reply, so that there are system records, too.
    if (sequence_ == 1) command.idempotency = {"once", fingerprint_};
    ApplyBoth(proto::EncodeCommand(command));
  }
  void Add(const std::string& key) {
    proto::Command command = MakeCommand(7, ++sequence_);
    command.operations = {AddOf(key, 1)};
    ApplyBoth(proto::EncodeCommand(command));
  }
  static std::string KeyOf(std::uint64_t i) { return "key" + std::to_string(100 + i); }
  void Fill() {
    for (std::uint64_t i = 0; i < kKeys; ++i) Put(KeyOf(i), "value " + std::to_string(i));
  }
  /// Checks the next slice. True: both found the same hash, or neither knows one.
  bool Check() {
    const std::string from = a_.chain().next();
    ApplyBoth(CheckBytes(from));
    return a_.last() == b_.last();
  }
  /// Goes on to the end of the pass that has begun, or through a new one; how many checks differed.
  int CheckAll() {
    int differed = 0;
    slices_ = 0;
    do {
      differed += Check() ? 0 : 1;
      ++slices_;
    } while (!a_.chain().next().empty());
    return differed;
  }
  /// Fills both, and has one pass done, so that hashes are known.
  void Prepare() {
    Fill();
    ASSERT_EQ(CheckAll(), 0);
    ASSERT_EQ(a_.last().kind, Kind::kHash);
  }

  Node a_;
  Node b_;
  std::uint64_t index_ = 0;
  std::uint64_t sequence_ = 0;
  int slices_ = 0;
  bool same_results_ = true;
  std::string fingerprint_ = FingerprintOf('f');
};

TEST_F(StateChainTest, NothingIsKnownBeforeAPassBegins) {
  Fill();
  EXPECT_TRUE(a_.chain().checks().empty());
  EXPECT_EQ(a_.chain(), StateChain());
  Check();
  EXPECT_EQ(a_.last(), (raft::StateCheck{LogIndex(kKeys + 1), Kind::kUnknown, 0}));
  Check();
  EXPECT_EQ(a_.last().kind, Kind::kHash);
  EXPECT_NE(a_.last().hash, 0u);
}

TEST_F(StateChainTest, ACheckSucceedsAndChangesNothingThatIsStored) {
  Fill();
  const raft::Entry entry = MakeEntry(++index_, CheckBytes(""));
  EXPECT_EQ(a_.Apply(entry).code, ErrorCode::kOk);
  EXPECT_EQ(a_.machine().applied(), LogIndex(index_));
  EXPECT_EQ(a_.engine().ChangedSince({}, Version(index_ - 1)).value(), false);
  EXPECT_EQ(a_.machine().sessions().session_count(), 1u);
}

TEST_F(StateChainTest, WhatIsNoCheckIsRefusedAndLeavesNone) {
  const raft::Entry entry =
      MakeEntry(++index_, proto::EncodeCheckState({.from = {}, .bytes_max = 0}));
  EXPECT_EQ(a_.Apply(entry).code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(a_.chain().checks().empty());
}

TEST_F(StateChainTest, APassGoesThroughAllKeysOnceAndTheNextBeginsAnew) {
  Fill();
  CheckAll();
  EXPECT_GT(slices_, 3);
  EXPECT_EQ(a_.chain().passes(), 1u);
  EXPECT_TRUE(a_.chain().next().empty());
  CheckAll();
  EXPECT_EQ(a_.chain().passes(), 2u);
}

TEST_F(StateChainTest, SlicesMeetWithoutGapsOrOverlaps) {
  Fill();
  std::multiset<std::string> seen;
  std::string from;
  do {
    const auto slice = HashSlice(a_.engine(), {.from = from, .bytes_max = kSliceBytes});
    ASSERT_TRUE(slice.ok());
    std::uint64_t bytes = 0;
    const auto walk = a_.engine().NewIterator({}, {from, slice->next});
    for (walk->SeekToFirst(); walk->Valid(); walk->Next()) {
      EXPECT_LT(bytes, kSliceBytes);
      bytes += walk->key().size() + walk->value().size() + kSliceItemBytes;
      seen.emplace(walk->key());
    }
    if (!slice->next.empty()) {
      EXPECT_GE(bytes, kSliceBytes);
    }
    from = slice->next;
  } while (!from.empty());
  EXPECT_EQ(seen.size(), kKeys + 2);  // and both idempotency records
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), seen.size());
}

TEST_F(StateChainTest, ReplicasOfOneLogAgreeAndEachCheckIsAnotherHash) {
  Prepare();
  std::set<std::uint64_t> hashes;
  for (int pass = 0; pass < 3; ++pass) {
    EXPECT_EQ(CheckAll(), 0);
    hashes.insert(a_.last().hash);
  }
  EXPECT_EQ(hashes.size(), 3u);
  EXPECT_EQ(a_.chain(), b_.chain());
}

struct Tampering {
  const char* name;
  std::function<void(FakeDisk&)> with;
};

FakeDisk::Versions& VersionsOf(FakeDisk& disk, const std::string& key) {
  const auto found = disk.content.find(key);
  CHECK(found != disk.content.end());
  return found->second;
}

std::vector<Tampering> Tamperings() {
  return {
      {"a changed value",
       [](FakeDisk& disk) { VersionsOf(disk, "ukey120").rbegin()->second.second[3] ^= 1; }},
      {"a missing key", [](FakeDisk& disk) { disk.content.erase("ukey111"); }},
      {"the first key missing", [](FakeDisk& disk) { disk.content.erase(disk.content.begin()); }},
      {"the last key missing", [](FakeDisk& disk) { disk.content.erase("ukey129"); }},
      {"an extra key",
       [](FakeDisk& disk) {
         disk.content["ukey1155"] = {{5, {true, "x"}}};
       }},
      {"a key behind the last",
       [](FakeDisk& disk) {
         disk.content["uz"] = {{5, {true, "x"}}};
       }},
      {"another version",
       [](FakeDisk& disk) {
         auto& versions = VersionsOf(disk, "ukey107");
         auto newest = versions.extract(versions.rbegin()->first);
         newest.key() -= 1;
         versions.insert(std::move(newest));
       }},
      {"a system record",
       [](FakeDisk& disk) { VersionsOf(disk, "sionce").rbegin()->second.second.back() ^= 1; }},
      {"an old value that came back",
       [](FakeDisk& disk) {
         auto& versions = VersionsOf(disk, "ukey103");
         CHECK(versions.size() == 2);
         versions.erase(std::prev(versions.end()));
       }},
      {"a deletion that was lost",
       [](FakeDisk& disk) {
         auto& versions = VersionsOf(disk, "ukey104");
         CHECK(!versions.rbegin()->second.first);
         versions.erase(std::prev(versions.end()));
       }},
  };
}

TEST_F(StateChainTest, WhateverIsChangedAtRestIsFoundWithinAPass) {
  for (const Tampering& tampering : Tamperings()) {
    SCOPED_TRACE(tampering.name);
    a_.Renew();
    b_.Renew();
    index_ = sequence_ = 0;
    Fill();
    Put(KeyOf(3), "newer");
    proto::Command remove = MakeCommand(7, ++sequence_);
    remove.operations = {DeleteOf(KeyOf(4))};
    ApplyBoth(proto::EncodeCommand(remove));
    ASSERT_EQ(CheckAll(), 0);
    b_.Restart(tampering.with);
    EXPECT_GT(CheckAll(), 0);
    // Whoever missed that check sees it at the next ones of the pass.
    EXPECT_NE(a_.last(), b_.last());
    EXPECT_EQ(b_.last().kind, Kind::kHash);
  }
}

TEST_F(StateChainTest, WhatCompactionsDropMakesNoDifference) {
  Prepare();
  Put(KeyOf(3), "newer");
  proto::Command remove = MakeCommand(7, ++sequence_);
  remove.operations = {DeleteOf(KeyOf(4))};
  ApplyBoth(proto::EncodeCommand(remove));
  b_.Restart([](FakeDisk& disk) {
    for (auto key = disk.content.begin(); key != disk.content.end();) {
      auto& versions = key->second;
      versions.erase(versions.begin(), std::prev(versions.end()));
      key = versions.begin()->second.first ? std::next(key) : disk.content.erase(key);
    }
  });
  EXPECT_EQ(CheckAll(), 0);
}

TEST_F(StateChainTest, AnEntryThatHadAnotherEffectIsFoundAtTheNextCheckWhereverItIs) {
  Prepare();
  Put("zahl", "1");
  while (a_.chain().next().empty() || a_.chain().next() < "ukey110") ASSERT_TRUE(Check());
  // Behind the slices that were looked at.
  b_.Restart([](FakeDisk& disk) { VersionsOf(disk, "uzahl").rbegin()->second.second = "5"; });
  EXPECT_TRUE(Check());
  same_results_ = false;
  Add("zahl");
  EXPECT_FALSE(Check());
}

TEST_F(StateChainTest, AnEntryThatHadAnotherResultIsFoundThoughItWroteTheSame) {
  Prepare();
  ASSERT_TRUE(Check());
  a_.Apply(Noop(++index_));
  b_.Apply(MakeEntry(index_, "no command"));
  EXPECT_FALSE(Check());
}

TEST_F(StateChainTest, WhatWasExecutedBetweenTwoPassesIsComparedWhereTheNextBegins) {
  Prepare();
  ASSERT_TRUE(a_.chain().next().empty());
  a_.Apply(Noop(++index_));
  b_.Apply(MakeEntry(index_, "no command"));  // writes the same: nothing
  EXPECT_FALSE(Check());
  EXPECT_EQ(a_.last().kind, Kind::kHash);
  // The pass itself knows nothing of before.
  EXPECT_TRUE(Check());
}

TEST_F(StateChainTest, ADamagedSliceIsAFindingAndStopsNothing) {
  Prepare();
  b_.engine().get_status = Status::Corruption("000012.sst: block at 4096");
  EXPECT_FALSE(Check());
  EXPECT_EQ(b_.last(), (raft::StateCheck{LogIndex(index_), Kind::kDamaged, 0}));
  EXPECT_TRUE(b_.machine().slice_fault().IsCorruption());
  EXPECT_EQ(b_.machine().applied(), LogIndex(index_));
  b_.engine().get_status = Status::Ok();
  // What it could not read it does not pretend to know.
  Put("more", "of it");
  Check();
  EXPECT_EQ(a_.last().kind, Kind::kHash);
  EXPECT_EQ(b_.last().kind, Kind::kUnknown);
  EXPECT_EQ(b_.chain().passes(), 1u);
  CheckAll();
  EXPECT_EQ(b_.last().kind, Kind::kUnknown);
  EXPECT_EQ(b_.chain().passes(), 1u);
  // The next pass lets it in again.
  Check();
  EXPECT_EQ(a_.last().kind, Kind::kHash);
  EXPECT_EQ(b_.last().kind, Kind::kUnknown);
  EXPECT_TRUE(Check());
  EXPECT_EQ(b_.last().kind, Kind::kHash);
}

TEST_F(StateChainTest, ADamagedSliceWhereAPassBeginsDoesNotLetTheReplicaIn) {
  Prepare();
  ASSERT_TRUE(a_.chain().next().empty());
  b_.engine().get_status = Status::Corruption("000012.sst: block at 0");
  Check();
  EXPECT_EQ(b_.last().kind, Kind::kDamaged);
  b_.engine().get_status = Status::Ok();
  Check();
  EXPECT_EQ(b_.last().kind, Kind::kUnknown);
}

TEST_F(StateChainTest, AReadThatFailsOtherwiseProvesNothing) {
  Prepare();
  b_.engine().get_status = Status::IoError("000012.sst: read");
  Check();
  EXPECT_EQ(b_.last(), (raft::StateCheck{LogIndex(index_), Kind::kUnknown, 0}));
  b_.engine().get_status = Status::Ok();
  Check();
  EXPECT_EQ(b_.last().kind, Kind::kUnknown);
}

TEST_F(StateChainTest, AnEngineThatIsBusyChangesNothing) {
  Prepare();
  const StateChain before = b_.chain();
  const raft::Entry entry = MakeEntry(++index_, CheckBytes(""));
  b_.engine().apply_status = Status::Busy("memtables wait");
  EXPECT_TRUE(b_.machine().Apply(entry).status().IsBusy());
  EXPECT_EQ(b_.chain(), before);
  b_.engine().apply_status = Status::Ok();
  a_.Apply(entry);
  b_.Apply(entry);
  EXPECT_EQ(a_.chain(), b_.chain());
}

TEST_F(StateChainTest, ItIsAsOldAsTheDataAfterACrash) {
  Prepare();
  ASSERT_TRUE(Check());
  b_.Restart();
  EXPECT_EQ(b_.chain(), a_.chain());
  std::vector<raft::Entry> since;
  for (int i = 0; i < 5; ++i) {
    since.push_back(
        MakeEntry(++index_, proto::EncodeCommand(PutCommand(7, ++sequence_, KeyOf(1), "again"))));
  }
  since.push_back(MakeEntry(++index_, CheckBytes(a_.chain().next())));
  for (const auto& entry : since) a_.Apply(entry);
  for (const auto& entry : since) b_.Apply(entry);
  EXPECT_EQ(b_.chain(), a_.chain());
  b_.Crash();
  EXPECT_NE(b_.chain(), a_.chain());
  for (const auto& entry : since) b_.Apply(entry);
  EXPECT_EQ(b_.chain(), a_.chain());
}

TEST_F(StateChainTest, DataOfAReleaseWithoutChecksAreLetInByTheNextPass) {
  Prepare();
  const std::string sessions = b_.machine().sessions().Encode();
  b_.Restart([&](FakeDisk& disk) { disk.client_state = sessions; });
  EXPECT_EQ(b_.chain(), StateChain());
  Check();
  EXPECT_EQ(a_.last().kind, Kind::kHash);
  EXPECT_EQ(b_.last().kind, Kind::kUnknown);
  EXPECT_EQ(CheckAll(), 0);
  EXPECT_EQ(b_.last().kind, Kind::kHash);
}

TEST_F(StateChainTest, TheNewestChecksAreRememberedAndAreKnownAgain) {
  Prepare();
  std::vector<raft::StateCheck> all;
  for (std::size_t i = 0; i < raft::kStateChecksMax + 3; ++i) {
    Check();
    all.push_back(a_.last());
  }
  EXPECT_EQ(a_.chain().checks().size(), raft::kStateChecksMax);
  EXPECT_EQ(a_.chain().checked(), LogIndex(index_));
  EXPECT_FALSE(a_.chain().Gave(all[2]));
  EXPECT_TRUE(a_.chain().Gave(all[3]));
  raft::StateCheck other = all.back();
  ++other.hash;
  EXPECT_FALSE(a_.chain().Gave(other));
}

TEST_F(StateChainTest, ComesBackFromItsEncodingAndNotFromDamagedOnes) {
  Prepare();
  Check();
  const std::string encoded = a_.chain().Encode();
  const auto back = StateChain::Decode(encoded);
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_EQ(*back, a_.chain());
  for (std::size_t size = 1; size < encoded.size(); ++size) {
    EXPECT_TRUE(StateChain::Decode(encoded.substr(0, size)).status().IsCorruption()) << size;
  }
  EXPECT_TRUE(StateChain::Decode(encoded + "x").status().IsCorruption());
  for (std::size_t at = 0; at < encoded.size(); ++at) {
    std::string damaged = encoded;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    const auto other = StateChain::Decode(damaged);
    if (other.ok()) {
      EXPECT_EQ(other->Encode(), damaged) << at;
    }
  }
}

TEST(ClientStateTest, ComesBackAsItWas) {
  SessionTable sessions;
  sessions.AdvanceTime(5);
  StateChain chain;
  chain.AddCheck(LogIndex(3), {.from = {}, .bytes_max = 1}, StateSlice{.hash = 7, .next = "u5"});
  const std::string encoded = EncodeClientState(sessions, chain);
  const auto back = DecodeClientState(encoded);
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_EQ(back->sessions, sessions);
  EXPECT_EQ(back->chain, chain);
  for (std::size_t size = 1; size < encoded.size(); ++size) {
    EXPECT_TRUE(DecodeClientState(encoded.substr(0, size)).status().IsCorruption()) << size;
  }
  EXPECT_TRUE(DecodeClientState("\x03").status().IsCorruption());
}

TEST(ClientStateTest, AnEmptyOneIsOfANewDatabase) {
  const auto state = DecodeClientState("");
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->sessions, SessionTable());
  EXPECT_EQ(state->chain, StateChain());
}

// Replicas of different releases compare these numbers: they must never change.
TEST(StateChainGoldenTest, HashesAreWhatTheyAlwaysWere) {
  Node node;
  for (std::uint64_t i = 1; i <= 4; ++i) {
    node.Apply(MakeEntry(i, proto::EncodeCommand(PutCommand(7, i, "k" + std::to_string(i), "v"))));
  }
  const auto slice = HashSlice(node.engine(), {.from = "uk2", .bytes_max = 30});
  ASSERT_TRUE(slice.ok());
  EXPECT_EQ(slice->next, "uk4");
  EXPECT_EQ(slice->hash, 4362876661170012016u);
  node.Apply(MakeEntry(5, CheckBytes("")));
  node.Apply(MakeEntry(6, proto::EncodeCommand(PutCommand(7, 6, "k", "w"))));
  node.Apply(MakeEntry(7, CheckBytes("uk3")));
  EXPECT_EQ(node.last().hash, 14338435835448118280u);
  node.Apply(MakeEntry(8, CheckBytes("")));
  EXPECT_EQ(node.last().hash, 5459539867411349216u);
}

TEST(StateSliceTest, OnARealEngineItIsTheSameWhateverWasFlushedAndCompacted) {
  Replica flushed(1);
  Replica in_memory(2);
  for (std::uint64_t i = 1; i <= 400; ++i) {
    const std::string key = "key" + std::to_string(i % 50);
    const std::string value = std::string(40, 'v') + std::to_string(i);
    const proto::Command command = PutCommand(7, i, key, value);
    flushed.Apply(MakeEntry(i, command));
    in_memory.Apply(MakeEntry(i, command));
    if (i % 37 == 0) flushed.Flush();
  }
  flushed.FlushAndRestart();
  ASSERT_EQ(flushed.Dump(), in_memory.Dump());
  const proto::CheckState check{.from = "u", .bytes_max = 1'500};
  const auto a = HashSlice(flushed.engine(), check);
  const auto b = HashSlice(in_memory.engine(), check);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(*a, *b);
  EXPECT_FALSE(a->next.empty());
}

}  // namespace
}  // namespace bedrock::storage
