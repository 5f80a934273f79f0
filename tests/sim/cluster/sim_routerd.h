#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "proto/codec.h"
#include "routerd/core/gateway.h"
#include "routerd/core/router_core.h"
#include "routerd/messaging/client_front.h"
#include "tests/sim/cluster/sim_process.h"

namespace bedrock::sim {

/// A routerd: the real core and the real ZeroMQ front, and in place of the HTTP front one that
/// takes the same frames by another door and asks the core as HTTP would: under the router's own
/// session, with an Idempotency-Key where the command names one. One thread.
class SimRouterd final : public SimProcess, private router::Gateway {
 public:
  SimRouterd(const Address& address, const ClusterWorld& world, SimMachine& machine, Random random);
  ~SimRouterd() override;

  /// Nothing is in flight and no transaction is open; also while it is down.
  bool idle() const { return core_ == nullptr || core_->idle(); }

 private:
  /// To one daemon: what this turn has for it.
  struct Link {
    proto::FrameWriter writer;
    std::vector<RequestId> requests;
  };
  struct HttpCall {
    std::string client;
    RequestId request;
  };

  void Open() override;
  void Close() override;
  void OnFrame(const Parcel& parcel) override;
  void EndTurn() override;
  void OnStop() override;

  // What the ZeroMQ front sees.
  void Read(router::ReadRequest request) override;
  void Query(router::QueryRequest request) override;
  void Write(router::WriteRequest request) override;
  void Write(const router::ClientCommand& request) override;
  void Transact(router::TransactionStep step) override;
  void CompactHistory(const router::CompactRequest& request) override;
  void ChangeMembership(router::MembershipRequest request) override;
  router::ClusterView Cluster() const override;
  router::CoreGauges Gauges() const override;

  void OnDaemonFrame(const Parcel& parcel);
  void OnHttp(const Parcel& parcel);
  void CompleteHttp(router::Completion completion);
  void CarryOut();
  void SendFrame(const Address& to, Link& link);
  void ArmTimers();

  std::unique_ptr<router::RouterCore> core_;
  std::unique_ptr<router::ClientFront> front_;
  router::Effects effects_;
  std::map<Address, Link> links_;  ///< Those that are open.
  std::vector<std::pair<Address, RequestId>> lost_;
  std::map<std::uint64_t, HttpCall> http_calls_;
  std::uint64_t last_http_call_ = 0;
  bool status_armed_ = false;
  bool poll_armed_ = false;
  std::optional<std::uint64_t> stop_by_ms_;
};

}  // namespace bedrock::sim
