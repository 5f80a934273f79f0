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
#include "storaged/core/state_machine.h"
#include "storaged/core/storage_core.h"
#include "storaged/engine/engine.h"
#include "tests/sim/cluster/cluster_checkers.h"
#include "tests/sim/cluster/sim_process.h"

namespace bedrock::sim {

/// A storaged: the real core, state machine and engine, on a disk in memory, with the background
/// work in steps drawn from the seed. What is simulated is what storage_server.cc has of sockets
/// and timers. One thread.
class SimStoraged final : public SimProcess {
 public:
  SimStoraged(const Address& address, const ClusterWorld& world, SimMachine& machine,
              Random random);
  ~SimStoraged() override;

  /// 0 while it is down.
  LogIndex applied() const;
  /// None while it is down.
  std::optional<ClusterCheckers::Replica> replica() const;

 private:
  class WatchedEngine;

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

  void OnApply(std::string_view changes, const engine::AppliedMark& mark);
  void Note(const std::string& from, const proto::Packet& packet);
  void CheckAnswer(const storage::Outgoing& answer);
  void Tick();
  void ArmWakeup();
  /// The engine's background jobs, one at a time, some time later.
  void RunJobs();

  ManualExecutor executor_;
  std::uint64_t executor_ms_ = 0;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<storage::StateMachine> machine_state_;
  std::unique_ptr<storage::StorageCore> core_;
  std::unique_ptr<proto::PeerFrames> frames_;
  std::vector<storage::Outgoing> outgoing_;
  bool jobs_scheduled_ = false;
  bool progressed_ = false;  ///< The engine said so since the last turn.
  std::optional<std::uint64_t> wakeup_at_ms_;
  std::uint64_t wakeup_ = 0;

  std::map<LogIndex, raft::Entry> entries_;  ///< Came, and are not applied yet.
  std::map<std::pair<std::string, RequestId>, Question> questions_;
  LogIndex durable_;
};

}  // namespace bedrock::sim
