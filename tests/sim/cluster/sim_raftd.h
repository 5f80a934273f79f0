#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/node_config.h"
#include "common/env/manual_executor.h"
#include "raftd/log/raft_log.h"
#include "raftd/server/driver.h"
#include "raftd/server/log_writer.h"
#include "tests/sim/cluster/sim_process.h"

namespace bedrock::sim {

/// A raftd: the real driver, with its core, desks and frames, over the real log and its writers.
/// What is simulated is what server.cc has of sockets, and the thread of the log. Every output of
/// the core is looked at before it is carried out, and every frame before it leaves. One thread.
class SimRaftd final : public SimProcess, private raft::Transport {
 public:
  SimRaftd(const Address& address, const ClusterWorld& world, SimMachine& machine, Random random);
  ~SimRaftd() override;

  /// None while it is down.
  std::optional<raft::View> view() const;
  /// It was told that this node must not take part any more, and has ended for good.
  bool refused() const { return refused_; }
  /// What its status tells of replicas that differ with no majority for either (DivergenceDesk).
  LogIndex differing() const {
    return driver_ == nullptr ? LogIndex() : driver_->divergence().differing();
  }
  /// Its log was lost: it has to stay out, and its core and log are no part of the cluster's.
  bool forgetful() const { return forgetful_; }
  /// REQUIRES: it is down.
  void OnForgotten() { forgetful_ = true; }
  /// Null while it is down.
  const raft::Membership* membership() const {
    return driver_ == nullptr ? nullptr : &driver_->membership();
  }

 private:
  class WatchedLog;
  class LogThread;
  class WatchedWriter;

  void Open() override;
  void Close() override;
  void OnFrame(const Parcel& parcel) override;
  void EndTurn() override;
  void OnStop() override { stopping_ = true; }

  void SetPeer(NodeId peer, const std::string& endpoint) override;
  bool SendToPeer(NodeId peer, std::string frame) override;
  bool SendToStorage(std::string frame) override;
  bool SendToCaller(std::string_view to, std::string frame) override;

  bool on_thread() const;
  Result<std::vector<raft::Entry>> ReadAll();
  void Tick();
  /// Looks at what it says of replicas that differ.
  void WatchNotice();
  /// Takes in what a raftd has sent, and looks at what its verdicts did.
  void OnPeerFrame(const Parcel& parcel);
  /// The log's background jobs, one at a time, some time later.
  void RunJobs();
  void Observe(const raft::View& view, const raft::Membership& members, const raft::Output& output);
  /// The writer is about to tell the driver.
  void OnReported(raft::WriteSeq seq);
  void CheckLeaving(NodeId peer, const Bytes& frame);
  /// Remembers what routers propose.
  void NoteProposals(const std::string& from, const Bytes& frame);
  /// Remembers how far storaged says it is.
  void NoteProgress(const Bytes& frame);
  /// Entries follow on what storaged has, and each is handed on with the address of who proposed
  /// it, or with none.
  void CheckApply(const Bytes& frame);
  void CheckAddresses(const proto::Apply& apply);

  config::NodeConfig config_;
  ManualExecutor executor_;
  std::unique_ptr<raft::RaftLog> log_;
  std::unique_ptr<LogThread> thread_;
  std::unique_ptr<WatchedWriter> writer_;
  std::unique_ptr<raft::Driver> driver_;
  bool jobs_scheduled_ = false;
  bool refused_ = false;
  bool forgetful_ = false;
  bool stopping_ = false;
  bool told_to_stop_ = false;
  std::set<NodeId> links_;

  // What was seen of it.
  raft::Role role_ = raft::Role::kFollower;
  Term term_;
  /// What it said last of replicas that differ, and as the leader of which term.
  struct Notice {
    Term term;
    LogIndex differing;
  };
  Notice notice_;
  LogIndex commit_;
  LogIndex applied_;
  /// When `applied_` last went back, in this life: its log may begin behind what storaged lost.
  std::uint64_t storage_life_ = 0;
  std::deque<raft::HeldMessage> held_;
  std::map<std::pair<std::string, RequestId>, std::uint64_t>
      proposed_;  ///< A hash of each command.
  /// Of storaged's life that it heard of last, and the last entry that this has or was sent.
  BootId storage_boot_;
  LogIndex sent_;
  /// Messages that may leave and have not: how many of each (peer, hash).
  std::map<std::pair<NodeId, std::uint64_t>, std::uint64_t> free_to_leave_;
};

}  // namespace bedrock::sim
