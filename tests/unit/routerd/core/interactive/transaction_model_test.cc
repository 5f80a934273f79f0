#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/env/random.h"
#include "tests/unit/routerd/core/transaction_fixture.h"

namespace bedrock::router {
namespace {

using Action = proto::ClientTransaction::Action;
using proto::ErrorCode;
using proto::Outcome;

constexpr std::uint64_t kStepMs = 5;
constexpr std::size_t kRouters = 2;

CoreOptions RouterOptions(std::size_t router) {
  CoreOptions options = ThreeNodes();
  options.self = NodeId(router + 1);
  options.session = SessionId(100 + router);
  options.boot = BootId(0xB000 + router);
  return options;
}

/// Two routers and a cluster that does what raft, the state machine and the lock manager promise
/// and nothing more. Messages are lost, delayed, doubled and not sent; leaders come and go;
/// storageds lag; locks are lost with leaders.
class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {
    for (std::size_t i = 0; i < kRouters; ++i) {
      routers_[i] = std::make_unique<RouterCore>(RouterOptions(i));
    }
  }

  RouterCore& router(std::size_t i) { return *routers_[i]; }
  FakeStore& store() { return store_; }
  /// How often the commit that wrote this token was executed, and as which version.
  const std::multimap<std::string, Version>& executed() const { return executed_; }
  std::size_t locks() const { return held_.size() + wanted_.size(); }
  std::size_t forwarded() const { return forwarded_; }
  void Heal() { faults_ = false; }

  /// One turn of everybody; gives the completions of the clients.
  std::vector<Completion> Turn(std::uint64_t now) {
    if (faults_ && random_.Chance(1, 150)) ChangeLeader();
    if (!faults_ && !leader_) ChangeLeader();
    Commit(now);
    GrantAndExpire(now);
    Deliver(now);
    std::vector<Completion> done;
    for (std::size_t i = 0; i < kRouters; ++i) {
      Effects effects;
      routers_[i]->Poll(now, &effects);
      for (const Send& send : effects.sends) Carry(i, send, now);
      for (Completion& completion : effects.completions) {
        if (completion.ticket.front == Ticket::Front::kHttp) {
          done.push_back(std::move(completion));
        } else {
          AnswerForwarded(i, completion, now);
        }
      }
    }
    return done;
  }

 private:
  struct Mail {
    std::size_t router;
    NodeId from;
    Daemon daemon;
    proto::Packet packet;
  };
  struct Asked {
    std::size_t router;
    Send send;
    std::uint64_t until_ms = 0;
  };
  struct Held {
    proto::Lock lock;
    std::uint64_t until_ms;
  };

  void Post(std::size_t router, NodeId from, Daemon daemon, RequestId request,
            const proto::Message& message, std::uint64_t now) {
    int copies = 1;
    if (faults_ && random_.Chance(1, 15)) copies = 0;
    if (faults_ && random_.Chance(1, 15)) copies = 2;
    for (int copy = 0; copy < copies; ++copy) {
      const bool slow = faults_ && random_.Chance(1, 20);
      mail_.emplace(now + (slow ? random_.Below(2000) : random_.Below(15)),
                    Mail{router, from, daemon, {request, 0, message}});
    }
  }
  void Answer(const Asked& asked, const proto::Message& message, std::uint64_t now) {
    Post(asked.router, asked.send.node, asked.send.daemon, asked.send.request, message, now);
  }
  void Deliver(std::uint64_t now) {
    while (!mail_.empty() && mail_.begin()->first <= now) {
      auto node = mail_.extract(mail_.begin());
      Mail& mail = node.mapped();
      routers_[mail.router]->OnPacket(mail.from, mail.daemon, std::move(mail.packet), now);
    }
  }

  void Carry(std::size_t router, const Send& send, std::uint64_t now) {
    if (faults_ && random_.Chance(1, 20)) {
      return routers_[router]->OnUnsent(send.node, send.daemon, send.request, now);
    }
    if (faults_ && random_.Chance(1, 30)) return;
    const Asked asked{router, send, now + send.timeout_ms};
    if (const auto* propose = std::get_if<proto::Propose>(&send.message)) {
      Propose(asked, *propose, now);
    } else if (std::holds_alternative<proto::ReadIndexQuery>(send.message)) {
      proto::ReadIndexAnswer answer;
      answer.index = LogIndex(store_.newest().value());
      if (!leader_) answer.error.code = ErrorCode::kNoLeader;
      Answer(asked, answer, now);
    } else if (const auto* query = std::get_if<proto::Query>(&send.message)) {
      Query(asked, *query, now);
    } else if (std::holds_alternative<proto::RaftStatusQuery>(send.message)) {
      const bool leads = send.node == leader_;
      Answer(asked,
             StatusOf(send.node, leads ? proto::Role::kLeader : proto::Role::kFollower, leader_,
                      term_),
             now);
    } else if (std::holds_alternative<proto::Lock>(send.message)) {
      Lock(asked, now);
    } else if (const auto* unlock = std::get_if<proto::Unlock>(&send.message)) {
      Unlock(unlock->transaction);
    } else if (const auto* step = std::get_if<proto::ClientTransaction>(&send.message)) {
      Forward(asked, *step, now);
    }
  }

  // ---- raft and the state machine ----

  void Propose(const Asked& asked, const proto::Propose& propose, std::uint64_t now) {
    if (asked.send.node == leader_) {
      log_.emplace_back(asked, propose.command);
      return;
    }
    proto::ProposeRefused refused;
    refused.error.code = ErrorCode::kNotLeader;
    refused.leader = leader_;
    refused.term = term_;
    Answer(asked, refused, now);
  }
  void Commit(std::uint64_t now) {
    for (auto entry = log_.begin(); entry != log_.end();) {
      if (random_.Chance(2, 3)) {
        ++entry;
        continue;
      }
      const auto command = proto::DecodeCommand(entry->second.view());
      const Version before = store_.newest();
      const proto::CommandResult result = store_.Execute(*command);
      if (result.code == ErrorCode::kOk && result.version > before) {
        for (const proto::Operation& operation : command->operations) {
          if (operation.key == "token") executed_.emplace(operation.value, result.version);
        }
      }
      Answer({entry->first.router, StoragedOf(entry->first.send), 0}, proto::CommandReply{result},
             now);
      entry = log_.erase(entry);
    }
  }
  static Send StoragedOf(Send send) {
    send.daemon = Daemon::kStoraged;
    return send;
  }
  void Query(const Asked& asked, const proto::Query& query, std::uint64_t now) {
    const std::uint64_t lag = faults_ ? random_.Below(3) : 0;
    const Version applied(std::max<std::uint64_t>(100, store_.newest().value() - lag));
    const Version at = query.at ? query.at : applied;
    proto::QueryReply reply;
    if (std::max(at, query.min_version) > applied) {
      reply.error.code = ErrorCode::kDeadlineExceeded;
      return Answer(asked, reply, asked.until_ms);
    }
    reply.read_version = at;
    reply.result = store_.Evaluate(*proto::DecodeCommand(query.command.view()), at);
    Answer(asked, reply, now);
  }
  void ChangeLeader() {
    term_ = term_.Next();
    leader_ = NodeId(random_.Below(4));  // 0: nobody for now
    std::erase_if(log_, [this](const auto&) { return random_.Chance(1, 2); });
    held_.clear();
    wanted_.clear();
  }

  // ---- locks ----

  static bool Overlap(const proto::LockRange& a, const proto::LockRange& b) {
    const auto end = [](const proto::LockRange& range) {
      return range.is_range ? std::string(range.end.view()) : std::string(range.key.view()) + '\0';
    };
    return (end(a).empty() || b.key.view() < end(a)) && (end(b).empty() || a.key.view() < end(b));
  }
  bool Blocked(const proto::Lock& wanted) const {
    return std::any_of(held_.begin(), held_.end(), [&](const Held& held) {
      return held.lock.transaction != wanted.transaction && Overlap(held.lock.what, wanted.what) &&
             (held.lock.mode == proto::LockMode::kExclusive ||
              wanted.mode == proto::LockMode::kExclusive);
    });
  }
  void Lock(const Asked& asked, std::uint64_t now) {
    const auto& lock = std::get<proto::Lock>(asked.send.message);
    if (asked.send.node != leader_ || lock.term != term_) {
      proto::LockReply refused;
      refused.error.code = ErrorCode::kNotLeader;
      return Answer(asked, refused, now);
    }
    for (Held& held : held_) {
      if (held.lock.transaction == lock.transaction) held.until_ms = now + lock.hold_ms;
    }
    wanted_.push_back(asked);
  }
  void GrantAndExpire(std::uint64_t now) {
    std::erase_if(held_, [now](const Held& held) { return held.until_ms <= now; });
    for (auto asked = wanted_.begin(); asked != wanted_.end();) {
      const auto& lock = std::get<proto::Lock>(asked->send.message);
      proto::LockReply reply;
      if (faults_ && random_.Chance(1, 300)) {
        reply.error.code = ErrorCode::kDeadlock;
      } else if (!Blocked(lock)) {
        held_.push_back({lock, now + lock.hold_ms});
        reply.read_version = store_.newest();
        if (!lock.query.empty()) {
          reply.result = store_.Evaluate(*proto::DecodeCommand(lock.query.view()), store_.newest());
        }
      } else if (now >= asked->until_ms) {
        reply.error.code = ErrorCode::kLockTimeout;
      } else {
        ++asked;
        continue;
      }
      Answer(*asked, reply, now);
      asked = wanted_.erase(asked);
    }
  }
  void Unlock(const proto::TransactionName& whose) {
    std::erase_if(held_, [&](const Held& held) { return held.lock.transaction == whose; });
    std::erase_if(wanted_, [&](const Asked& asked) {
      return std::get<proto::Lock>(asked.send.message).transaction == whose;
    });
  }

  // ---- router to router ----

  void Forward(const Asked& asked, const proto::ClientTransaction& step, std::uint64_t now) {
    const std::size_t owner = asked.send.node.value() - 1;
    if (owner >= kRouters) return;
    ++forwarded_;
    TransactionStep request;
    request.ticket = {Ticket::Front::kMessaging, ++last_forward_};
    request.step = step;
    request.passed_on = true;
    request.deadline_ms = asked.until_ms;
    forwards_.emplace(last_forward_, asked);
    routers_[owner]->Transact(std::move(request), now);
  }
  void AnswerForwarded(std::size_t owner, const Completion& completion, std::uint64_t now) {
    const auto found = forwards_.find(completion.ticket.id);
    ASSERT_NE(found, forwards_.end()) << "ended twice";
    static_cast<void>(owner);
    proto::ClientTransactionReply reply;
    reply.error = completion.error;
    reply.id = completion.transaction;
    reply.version = completion.version;
    reply.read_version = completion.read_version;
    reply.result = completion.result;
    Answer(found->second, reply, now);
    forwards_.erase(found);
  }

  Random random_;
  std::array<std::unique_ptr<RouterCore>, kRouters> routers_;
  FakeStore store_;
  NodeId leader_{1};
  Term term_{1};
  bool faults_ = true;
  std::vector<std::pair<Asked, Bytes>> log_;
  std::multimap<std::string, Version> executed_;
  std::vector<Held> held_;
  std::deque<Asked> wanted_;
  std::map<std::uint64_t, Asked> forwards_;
  std::uint64_t last_forward_ = 0;
  std::size_t forwarded_ = 0;
  std::multimap<std::uint64_t, Mail> mail_;
};

/// A client: one transaction after the other, one step at a time, through either router.
class Client {
 public:
  struct Ending {
    proto::Error error;
    bool unknown = false;  ///< What it said of the outcome at some time.
  };
  struct Totals {
    std::size_t committed = 0;
    std::size_t conflicts = 0;
    std::size_t unknown = 0;
    std::size_t verified_reads = 0;
  };

  Client(std::uint64_t number, std::uint64_t seed, World& world, Totals& totals)
      : number_(number), random_(seed), world_(world), totals_(totals) {}

  bool waiting() const { return waiting_; }
  std::uint64_t number() const { return number_; }
  const std::map<std::string, Ending>& ended() const { return ended_; }

  void Act(std::uint64_t now) {
    if (waiting_) return;
    proto::ClientTransaction step;
    step.id = id_;
    if (id_.empty()) {
      BeginStep(&step);
    } else if (commit_tries_ > 0 || steps_left_ == 0) {
      step.action = rolls_back_ ? Action::kRollback : Action::kCommit;
      if (!rolls_back_) ++commit_tries_;
    } else {
      --steps_left_;
      step.action = Action::kExecute;
      step.for_update = random_.Chance(1, 3);
      step.command = Draw();
    }
    Send(std::move(step), now);
  }

  void OnCompletion(const Completion& done, std::uint64_t now) {
    ASSERT_TRUE(waiting_) << "ended twice";
    ASSERT_LE(now, deadline_ms_ + 25) << "late";
    waiting_ = false;
    switch (action_) {
      case Action::kBegin:
        if (!done.error.ok()) return;
        id_ = done.transaction;
        ASSERT_GE(done.read_version, committed_before_) << "a stale beginning";
        return;
      case Action::kExecute:
        return OnExecuted(done);
      case Action::kCommit:
        return OnCommit(done);
      case Action::kRollback:
        return Forget();
    }
  }

 private:
  void BeginStep(proto::ClientTransaction* step) {
    Forget();
    step->action = Action::kBegin;
    step->options.mode = random_.Chance(1, 2) ? proto::TransactionMode::kPessimistic
                                              : proto::TransactionMode::kOptimistic;
    step->options.read_only = random_.Chance(1, 8);
    step->options.lock_timeout_ms = static_cast<std::uint32_t>(random_.Between(50, 500));
    read_only_ = step->options.read_only;
    token_ = "t" + std::to_string(number_) + "-" + std::to_string(++transactions_);
    steps_left_ = 1 + random_.Below(4);
    rolls_back_ = random_.Chance(1, 8);
    committed_before_ = world_.store().newest();
  }
  void Forget() {
    id_.clear();
    done_.clear();
    results_.clear();
    commit_tries_ = 0;
    writes_ = false;
    unknown_ = false;
  }
  void Send(proto::ClientTransaction step, std::uint64_t now) {
    action_ = step.action;
    step_ = step.command;
    deadline_ms_ = now + random_.Between(200, 4000);
    TransactionStep request;
    request.ticket = {Ticket::Front::kHttp, number_};
    request.step = std::move(step);
    request.deadline_ms = deadline_ms_;
    waiting_ = true;
    world_.router(random_.Below(kRouters)).Transact(std::move(request), now);
  }

  /// A step of one to three operations on a few keys; the token goes with the first write.
  Bytes Draw() {
    std::deque<std::string> texts;
    std::vector<proto::Operation> operations;
    const auto key = [&] {
      return std::string_view(texts.emplace_back("k" + std::to_string(random_.Below(6))));
    };
    for (std::uint64_t i = random_.Between(1, 3); i > 0; --i) {
      switch (random_.Below(read_only_ ? 2 : 6)) {
        case 0:
          operations.push_back(GetOf(key()));
          break;
        case 1:
          operations.push_back(ScanOf(key(), "l", static_cast<std::uint32_t>(random_.Below(3)),
                                      random_.Chance(1, 2)));
          break;
        case 2:
        case 3:
          operations.push_back(AddOf(key(), 1));
          break;
        case 4:
          operations.push_back(PutOf(key(), texts.emplace_back(std::to_string(random_.Below(50)))));
          break;
        default:
          operations.push_back(random_.Chance(1, 2) ? DeleteOf(key()) : DeleteRangeOf(key(), "k4"));
          // Ranges may come out empty here; that is not what this test is about.
          if (operations.back().kind == proto::Operation::Kind::kDeleteRange &&
              operations.back().key >= "k4") {
            operations.back() = DeleteOf(operations.back().key);
          }
      }
    }
    if (!read_only_) operations.push_back(PutOf("token", token_));
    return Encoded(operations);
  }

  void OnExecuted(const Completion& done) {
    if (done.error.ok()) {
      done_.push_back(step_);
      for (const auto& result : done.result.results) results_.push_back(result);
      writes_ = writes_ || !read_only_;
      return;
    }
    // The step may have been done where its answer was lost, or the transaction is gone.
    steps_left_ = 0;
    rolls_back_ = true;
  }

  void OnCommit(const Completion& done) {
    unknown_ = unknown_ || done.error.outcome == Outcome::kUnknown;
    if (!done.error.ok() && done.error.outcome == Outcome::kUnknown && commit_tries_ < 4) return;
    if (!done.error.ok() && proto::IsRetryable(done.error.code) &&
        done.error.code != ErrorCode::kTransactionConflict && commit_tries_ < 4) {
      return;
    }
    if (writes_) ended_.emplace(token_, Ending{done.error, unknown_});
    if (done.error.ok()) {
      ++totals_.committed;
      Verify(done.version);
    } else if (done.error.code == ErrorCode::kTransactionConflict) {
      ++totals_.conflicts;
    } else if (done.error.outcome == Outcome::kUnknown) {
      ++totals_.unknown;
    }
    Forget();
  }

  /// All that it was told is what its operations give when they are executed at once, one after the
  /// other, on the state that its commit's version follows (or, without writes, is).
  void Verify(Version version) {
    ASSERT_GE(version, committed_before_) << "older than what was there when it began";
    proto::Command all;
    for (const Bytes& step : done_) {
      const auto command = proto::DecodeCommand(step.view());
      all.operations.insert(all.operations.end(), command->operations.begin(),
                            command->operations.end());
    }
    const Version base = writes_ ? Version(version.value() - 1) : version;
    const proto::CommandResult expected = world_.store().Evaluate(all, base);
    ASSERT_EQ(expected.results.size(), results_.size());
    for (std::size_t i = 0; i < results_.size(); ++i) {
      EXPECT_EQ(Certified(results_[i]), Certified(expected.results[i]))
          << token_ << " operation " << i << " of " << results_.size() << " at " << base.value();
      ++totals_.verified_reads;
    }
  }
  /// Whether there is more behind a limited scan lies outside of what it read.
  static proto::OperationResult Certified(proto::OperationResult result) {
    result.more = false;
    result.next.clear();
    return result;
  }

  const std::uint64_t number_;
  Random random_;
  World& world_;
  Totals& totals_;
  bool waiting_ = false;
  Action action_ = Action::kBegin;
  Bytes step_;
  std::uint64_t deadline_ms_ = 0;
  std::string id_;
  std::string token_;
  bool read_only_ = false;
  bool writes_ = false;
  bool rolls_back_ = false;
  bool unknown_ = false;  // the outcome of a commit, once
  std::uint64_t transactions_ = 0;
  std::uint64_t steps_left_ = 0;
  int commit_tries_ = 0;
  Version committed_before_;
  std::vector<Bytes> done_;
  std::vector<proto::OperationResult> results_;
  std::map<std::string, Ending> ended_;
};

class TransactionModel : public testing::TestWithParam<std::uint64_t> {};

TEST_P(TransactionModel, EveryStepEndsOnceAndWhatCommitsIsSerializable) {
  World world(GetParam());
  Client::Totals totals;
  std::vector<Client> clients;
  for (std::uint64_t i = 0; i < 6; ++i) {
    clients.emplace_back(i, GetParam() * 131 + i, world, totals);
  }
  constexpr std::uint64_t kLoadUntil = 40'000;
  constexpr std::uint64_t kEnd = kLoadUntil + TransactionTable::kCommitPatienceMs + 20'000;
  for (std::uint64_t now = 1000; now < kEnd; now += kStepMs) {
    if (now == kLoadUntil) world.Heal();
    for (Client& client : clients) {
      if (now < kLoadUntil) client.Act(now);
    }
    for (const Completion& done : world.Turn(now)) {
      clients.at(done.ticket.id).OnCompletion(done, now);
      if (HasFatalFailure()) return;
    }
  }
  for (const Client& client : clients) {
    EXPECT_FALSE(client.waiting());
    for (const auto& [token, ending] : client.ended()) {
      const std::size_t times = world.executed().count(token);
      EXPECT_LE(times, 1U) << token;
      if (ending.error.ok()) {
        EXPECT_EQ(times, 1U) << token << " was acknowledged and lost";
      } else if (!ending.unknown || ending.error.code == ErrorCode::kTransactionConflict) {
        EXPECT_EQ(times, 0U) << token << " was said not to have happened: " << ending.error.detail;
      }
    }
  }
  for (std::size_t i = 0; i < kRouters; ++i) EXPECT_TRUE(world.router(i).idle());
  EXPECT_EQ(world.locks(), 0U) << "all given back, or expired";
  EXPECT_GT(totals.committed, 30U);
  EXPECT_GT(totals.conflicts, 0U);
  EXPECT_GT(totals.verified_reads, 100U);
  EXPECT_GT(world.forwarded(), 50U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, TransactionModel, testing::Range<std::uint64_t>(1, 21));

}  // namespace
}  // namespace bedrock::router
