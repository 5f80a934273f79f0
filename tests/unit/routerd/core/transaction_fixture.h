#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tests/unit/routerd/core/core_fixture.h"
#include "tests/unit/routerd/core/fake_store.h"

namespace bedrock::router {

inline constexpr BootId kBoot{0xB007};

inline CoreOptions WithBoot(CoreOptions options = ThreeNodes()) {
  options.boot = kBoot;
  return options;
}

// Operations of a step, spelled short.

inline proto::Operation Op(proto::Operation::Kind kind, std::string_view key,
                           std::string_view value = {}) {
  proto::Operation operation;
  operation.kind = kind;
  operation.key = key;
  operation.value = value;
  return operation;
}
inline proto::Operation PutOf(std::string_view key, std::string_view value) {
  return Op(proto::Operation::Kind::kPut, key, value);
}
inline proto::Operation DeleteOf(std::string_view key) {
  return Op(proto::Operation::Kind::kDelete, key);
}
inline proto::Operation GetOf(std::string_view key) {
  return Op(proto::Operation::Kind::kGet, key);
}
inline proto::Operation ScanOf(std::string_view begin, std::string_view end,
                               std::uint32_t items_max = 0, bool reverse = false) {
  proto::Operation scan = Op(proto::Operation::Kind::kScan, begin, end);
  scan.scan.items_max = items_max;
  scan.scan.reverse = reverse;
  return scan;
}
inline proto::Operation DeleteRangeOf(std::string_view begin, std::string_view end) {
  return Op(proto::Operation::Kind::kDeleteRange, begin, end);
}
inline proto::Operation AddOf(std::string_view key, std::int64_t delta) {
  proto::Operation add = Op(proto::Operation::Kind::kAdd, key);
  add.delta = delta;
  return add;
}

inline Bytes Encoded(const std::vector<proto::Operation>& operations) {
  proto::Command command;
  command.operations = operations;
  return Bytes(proto::EncodeCommand(command));
}

/// A CoreTest with a store behind the daemons: Serve answers what the core asks as a healthy
/// cluster would, but for what the test takes out of it.
class TransactionTest : public CoreTest {
 protected:
  using Action = proto::ClientTransaction::Action;

  explicit TransactionTest(const CoreOptions& options = WithBoot()) : CoreTest(options) {
    Elect(kN1, Term(1));
    Poll();
  }

  void Transact(std::uint64_t ticket, proto::ClientTransaction step,
                std::uint64_t timeout_ms = 5000) {
    TransactionStep request;
    request.ticket = {Ticket::Front::kHttp, ticket};
    request.step = std::move(step);
    request.deadline_ms = now_ + timeout_ms;
    core_.Transact(std::move(request), now_);
  }
  void Execute(std::uint64_t ticket, const std::string& id,
               const std::vector<proto::Operation>& operations, bool for_update = false,
               std::uint64_t timeout_ms = 5000) {
    proto::ClientTransaction step;
    step.action = Action::kExecute;
    step.id = id;
    step.command = Encoded(operations);
    step.for_update = for_update;
    Transact(ticket, std::move(step), timeout_ms);
  }
  void End(std::uint64_t ticket, const std::string& id, Action action,
           std::uint64_t timeout_ms = 5000) {
    proto::ClientTransaction step;
    step.action = action;
    step.id = id;
    Transact(ticket, std::move(step), timeout_ms);
  }

  /// Answers everything until nothing more is asked; gives the completions.
  std::vector<Completion> Serve() {
    std::vector<Completion> done;
    for (;;) {
      Effects effects = Poll();
      for (Completion& completion : effects.completions) done.push_back(std::move(completion));
      if (effects.sends.empty()) return done;
      for (const Send& send : effects.sends) Answer(send);
    }
  }
  Completion ServeOne() {
    std::vector<Completion> done = Serve();
    EXPECT_EQ(done.size(), 1U);
    return done.empty() ? Completion() : std::move(done.front());
  }
  /// As one message of a healthy cluster.
  void Answer(const Send& send) {
    if (std::holds_alternative<proto::ReadIndexQuery>(send.message)) {
      proto::ReadIndexAnswer answer;
      answer.index = LogIndex(store_.newest().value());
      return Hear(send.node, Daemon::kRaftd, send.request, answer);
    }
    if (const auto* query = std::get_if<proto::Query>(&send.message)) {
      queries_.push_back(*proto::DecodeCommand(query->command.view()));
      query_bytes_.push_back(query->command);
      proto::QueryReply reply;
      reply.read_version = query->at ? query->at : store_.newest();
      reply.result = store_.Evaluate(queries_.back(), reply.read_version);
      return Hear(send.node, Daemon::kStoraged, send.request, reply);
    }
    if (const auto* propose = std::get_if<proto::Propose>(&send.message)) {
      commands_.push_back(propose->command);
      const auto command = proto::DecodeCommand(propose->command.view());
      proto::CommandReply reply{store_.Execute(*command)};
      return Hear(send.node, Daemon::kStoraged, send.request, reply);
    }
    if (const auto* lock = std::get_if<proto::Lock>(&send.message)) {
      locks_.push_back(*lock);
      return Hear(send.node, Daemon::kStoraged, send.request, Granted(*lock));
    }
    if (std::holds_alternative<proto::Unlock>(send.message)) ++unlocks_;
  }
  proto::LockReply Granted(const proto::Lock& lock) {
    proto::LockReply reply;
    reply.read_version = store_.newest();
    if (!lock.query.empty()) {
      reply.result = store_.Evaluate(*proto::DecodeCommand(lock.query.view()), store_.newest());
    }
    return reply;
  }

  std::string Begin(proto::TransactionOptions options = {}) {
    proto::ClientTransaction step;
    step.options = options;
    Transact(1, std::move(step));
    Completion begun = ServeOne();
    EXPECT_TRUE(begun.error.ok()) << begun.error.detail;
    return begun.transaction;
  }
  std::string BeginPessimistic() {
    proto::TransactionOptions options;
    options.mode = proto::TransactionMode::kPessimistic;
    return Begin(options);
  }
  Completion Do(const std::string& id, const std::vector<proto::Operation>& operations,
                bool for_update = false) {
    Execute(2, id, operations, for_update);
    return ServeOne();
  }
  Completion Commit(const std::string& id) {
    End(3, id, Action::kCommit);
    return ServeOne();
  }
  Completion Rollback(const std::string& id) {
    End(4, id, Action::kRollback);
    return ServeOne();
  }
  static std::string ValueOf(const Completion& done) {
    return done.result.results.empty() || !done.result.results.back().found
               ? "-"
               : done.result.results.back().value;
  }
  /// "key=value" of each item, in order.
  static std::string ItemsOf(const Completion& done) {
    std::string text;
    for (const proto::Item& item : done.result.results.at(0).items) {
      text += (text.empty() ? "" : " ") + item.key + "=" + item.value;
    }
    return text;
  }
  /// The commit that the cluster executed last. Borrows this.
  proto::Command LastCommand() { return *proto::DecodeCommand(commands_.back().view()); }

  FakeStore store_;
  std::vector<Bytes> commands_;
  std::vector<proto::Command> queries_;  // borrow query_bytes_
  std::vector<Bytes> query_bytes_;
  std::vector<proto::Lock> locks_;
  std::size_t unlocks_ = 0;
};

}  // namespace bedrock::router
