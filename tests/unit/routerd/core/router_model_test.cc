#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/env/random.h"
#include "tests/unit/routerd/core/core_fixture.h"

namespace bedrock::router {
namespace {

/// A cluster that does what raft and the state machine promise and nothing more: proposals to the
/// leader commit, or are lost with it; replies and refusals are dropped, delayed and duplicated;
/// leaders come and go; routers hear of it late. The state machine executes each (session,
/// sequence) once.
class FaultyCluster {
 public:
  FaultyCluster(std::uint64_t seed, RouterCore& core) : random_(seed), core_(core) {}

  void Carry(const Send& send, std::uint64_t now) {
    if (random_.Chance(1, 10)) {
      core_.OnUnsent(send.node, send.daemon, send.request, now);
      return;
    }
    if (random_.Chance(1, 20)) return;  // lost on the way
    if (const auto* propose = std::get_if<proto::Propose>(&send.message)) {
      Propose(send, *propose, now);
    } else if (std::holds_alternative<proto::ReadIndexQuery>(send.message)) {
      proto::ReadIndexAnswer answer;
      if (leader_) {
        answer.index = LogIndex(committed_);
      } else {
        answer.error.code = proto::ErrorCode::kNoLeader;
      }
      Answer(send, answer, now);
    } else if (const auto* get = std::get_if<proto::Get>(&send.message)) {
      Read(send, *get, now);
    } else if (std::holds_alternative<proto::RaftStatusQuery>(send.message)) {
      Answer(
          send,
          StatusOf(send.node, send.node == leader_ ? proto::Role::kLeader : proto::Role::kFollower,
                   leader_, term_),
          now);
    }
  }

  void Step(std::uint64_t now) {
    if (random_.Chance(1, 150)) ChangeLeader();
    for (auto commit = pending_.begin(); commit != pending_.end();) {
      if (!random_.Chance(1, 4)) {
        ++commit;
        continue;
      }
      Execute(commit->first, commit->second, now);
      commit = pending_.erase(commit);
    }
    while (!mail_.empty() && mail_.begin()->first <= now) {
      const auto node = mail_.extract(mail_.begin());
      const Mail& mail = node.mapped();
      core_.OnPacket(mail.from, mail.daemon, mail.packet, now);
    }
  }

  std::uint64_t committed() const { return committed_; }
  /// How often each write, by its key, took effect.
  const std::map<std::string, int>& executed() const { return executed_; }

 private:
  struct Mail {
    NodeId from;
    Daemon daemon;
    proto::Packet packet;
  };

  void Post(NodeId from, Daemon daemon, RequestId request, proto::Message message,
            std::uint64_t now) {
    const int copies = random_.Chance(1, 10) ? 0 : (random_.Chance(1, 10) ? 2 : 1);
    for (int copy = 0; copy < copies; ++copy) {
      const std::uint64_t delay = random_.Chance(1, 20) ? random_.Below(3000) : random_.Below(20);
      mail_.emplace(now + delay, Mail{from, daemon, {request, 0, message}});
    }
  }
  void Answer(const Send& send, proto::Message message, std::uint64_t now) {
    Post(send.node, send.daemon, send.request, std::move(message), now);
  }

  void Propose(const Send& send, const proto::Propose& propose, std::uint64_t now) {
    if (send.node == leader_) {
      pending_.emplace_back(send, propose.command);
      return;
    }
    proto::ProposeRefused refused;
    refused.error.code = proto::ErrorCode::kNotLeader;
    refused.leader = leader_;
    refused.term = term_;
    Answer(send, refused, now);
  }

  void Execute(const Send& send, const Bytes& bytes, std::uint64_t now) {
    auto command = proto::DecodeCommand(bytes.view());
    ASSERT_TRUE(command.ok());
    ++committed_;
    proto::CommandReply reply;
    reply.result.version = Version(committed_);
    low_water_ = std::max(low_water_, command->low_water);
    if (const auto kept = replies_.find(command->sequence); kept != replies_.end()) {
      reply.result.version = kept->second;
    } else if (command->sequence < low_water_) {
      reply.result.code = proto::ErrorCode::kStaleSequence;
    } else {
      replies_[command->sequence] = reply.result.version;
      ++executed_[std::string(command->operations.at(0).key)];
    }
    replies_.erase(replies_.begin(), replies_.lower_bound(low_water_));
    Post(send.node, Daemon::kStoraged, send.request, reply, now);
  }

  void Read(const Send& send, const proto::Get& get, std::uint64_t now) {
    const std::uint64_t applied = committed_ - std::min(committed_, random_.Below(3));
    proto::GetReply reply;
    if (applied < get.min_version.value()) {
      reply.error.code = proto::ErrorCode::kDeadlineExceeded;
      Post(send.node, Daemon::kStoraged, send.request, reply, now + send.timeout_ms);
      return;
    }
    reply.read_version = Version(applied);
    Answer(send, reply, now);
  }

  void ChangeLeader() {
    term_ = term_.Next();
    const std::uint64_t drawn = random_.Below(4);
    leader_ = NodeId(drawn);  // 0: nobody for now
    // What the old leader had not committed is lost or survives.
    std::erase_if(pending_, [this](const auto&) { return random_.Chance(1, 2); });
  }

  Random random_;
  RouterCore& core_;
  NodeId leader_{1};
  Term term_{1};
  std::vector<std::pair<Send, Bytes>> pending_;
  std::uint64_t committed_ = 0;
  std::uint64_t low_water_ = 0;
  std::map<std::uint64_t, Version> replies_;
  std::map<std::string, int> executed_;
  std::multimap<std::uint64_t, Mail> mail_;
};

struct Asked {
  std::string key;  // of a write; empty: a read
  std::uint64_t deadline_ms = 0;
  std::uint64_t committed_before = 0;
};

class RouterModel : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RouterModel, EveryRequestEndsOnceInTimeAndTruthfully) {
  CoreOptions options = ThreeNodes();
  options.commands_in_flight_max = 32;
  RouterCore core(options);
  FaultyCluster cluster(GetParam(), core);
  Random random(GetParam() * 7919);
  std::map<std::uint64_t, Asked> open;
  std::map<std::string, proto::Error> ended;
  std::uint64_t ticket = 0;
  std::size_t acknowledged = 0;
  std::size_t reads = 0;
  constexpr std::uint64_t kLoadUntil = 30'000;
  for (std::uint64_t now = 1000; now < kLoadUntil + 10'000; now += 5) {
    if (now < kLoadUntil && random.Chance(1, 3)) {
      Asked asked;
      asked.deadline_ms = now + random.Between(1, 6000);
      asked.committed_before = cluster.committed();
      const Ticket mine{Ticket::Front::kHttp, ++ticket};
      if (random.Chance(1, 2)) {
        asked.key = "w" + std::to_string(ticket);
        WriteRequest request;
        request.ticket = mine;
        request.operations.push_back({proto::Operation::Kind::kPut, asked.key, "v"});
        request.deadline_ms = asked.deadline_ms;
        core.Write(std::move(request), now);
      } else {
        ReadRequest request;
        request.ticket = mine;
        request.key = Bytes::Copy("k");
        request.deadline_ms = asked.deadline_ms;
        core.Read(std::move(request), now);
      }
      open.emplace(ticket, asked);
    }
    cluster.Step(now);
    Effects effects;
    core.Poll(now, &effects);
    for (const Send& send : effects.sends) cluster.Carry(send, now);
    for (const Completion& done : effects.completions) {
      const auto found = open.find(done.ticket.id);
      ASSERT_NE(found, open.end()) << "ended twice";
      ASSERT_LE(now, found->second.deadline_ms + 20) << "late";
      if (!done.is_write) {
        if (done.error.ok()) {
          ++reads;
          ASSERT_GE(done.read_version.value(), found->second.committed_before) << "a stale read";
        }
      } else {
        ended.emplace(found->second.key, done.error);
        if (done.error.ok()) ++acknowledged;
      }
      open.erase(found);
    }
  }
  EXPECT_TRUE(open.empty());
  EXPECT_TRUE(core.idle());
  for (const auto& [key, times] : cluster.executed()) EXPECT_EQ(times, 1) << key;
  for (const auto& [key, error] : ended) {
    const bool happened = cluster.executed().contains(key);
    if (error.ok()) {
      EXPECT_TRUE(happened) << key << " was acknowledged and lost";
    }
    if (!error.ok() && error.outcome == proto::Outcome::kNone) {
      EXPECT_FALSE(happened) << key << " was said not to have happened: " << error.detail;
    }
  }
  EXPECT_GT(acknowledged, 100U);
  EXPECT_GT(reads, 100U);
  EXPECT_GT(core.resends(), 10U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RouterModel, testing::Range<std::uint64_t>(1, 31));

}  // namespace
}  // namespace bedrock::router
