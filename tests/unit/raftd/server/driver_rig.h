#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/config/node_config.h"
#include "proto/codec.h"
#include "tests/unit/raftd/server/driver_cluster.h"

namespace bedrock::raft {

/// What the tests of the driver share: they stand by subject in driver_*_test.cc.
class DriverTest : public DriverCluster {
 protected:
  /// The answer of this type with this request id; fails the test where there is none.
  template <typename T>
  T AnswerTo(const std::vector<proto::Packet>& answers, std::uint64_t request) {
    for (const proto::Packet& packet : answers) {
      if (packet.request != RequestId(request)) continue;
      if (const auto* answer = std::get_if<T>(&packet.message)) return *answer;
    }
    ADD_FAILURE() << "no such answer to request " << request;
    return {};
  }

  std::ptrdiff_t PositionOf(const std::string& line) {
    const auto found = std::find(trace_.begin(), trace_.end(), line);
    EXPECT_NE(found, trace_.end()) << line;
    return found - trace_.begin();
  }

  /// A command of 20 KB that begins with its request's number, so that no two are the same.
  static proto::Packet ProposeLarge(std::uint64_t request) {
    return Propose(request, std::to_string(request) + std::string(20'000, 'x'));
  }

  static NodeId IdOf(int node) { return NodeId(static_cast<std::uint64_t>(node)); }
  /// Of the founders 1 to 3: another one than this, and the one that is neither.
  static int Other(int node) { return node == 1 ? 2 : 1; }
  static int Third(int node) { return 6 - node - Other(node); }
};

/// Of nodes that come and go; also for those that come back with less than they had.
class MembersTest : public DriverTest {
 protected:
  using Kind = proto::ChangeMembers::Kind;

  static proto::ChangeMembers Change(Kind kind, int node) {
    proto::ChangeMembers change{.kind = kind, .node = IdOf(node)};
    if (kind == Kind::kAdd) {
      const config::Member member = *config::ParseMember(MemberLine(node));
      change.raft = member.raft;
      change.storage = member.storage;
      change.client = member.client;
      change.http = member.http;
    }
    return change;
  }
  /// What the node answers, once it does.
  proto::ChangeMembersReply Ask1(int node, const proto::ChangeMembers& change) {
    Ask(node, {{.request = RequestId(77), .message = change}});
    Run(100);
    return AnswerTo<proto::ChangeMembersReply>(TakeAnswers(), 77);
  }
  std::vector<std::uint64_t> Voters(int node) {
    std::vector<std::uint64_t> ids;
    for (const NodeId id : driver(node).membership().voters) ids.push_back(id.value());
    return ids;
  }
  proto::RaftStatus StatusOf(int node) {
    Ask(node, {{.request = RequestId(5), .message = proto::RaftStatusQuery{}}});
    Settle();
    return AnswerTo<proto::RaftStatus>(TakeAnswers(), 5);
  }
};

}  // namespace bedrock::raft
