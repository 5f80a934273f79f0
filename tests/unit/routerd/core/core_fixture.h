#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "routerd/core/base/request_ids.h"
#include "routerd/core/router_core.h"

namespace bedrock::router {

inline constexpr NodeId kN1{1};
inline constexpr NodeId kN2{2};
inline constexpr NodeId kN3{3};

inline CoreOptions ThreeNodes() {
  CoreOptions options;
  options.self = kN1;
  options.members = {{kN1, "tcp://h1:9000", "tcp://h1:10500", "tcp://h1:7000", "h1:8080"},
                     {kN2, "tcp://h2:9000", "tcp://h2:10500", "tcp://h2:7000", "h2:8080"},
                     {kN3, "tcp://h3:9000", "tcp://h3:10500", "tcp://h3:7000", "h3:8080"}};
  options.session = SessionId(77);
  return options;
}

inline proto::RaftStatus StatusOf(NodeId node, proto::Role role, NodeId leader, Term term) {
  proto::RaftStatus status;
  status.node = node;
  status.role = role;
  status.leader = leader;
  status.term = term;
  return status;
}

/// Of a completion: it failed, like this.
MATCHER_P2(FailsWith, code, outcome, "") {
  *result_listener << "code " << static_cast<int>(arg.error.code) << ", outcome "
                   << static_cast<int>(arg.error.outcome);
  return arg.error.code == code && arg.error.outcome == outcome;
}

/// A RouterCore of node n1 in a cluster of three, and a clock that only the test moves.
class CoreTest : public testing::Test {
 protected:
  explicit CoreTest(const CoreOptions& options = ThreeNodes()) : core_(options) { Poll(); }

  /// Everything but the questions for status, which are counted.
  Effects Poll() {
    Effects all;
    core_.Poll(now_, &all);
    Effects effects;
    effects.completions = std::move(all.completions);
    for (Send& send : all.sends) {
      if (ParseRequestId(send.request).kind == RequestKind::kStatus) {
        ++status_queries_;
      } else {
        effects.sends.push_back(std::move(send));
      }
    }
    return effects;
  }

  /// Moves time in steps of a poll and gathers what happened.
  Effects Pass(std::uint64_t ms) {
    Effects gathered;
    for (const std::uint64_t end = now_ + ms; now_ < end;) {
      now_ = std::min(end, now_ + RouterCore::kPollMs);
      Effects step = Poll();
      for (Send& send : step.sends) gathered.sends.push_back(std::move(send));
      for (Completion& done : step.completions) gathered.completions.push_back(std::move(done));
    }
    return gathered;
  }

  struct Ending {
    std::vector<Completion> completions;
    std::size_t sends = 0;
  };
  /// Meets each message with `meet`, for 2 s at most, until something is over.
  Ending PassUntilOver(const std::function<void(const Send&)>& meet) {
    Ending ending;
    Effects effects = Poll();
    for (int i = 0; i < 200 && ending.completions.empty(); ++i) {
      ending.sends += effects.sends.size();
      for (const Send& send : effects.sends) meet(send);
      effects = Pass(RouterCore::kPollMs);
      ending.completions = std::move(effects.completions);
    }
    return ending;
  }

  void Hear(NodeId from, Daemon daemon, RequestId request, proto::Message message) {
    core_.OnPacket(from, daemon, {request, 0, std::move(message)}, now_);
  }
  /// Everyone is up and healthy and follows `leader`.
  void Elect(NodeId leader, Term term) {
    for (const NodeId node : {kN1, kN2, kN3}) {
      const auto role = node == leader ? proto::Role::kLeader : proto::Role::kFollower;
      Hear(node, Daemon::kRaftd, RequestId(), StatusOf(node, role, leader, term));
      proto::StorageStatus storage;
      Hear(node, Daemon::kStoraged, RequestId(), storage);
    }
  }

  void Put(std::uint64_t ticket, const std::string& key = "k", std::uint64_t timeout_ms = 5000) {
    WriteRequest request;
    request.ticket = {Ticket::Front::kHttp, ticket};
    request.operations.push_back({proto::Operation::Kind::kPut, key, "v"});
    request.deadline_ms = now_ + timeout_ms;
    core_.Write(std::move(request), now_);
  }
  void Get(std::uint64_t ticket, proto::Consistency consistency, Version min_version = Version(),
           std::uint64_t timeout_ms = 5000) {
    ReadRequest request;
    request.ticket = {Ticket::Front::kHttp, ticket};
    request.key = Bytes::Copy("k");
    request.consistency = consistency;
    request.min_version = min_version;
    request.deadline_ms = now_ + timeout_ms;
    core_.Read(std::move(request), now_);
  }

  void Commit(NodeId storaged, const Send& propose, Version version) {
    proto::CommandReply reply;
    reply.result.version = version;
    Hear(storaged, Daemon::kStoraged, propose.request, reply);
  }
  void RefuseProposal(const Send& propose, proto::ErrorCode code, NodeId leader, Term term) {
    proto::ProposeRefused refused;
    refused.error.code = code;
    refused.leader = leader;
    refused.term = term;
    Hear(propose.node, Daemon::kRaftd, propose.request, refused);
  }

  static proto::Command CommandIn(const Send& send) {
    const auto& propose = std::get<proto::Propose>(send.message);
    auto command = proto::DecodeCommand(propose.command.view());
    EXPECT_TRUE(command.ok());
    return *std::move(command);  // borrows from `send`
  }

  std::uint64_t now_ = 10'000;
  std::size_t status_queries_ = 0;
  RouterCore core_;
};

}  // namespace bedrock::router
