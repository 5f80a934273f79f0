#pragma once

#include <cstdint>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/env/clock.h"
#include "routerd/core/gateway.h"

namespace bedrock::router {

/// A core that answers when the test says so.
class FakeGateway : public Gateway {
 public:
  struct Asked {
    Ticket ticket;
    bool is_write = false;
    std::string key;
    std::string value;
    proto::Operation::Kind kind = proto::Operation::Kind::kPut;
    std::vector<proto::Operation::Kind> operations;
    std::vector<proto::Condition::Kind> conditions;
    std::string command;  ///< Queries and writes: all that they hold, encoded.
    std::string idempotency_key;
    proto::ClientTransaction step;
    std::variant<proto::ChangeMembers, proto::TransferLeadership> wish;
    bool passed_on = false;
    proto::Consistency consistency = proto::Consistency::kLinearizable;
    Version min_version;
    Version at;
    std::uint64_t max_staleness_ms = 0;
    std::uint64_t deadline_ms = 0;
  };

  void Read(ReadRequest request) override {
    Asked made;
    made.ticket = request.ticket;
    made.key = std::string(request.key.view());
    made.consistency = request.consistency;
    made.min_version = request.min_version;
    made.at = request.at;
    made.max_staleness_ms = request.max_staleness_ms;
    made.deadline_ms = request.deadline_ms;
    asked.push_back(std::move(made));
  }
  void Query(QueryRequest request) override {
    Asked made;
    made.ticket = request.ticket;
    made.operations = Kinds(request.query.operations);
    made.command = proto::EncodeCommand(request.query);
    made.consistency = request.consistency;
    made.min_version = request.min_version;
    made.at = request.at;
    made.max_staleness_ms = request.max_staleness_ms;
    made.deadline_ms = request.deadline_ms;
    asked.push_back(std::move(made));
  }
  void Write(WriteRequest request) override {
    Asked made;
    made.ticket = request.ticket;
    made.is_write = true;
    made.operations = Kinds(request.operations);
    if (!request.operations.empty()) {
      made.key = std::string(request.operations.front().key);
      made.value = std::string(request.operations.front().value);
      made.kind = request.operations.front().kind;
    }
    for (const auto& condition : request.conditions) made.conditions.push_back(condition.kind);
    proto::Command command;
    command.conditions = std::move(request.conditions);
    command.operations = std::move(request.operations);
    command.otherwise = std::move(request.otherwise);
    made.command = proto::EncodeCommand(command);
    made.idempotency_key = std::string(request.idempotency_key);
    made.deadline_ms = request.deadline_ms;
    asked.push_back(std::move(made));
  }
  void Transact(TransactionStep step) override {
    Asked made;
    made.ticket = step.ticket;
    made.step = step.step;
    made.passed_on = step.passed_on;
    made.deadline_ms = step.deadline_ms;
    asked.push_back(std::move(made));
  }
  void CompactHistory(const CompactRequest& request) override {
    Asked made;
    made.ticket = request.ticket;
    made.is_write = true;
    made.kind = proto::Operation::Kind::kDropHistory;
    made.at = request.version;
    made.deadline_ms = request.deadline_ms;
    asked.push_back(std::move(made));
  }
  void ChangeMembership(MembershipRequest request) override {
    Asked made;
    made.ticket = request.ticket;
    made.is_write = true;
    made.wish = std::move(request.wish);
    made.deadline_ms = request.deadline_ms;
    asked.push_back(std::move(made));
  }
  void Write(const ClientCommand& request) override {
    Asked made;
    made.ticket = request.ticket;
    made.is_write = true;
    made.value = std::string(request.command.view());
    made.deadline_ms = request.deadline_ms;
    asked.push_back(std::move(made));
  }
  static std::vector<proto::Operation::Kind> Kinds(const std::vector<proto::Operation>& given) {
    std::vector<proto::Operation::Kind> kinds;
    for (const proto::Operation& operation : given) kinds.push_back(operation.kind);
    return kinds;
  }
  ClusterView Cluster() const override { return view; }
  CoreGauges Gauges() const override { return gauges; }

  static Completion Found(const Asked& asked, const std::string& value, Version version) {
    Completion done;
    done.ticket = asked.ticket;
    done.found = true;
    done.value = Bytes::Copy(value);
    done.version = version;
    done.read_version = Version(version.value() + 100);
    done.served_by = NodeId(1);
    done.leader = NodeId(2);
    return done;
  }
  static Completion Absent(const Asked& asked) {
    Completion done;
    done.ticket = asked.ticket;
    done.read_version = Version(100);
    done.served_by = NodeId(1);
    done.leader = NodeId(2);
    return done;
  }
  static Completion Committed(const Asked& asked, Version version) {
    Completion done;
    done.ticket = asked.ticket;
    done.is_write = true;
    done.version = version;
    done.served_by = NodeId(2);
    done.leader = NodeId(2);
    return done;
  }
  /// Of a query or a step that executes: read at version 100.
  static Completion Read(const Asked& asked, std::vector<proto::OperationResult> results) {
    Completion done = Absent(asked);
    done.result.results = std::move(results);
    done.transaction = asked.step.id;
    return done;
  }
  static Completion Failed(const Asked& asked, proto::ErrorCode code) {
    Completion done;
    done.ticket = asked.ticket;
    done.is_write = asked.is_write;
    done.error.code = code;
    done.error.detail = "as the test says";
    return done;
  }

  std::vector<Asked> asked;
  ClusterView view;
  CoreGauges gauges;
};

/// A clock that only the test moves.
class FakeClock : public Clock {
 public:
  std::uint64_t MonotonicMs() const override { return now_ms; }
  std::uint64_t MonotonicUs() const override { return now_ms * 1000; }
  std::uint64_t WallMs() const override { return 784'111'777'000; }

  std::uint64_t now_ms = 10'000;
};

}  // namespace bedrock::router
