#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/env/manual_executor.h"
#include "proto/peer_frames.h"
#include "storaged/core/storage_node.h"
#include "storaged/engine/engine.h"
#include "tests/sim/cluster/cluster_checkers.h"
#include "tests/sim/cluster/sim_process.h"

namespace bedrock::sim {

/// A storaged: the real node (core, state machine, engine and snapshots), on a disk in memory, with
/// the background work of its two threads in steps drawn from the seed. What is simulated is what
/// storage_server.cc has of sockets and timers. One thread.
class SimStoraged final : public SimProcess {
 public:
  SimStoraged(const Address& address, const ClusterWorld& world, SimMachine& machine,
              Random random);
  ~SimStoraged() override;

  /// 0 while it is down.
  LogIndex applied() const;
  /// None while it is down.
  std::optional<ClusterCheckers::Replica> replica() const;
  /// It takes no puts, as its disk is full.
  bool full() const;
  /// What it holds can be compared: it has given a check's hash. The first pass has none to give.
  bool comparable() const;
  /// The next time that a fetch reaches this stage (SnapshotFetch::State): the machine dies in the
  /// middle of the `calls`-th change of the disk from there on.
  void ArmFetchCrash(std::uint64_t stage, std::uint64_t calls) { fetch_crash_ = {stage, calls}; }
  void DisarmFetchCrash() { fetch_crash_.reset(); }

 private:
  class WatchedEngine;
  using FetchState = storage::SnapshotFetch::State;

  /// One of the program's background threads: its jobs one at a time, each some time later.
  struct Worker {
    explicit Worker(Random order) : executor(order) {}

    ManualExecutor executor;
    std::uint64_t at_ms = 0;
    bool scheduled = false;
  };
  struct FetchCrash {
    std::uint64_t stage = 0;
    std::uint64_t calls = 0;
  };

  /// What somebody wants to know, until it is answered.
  struct Question {
    std::optional<proto::Get> get;
    Bytes query;  ///< Of a Query or a Lock.
    Version min_version;
    Version at;
  };

  void Open() override;
  void Close() override;
  void OnFrame(const Parcel& parcel) override;
  void EndTurn() override;
  void OnStop() override;

  void OnApply(std::string_view changes, const engine::AppliedMark& mark);
  void Note(const std::string& from, const proto::Packet& packet);
  /// False: it is wrong, as the state is that was altered, and nobody may see it.
  bool CheckAnswer(const storage::Outgoing& answer);
  bool MayLend(const proto::Message& message);
  bool IsRight(const Question& asked, const proto::Message& answer) const;
  void CheckChain();
  void CheckLocks();
  /// Its locks are those of this term, or of a later one.
  void OnTerm(Term term);
  /// The changes with another value in them, where that is what was asked for.
  std::string Altered(std::string_view changes) const;
  void AlterCommand(proto::Frame& frame);
  void OnInstalled();
  void CheckDurable();
  void LookForRot();
  void WatchFetch();
  /// False: it can't go on.
  bool Well();
  void SendToSource();
  void Tick();
  void ArmWakeup();
  void RunJobs();
  void RunJobs(Worker& worker);

  Worker background_;  ///< Of the engine.
  Worker files_;       ///< Of snapshots.
  std::unique_ptr<storage::StorageNode> node_;
  std::unique_ptr<proto::PeerFrames> frames_;
  storage::StorageNode::Output out_;
  bool stopping_ = false;
  bool woken_ = false;  ///< In this turn: another one has to come.
  NodeId source_;       ///< Whose storaged the link for snapshots goes to; none: there is none.
  std::uint64_t installed_ = 0;
  LogIndex checked_;        ///< The newest check of the state that was looked at.
  bool recovered_ = false;  ///< This life began with data.
  FetchState fetch_state_ = FetchState::kFinding;
  std::optional<FetchCrash> fetch_crash_;
  std::optional<std::uint64_t> wakeup_at_ms_;
  std::uint64_t wakeup_ = 0;

  std::map<LogIndex, raft::Entry> entries_;  ///< Came, and are not applied yet.
  std::map<std::pair<std::string, RequestId>, Question> questions_;
  LogIndex altered_command_;  ///< The last entry that came with another command; 0: none did.
  LogIndex durable_;
  LogIndex applied_before_;            ///< When this turn began.
  bool quarantined_before_ = false;    ///< Likewise.
  Term locks_term_;                    ///< The newest that it has heard of.
  std::uint64_t locks_asked_for_ = 0;  ///< In that term.
};

}  // namespace bedrock::sim
