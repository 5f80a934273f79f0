#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "common/env/random.h"
#include "tests/unit/raftd/core/cluster_harness.h"

namespace bedrock::raft {
namespace {

// Random schedules of a small cluster: messages lost, doubled and reordered, writes that take their
// time, crashes, cut links, pauses. The harness checks safety after every step; a read index must
// cover all that was committed anywhere when the read came; and once everything is well again, a
// leader must come and all logs must agree (R9, R66).
class Chaos {
 public:
  explicit Chaos(std::uint64_t seed, Cluster::Trace trace = {})
      : random_(seed), cluster_(Options(seed, random_), std::move(trace)) {}

  void Step() {
    const auto die = random_.Below(1000);
    if (die < 450) {
      DeliverOne();
    } else if (die < 700) {
      const std::uint64_t id = AnyNode();
      if (cluster_.up(id)) cluster_.Tick(id, 1 + random_.Below(4));
    } else if (die < 800) {
      const std::uint64_t id = AnyNode();
      if (cluster_.up(id)) cluster_.WriteDone(id);
    } else if (die < 900) {
      Propose();
    } else if (die < 950) {
      Read();
    } else if (die < 960) {
      snapshots_ += cluster_.InstallWanted();
    } else {
      Fault();
    }
    CheckReads();
  }

  void Recover() {
    cluster_.Heal();
    for (std::uint64_t id : cluster_.ids()) {
      if (!cluster_.up(id)) cluster_.Restart(id);
      cluster_.DiskStalled(id, false);
      cluster_.DiskFull(id, false);
    }
    // Links that come back after a cut say so.
    for (std::uint64_t id : cluster_.ids()) {
      for (std::uint64_t other : cluster_.ids()) {
        if (other != id) cluster_.at(id).LinkReset(NodeId(other));
      }
      cluster_.Run(id);
    }
    // Snapshots travel, and a leader that needs one itself hands over.
    for (int i = 0; i < 400; ++i) {
      cluster_.Stabilize();
      cluster_.TickAll(1);
      snapshots_ += cluster_.InstallWanted();
    }
    ASSERT_NE(cluster_.Elect(), 0U);
    const std::uint64_t leader = cluster_.Elect();
    ASSERT_FALSE(cluster_.Propose(leader, "end").refused);
    for (int i = 0; i < 40; ++i) {
      cluster_.Stabilize();
      cluster_.TickAll(1);
      snapshots_ += cluster_.InstallWanted();
    }
    cluster_.Stabilize();
    for (std::uint64_t id : cluster_.ids()) {
      ASSERT_EQ(cluster_.Applied(id), cluster_.Applied(leader)) << "n" << id;
      ASSERT_EQ(cluster_.view(id).last_index, cluster_.view(leader).last_index);
    }
  }

  Cluster& cluster() { return cluster_; }
  std::uint64_t reads_checked() const { return reads_checked_; }
  std::uint64_t snapshots() const { return snapshots_; }

 private:
  static ClusterOptions Options(std::uint64_t seed, Random& random) {
    ClusterOptions options;
    options.nodes = random.Between(1, 5);
    options.seed = seed;
    options.sync_at_once = random.Chance(1, 4);
    options.limits.election_ticks_min = 20;
    options.limits.election_ticks_max = 40;
    options.limits.heartbeat_ticks = 3;
    // Small bounds, so that each of them is met.
    options.limits.append_entries_max = random.Between(1, 8);
    options.limits.append_bytes_max = random.Between(1, 40);
    options.limits.window_messages_max = random.Between(1, 4);
    options.limits.window_bytes_max = random.Between(1, 60);
    options.limits.cache_bytes_max = random.Between(1, 60);
    options.limits.apply_bytes_max = random.Between(1, 40);
    options.limits.uncommitted_bytes_max = random.Between(20, 400);
    return options;
  }

  std::uint64_t AnyNode() { return random_.Between(1, cluster_.ids().size()); }

  void DeliverOne() {
    auto& packets = cluster_.packets();
    if (packets.empty()) return;
    // Mostly in order; sometimes any.
    const auto at = random_.Chance(3, 4) ? 0 : random_.Below(packets.size());
    const Cluster::Packet packet = packets[at];
    if (!random_.Chance(1, 20)) packets.erase(packets.begin() + static_cast<std::ptrdiff_t>(at));
    if (random_.Chance(1, 20) || !cluster_.up(packet.to.value())) return;
    if (cut_.contains({packet.from.value(), packet.to.value()})) return;
    cluster_.Receive(packet.from.value(), packet.to.value(), packet.message);
  }

  void Propose() {
    const std::uint64_t id = AnyNode();
    if (!cluster_.up(id)) return;
    const std::uint64_t leader = random_.Chance(1, 2) ? cluster_.leader() : id;
    if (leader != 0) cluster_.Propose(leader, "<" + std::to_string(++proposed_) + ">");
  }

  void Read() {
    const std::uint64_t id = AnyNode();
    if (!cluster_.up(id)) return;
    LogIndex known;
    for (std::uint64_t other : cluster_.ids()) {
      if (cluster_.up(other)) known = std::max(known, cluster_.view(other).commit);
    }
    floors_[++tickets_] = known;
    cluster_.Read(id, tickets_);
  }

  void CheckReads() {
    for (std::uint64_t id : cluster_.ids()) {
      const auto& ready = cluster_.reads_ready(id);
      for (std::size_t& seen = seen_[id]; seen < ready.size(); ++seen) {
        ASSERT_GE(ready[seen].index, floors_.at(ready[seen].ticket.value())) << "a stale read";
        ++reads_checked_;
      }
    }
  }

  void Fault() {
    const std::uint64_t id = AnyNode();
    switch (random_.Below(11)) {
      case 0:
        if (cluster_.up(id) && random_.Chance(1, 2)) cluster_.Crash(id);
        break;
      case 1:
      case 2:
        if (!cluster_.up(id)) cluster_.Restart(id);
        break;
      case 3:
        cut_.insert({id, AnyNode()});
        break;
      case 4:
        cut_.clear();
        break;
      case 5:
        if (cluster_.up(id)) cluster_.Jump(id, random_.Between(1, 60));
        break;
      case 6:
        LoseMachine(id);
        break;
      case 7:
      case 8:
        Press(id);
        break;
      case 9:
        if (cluster_.up(id)) cluster_.DiskFull(id, random_.Chance(1, 3));
        break;
      default:
        if (cluster_.up(id)) cluster_.DiskStalled(id, random_.Chance(1, 3));
    }
  }

  /// One copy of the whole state is left somewhere, or nobody could ever be helped.
  void LoseMachine(std::uint64_t id) {
    if (!cluster_.up(id) || !random_.Chance(1, 4)) return;
    LogIndex compacted;
    for (const std::uint64_t each : cluster_.ids()) {
      compacted = std::max(compacted, cluster_.disk(each).prev_index);
    }
    for (const std::uint64_t other : cluster_.ids()) {
      if (other == id || cluster_.MachineHolds(other) < compacted) continue;
      cluster_.LoseMachine(id);
      return;
    }
  }

  void Press(std::uint64_t id) {
    if (!cluster_.up(id)) return;
    const std::uint64_t last = cluster_.view(id).last_index.value();
    const std::uint64_t over = random_.Below(last + 1);
    cluster_.Pressure(id, over, random_.Below(over + 1));
  }

  Random random_;
  Cluster cluster_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> cut_;
  std::uint64_t proposed_ = 0;
  std::uint64_t tickets_ = 0;
  std::uint64_t reads_checked_ = 0;
  std::uint64_t snapshots_ = 0;
  std::map<std::uint64_t, LogIndex> floors_;
  std::map<std::uint64_t, std::size_t> seen_;
};

TEST(ChaosTest, RandomSchedulesAreSafeAndEndInAgreement) {
  std::uint64_t reads = 0;
  std::uint64_t applied = 0;
  std::uint64_t snapshots = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Chaos chaos(seed);
    for (int i = 0; i < 1500; ++i) {
      chaos.Step();
      if (HasFatalFailure()) return;
    }
    chaos.Recover();
    if (HasFatalFailure()) return;
    reads += chaos.reads_checked();
    applied += chaos.cluster().view(1).applied.value();
    snapshots += chaos.snapshots();
  }
  // A schedule in which nothing happens would prove nothing.
  EXPECT_GT(reads, 300U);
  EXPECT_GT(applied, 3000U);
  EXPECT_GT(snapshots, 50U);
}

// R84
TEST(ChaosTest, TheSameSeedGivesTheSameTrace) {
  const auto run = [](std::uint64_t seed) {
    std::string trace;
    Chaos chaos(seed, [&trace](const std::string& text) { trace += text; });
    for (int i = 0; i < 1500; ++i) chaos.Step();
    return trace;
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_GT(run(7).size(), 10'000U);
  EXPECT_NE(run(7), run(8));
}

}  // namespace
}  // namespace bedrock::raft
