#include "routerd/core/cluster/membership_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

using proto::ChangeMembers;
using proto::ErrorCode;
using proto::Outcome;
using testing::ElementsAre;
using testing::HasSubstr;
using Kind = ChangeMembers::Kind;

constexpr NodeId kN4{4};

ChangeMembers Wish(Kind kind, NodeId node) {
  ChangeMembers wish;
  wish.kind = kind;
  wish.node = node;
  if (kind == Kind::kAdd) {
    const std::string host = "h" + std::to_string(node.value());
    wish.raft = "tcp://" + host + ":9000";
    wish.storage = "tcp://" + host + ":10500";
    wish.client = "tcp://" + host + ":7000";
    wish.http = host + ":8080";
  }
  return wish;
}

proto::MemberStatus RowOf(NodeId node, bool voter = true) {
  const ChangeMembers as_added = Wish(Kind::kAdd, node);
  return {.id = node,
          .voter = voter,
          .raft = as_added.raft,
          .storage = as_added.storage,
          .client = as_added.client,
          .http = as_added.http,
          .role = proto::Role::kFollower,
          .match_index = {}};
}

class MembershipLedgerTest : public CoreTest {
 protected:
  MembershipLedgerTest() { Lead(kN1, Term(4), {RowOf(kN1), RowOf(kN2), RowOf(kN3)}); }

  /// The node leads, and tells who takes part.
  void Lead(NodeId leader, Term term, std::vector<proto::MemberStatus> rows) {
    proto::RaftStatus status = StatusOf(leader, proto::Role::kLeader, leader, term);
    status.members = std::move(rows);
    Hear(leader, Daemon::kRaftd, RequestId(), status);
  }
  void Change(std::uint64_t ticket, const ChangeMembers& wish, std::uint64_t timeout_ms = 5000) {
    core_.ChangeMembership({{Ticket::Front::kHttp, ticket}, wish, now_ + timeout_ms}, now_);
  }
  void Transfer(std::uint64_t ticket, NodeId to, std::uint64_t timeout_ms = 5000) {
    core_.ChangeMembership(
        {{Ticket::Front::kHttp, ticket}, proto::TransferLeadership{to}, now_ + timeout_ms}, now_);
  }
  Send AskOnce() {
    Effects effects = Poll();
    EXPECT_EQ(effects.completions.size(), 0U);
    EXPECT_EQ(effects.sends.size(), 1U);
    return effects.sends.empty() ? Send() : effects.sends[0];
  }
  void Answer(const Send& asked, ErrorCode code = ErrorCode::kOk, LogIndex index = LogIndex(9),
              Outcome outcome = Outcome::kNone) {
    proto::ChangeMembersReply reply;
    reply.error.code = code;
    if (code != ErrorCode::kOk) reply.error.detail = "because of this";
    reply.error.outcome = outcome;
    reply.index = index;
    Hear(asked.node, Daemon::kRaftd, asked.request, reply);
  }
  void AnswerTransfer(const Send& asked, ErrorCode code, NodeId leader, Term term) {
    proto::TransferLeadershipReply reply;
    reply.error.code = code;
    if (code != ErrorCode::kOk) reply.error.detail = "because of this";
    reply.leader = leader;
    reply.term = term;
    Hear(asked.node, Daemon::kRaftd, asked.request, reply);
  }
  Completion Done() {
    Effects effects = Poll();
    EXPECT_EQ(effects.sends.size(), 0U);
    EXPECT_EQ(effects.completions.size(), 1U);
    return effects.completions.empty() ? Completion() : effects.completions[0];
  }
};

TEST_F(MembershipLedgerTest, AnAddIsAskedOfTheLeaderAndAnsweredWhenItIsTakenIn) {
  Change(5, Wish(Kind::kAdd, kN4), 700);
  const Send asked = AskOnce();
  EXPECT_EQ(asked.node, kN1);
  EXPECT_EQ(asked.daemon, Daemon::kRaftd);
  EXPECT_EQ(asked.timeout_ms, 700U);
  EXPECT_EQ(std::get<ChangeMembers>(asked.message), Wish(Kind::kAdd, kN4));
  EXPECT_FALSE(core_.idle());
  Answer(asked);
  const Completion done = Done();
  EXPECT_EQ(done.ticket.id, 5U);
  EXPECT_TRUE(done.error.ok());
  EXPECT_TRUE(done.is_write);
  EXPECT_EQ(done.version, Version(9));
  EXPECT_EQ(done.served_by, kN1);
  EXPECT_EQ(done.leader, kN1);
  EXPECT_TRUE(core_.idle());
}

TEST_F(MembershipLedgerTest, ARemovalIsAnsweredWhenTheNodeIsGone) {
  Change(5, Wish(Kind::kRemove, kN3));
  Answer(AskOnce());
  EXPECT_TRUE(Pass(100).empty()) << "its vote may be needed yet";
  Lead(kN1, Term(4), {RowOf(kN1), RowOf(kN2), RowOf(kN3, false)});
  EXPECT_TRUE(Pass(100).empty());
  Lead(kN1, Term(4), {RowOf(kN1), RowOf(kN2)});
  EXPECT_TRUE(Done().error.ok());
}

TEST_F(MembershipLedgerTest, ALeaderThatRemovesItselfIsGoneWhenTheNextOneSaysSo) {
  Change(5, Wish(Kind::kRemove, kN1));
  Answer(AskOnce());
  Lead(kN1, Term(4), {RowOf(kN1, false), RowOf(kN2), RowOf(kN3)});
  EXPECT_TRUE(Pass(100).empty());
  Lead(kN2, Term(5), {RowOf(kN1, false), RowOf(kN2), RowOf(kN3)});
  EXPECT_TRUE(Pass(100).empty()) << "and it is not asked again: the change is decided";
  Lead(kN2, Term(5), {RowOf(kN2), RowOf(kN3)});
  const Completion done = Done();
  EXPECT_TRUE(done.error.ok());
  EXPECT_EQ(done.leader, kN2);
  EXPECT_EQ(done.served_by, kN1);
}

TEST_F(MembershipLedgerTest, PromotionsAndDemotionsAreAnsweredWhenTheyAreSo) {
  Lead(kN1, Term(4), {RowOf(kN1), RowOf(kN2), RowOf(kN3, false)});
  Change(5, Wish(Kind::kPromote, kN3));
  Answer(AskOnce());
  EXPECT_TRUE(Pass(100).empty()) << "it has to catch up";
  Lead(kN1, Term(4), {RowOf(kN1), RowOf(kN2), RowOf(kN3)});
  EXPECT_TRUE(Done().error.ok());
  Change(6, Wish(Kind::kDemote, kN3));
  Answer(AskOnce());
  EXPECT_TRUE(Pass(100).empty());
  Lead(kN1, Term(4), {RowOf(kN1), RowOf(kN2), RowOf(kN3, false)});
  EXPECT_TRUE(Done().error.ok());
}

TEST_F(MembershipLedgerTest, WhatIsUnderWayAtTheDeadlineIsUnknownAndSaysWhatComes) {
  Change(5, Wish(Kind::kPromote, kN3), 300);
  Lead(kN1, Term(4), {RowOf(kN1), RowOf(kN2), RowOf(kN3, false)});
  Answer(AskOnce());
  const Effects late = Pass(310);
  ASSERT_EQ(late.completions.size(), 1U);
  EXPECT_EQ(late.completions[0].error.code, ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(late.completions[0].error.outcome, Outcome::kUnknown);
  EXPECT_THAT(late.completions[0].error.detail, HasSubstr("n3 becomes a voter"));
}

TEST_F(MembershipLedgerTest, TheNewLeaderIsAskedAtOnce) {
  Change(5, Wish(Kind::kRemove, kN3));
  const Send first = AskOnce();
  Lead(kN2, Term(5), {RowOf(kN1), RowOf(kN2), RowOf(kN3)});
  const Send second = AskOnce();
  EXPECT_EQ(second.node, kN2);
  Answer(first, ErrorCode::kInvalidArgument);  // of the attempt before: too late to count
  EXPECT_TRUE(Poll().empty());
  Answer(second);
  Lead(kN2, Term(5), {RowOf(kN1), RowOf(kN2)});
  EXPECT_TRUE(Done().error.ok());
}

TEST_F(MembershipLedgerTest, ASuccessOfAnyAttemptCounts) {
  Change(5, Wish(Kind::kAdd, kN4));
  const Send first = AskOnce();
  ASSERT_EQ(Pass(1010).sends.size(), 1U);
  Answer(first);
  EXPECT_TRUE(Done().error.ok());
}

TEST_F(MembershipLedgerTest, WhatThisVeryRequestHasAddedIsASuccess) {
  Change(5, Wish(Kind::kAdd, kN4));
  AskOnce();  // its answer gets lost
  const Effects later = Pass(1010);
  ASSERT_EQ(later.sends.size(), 1U);
  Lead(kN1, Term(4), {RowOf(kN1), RowOf(kN2), RowOf(kN3), RowOf(kN4, false)});
  Answer(later.sends[0], ErrorCode::kMemberExists);
  EXPECT_TRUE(Done().error.ok());
}

TEST_F(MembershipLedgerTest, AMemberThatWasThereBeforeIsRefused) {
  Lead(kN1, Term(4), {RowOf(kN1), RowOf(kN2), RowOf(kN3), RowOf(kN4, false)});
  Change(5, Wish(Kind::kAdd, kN4));
  Answer(AskOnce(), ErrorCode::kMemberExists);
  const Completion done = Done();
  EXPECT_EQ(done.error.code, ErrorCode::kMemberExists);
  EXPECT_EQ(done.error.outcome, Outcome::kNone);
}

TEST_F(MembershipLedgerTest, AnotherNodeUnderTheSameIdIsNoSuccess) {
  Change(5, Wish(Kind::kAdd, kN4));
  AskOnce();
  const Send second = Pass(1010).sends.at(0);
  proto::MemberStatus other = RowOf(kN4, false);
  other.raft = "tcp://elsewhere:9000";
  Lead(kN1, Term(4), {RowOf(kN1), RowOf(kN2), RowOf(kN3), other});
  Answer(second, ErrorCode::kMemberExists);
  const Completion done = Done();
  EXPECT_EQ(done.error.code, ErrorCode::kMemberExists);
  EXPECT_EQ(done.error.outcome, Outcome::kUnknown) << "the first may have been taken";
}

TEST_F(MembershipLedgerTest, AnotherChangeUnderWayIsWaitedForAndThenNamed) {
  Change(5, Wish(Kind::kDemote, kN3), 1000);
  const Ending ending =
      PassUntilOver([this](const Send& send) { Answer(send, ErrorCode::kOverloaded); });
  EXPECT_GT(ending.sends, 3U);
  EXPECT_LT(ending.sends, 20U);
  ASSERT_THAT(ending.completions,
              ElementsAre(FailsWith(ErrorCode::kUnsafeMembershipChange, Outcome::kNone)));
  EXPECT_THAT(ending.completions[0].error.detail, HasSubstr("because of this"));
}

TEST_F(MembershipLedgerTest, WhatIsRefusedForGoodIsAnsweredAtOnce) {
  for (const ErrorCode code : {ErrorCode::kUnsafeMembershipChange, ErrorCode::kMemberNotFound,
                               ErrorCode::kInvalidArgument, ErrorCode::kUnsupportedProtocol}) {
    Change(5, Wish(Kind::kRemove, kN3));
    Answer(AskOnce(), code);
    const Completion done = Done();
    EXPECT_EQ(done.error.code, code);
    EXPECT_EQ(done.error.outcome, Outcome::kNone);
    EXPECT_EQ(done.error.detail, "because of this");
  }
}

TEST_F(MembershipLedgerTest, WhatAnEarlierAttemptBeganMayBeInTheWay) {
  Change(5, Wish(Kind::kRemove, kN3));
  AskOnce();
  const Send second = Pass(1010).sends.at(0);
  Answer(second, ErrorCode::kUnsafeMembershipChange);
  const Send third = Pass(200).sends.at(0);
  Answer(third);
  Lead(kN1, Term(4), {RowOf(kN1), RowOf(kN2)});
  EXPECT_TRUE(Done().error.ok());
}

TEST_F(MembershipLedgerTest, ARefusedKindEndsIt) {
  Change(5, Wish(Kind::kRemove, kN3));
  const Send asked = AskOnce();
  proto::Refusal refusal;
  refusal.error.code = ErrorCode::kUnsupportedProtocol;
  Hear(asked.node, Daemon::kRaftd, asked.request, refusal);
  EXPECT_EQ(Done().error.code, ErrorCode::kUnsupportedProtocol);
}

TEST_F(MembershipLedgerTest, WithoutALeaderItWaitsForOne) {
  Pass(2000);  // nobody has said a word
  Change(5, Wish(Kind::kAdd, kN4), 500);
  EXPECT_TRUE(Pass(200).empty());
  Lead(kN3, Term(6), {RowOf(kN1), RowOf(kN2), RowOf(kN3)});
  EXPECT_EQ(AskOnce().node, kN3);
  Pass(2000);
  Change(6, Wish(Kind::kAdd, kN4), 300);
  const Effects none = Pass(310);
  ASSERT_EQ(none.completions.size(), 1U);
  EXPECT_EQ(none.completions[0].error.code, ErrorCode::kNoLeader);
  EXPECT_EQ(none.completions[0].error.outcome, Outcome::kNone);
}

TEST_F(MembershipLedgerTest, WhatNeverLeftLeavesNothing) {
  Change(5, Wish(Kind::kAdd, kN4), 400);
  std::vector<Completion> done;
  Effects effects = Poll();
  for (int i = 0; i < 100 && done.empty(); ++i) {
    for (const Send& send : effects.sends) {
      core_.OnUnsent(send.node, send.daemon, send.request, now_);
    }
    effects = Pass(10);
    done = std::move(effects.completions);
  }
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done[0].error.code, ErrorCode::kNoLeader);
  EXPECT_EQ(done[0].error.outcome, Outcome::kNone);
}

TEST_F(MembershipLedgerTest, AnAttemptWithoutAnAnswerIsUnknown) {
  Change(5, Wish(Kind::kAdd, kN4), 400);
  AskOnce();
  const Effects late = Pass(410);
  ASSERT_EQ(late.completions.size(), 1U);
  EXPECT_EQ(late.completions[0].error.code, ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(late.completions[0].error.outcome, Outcome::kUnknown);
}

TEST_F(MembershipLedgerTest, ATransferIsAnsweredWhenTheTargetLeads) {
  Transfer(5, kN2);
  const Send asked = AskOnce();
  EXPECT_EQ(std::get<proto::TransferLeadership>(asked.message).to, kN2);
  AnswerTransfer(asked, ErrorCode::kOk, kN2, Term(5));
  const Completion done = Done();
  EXPECT_TRUE(done.error.ok());
  EXPECT_EQ(done.leader, kN2);
  EXPECT_EQ(done.term, Term(5));
  EXPECT_EQ(core_.leader(now_).node, kN2) << "whoever asks next is told so, too";
}

TEST_F(MembershipLedgerTest, ATransferThatFailsSaysWhy) {
  for (const ErrorCode code : {ErrorCode::kUnsafeMembershipChange, ErrorCode::kDeadlineExceeded}) {
    Transfer(5, kN2);
    AnswerTransfer(AskOnce(), code, kN1, Term(4));
    const Completion done = Done();
    EXPECT_EQ(done.error.code, code);
    EXPECT_EQ(done.error.detail, "because of this");
  }
  Transfer(5, kN4);
  AnswerTransfer(AskOnce(), ErrorCode::kInvalidArgument, kN1, Term(4));
  EXPECT_EQ(Done().error.code, ErrorCode::kMemberNotFound);
  Lead(kN1, Term(4), {RowOf(kN1), RowOf(kN2), RowOf(kN3), RowOf(kN4, false)});
  Transfer(5, kN4);
  AnswerTransfer(AskOnce(), ErrorCode::kInvalidArgument, kN1, Term(4));
  EXPECT_EQ(Done().error.code, ErrorCode::kInvalidArgument) << "a learner";
}

TEST_F(MembershipLedgerTest, AReplyOfTheOtherKindIsIgnored) {
  Transfer(5, kN2);
  Answer(AskOnce());
  EXPECT_TRUE(Poll().empty());
  Change(6, Wish(Kind::kRemove, kN3));
  AnswerTransfer(AskOnce(), ErrorCode::kOk, kN1, Term(4));
  EXPECT_TRUE(Poll().empty());
}

TEST_F(MembershipLedgerTest, ChangesInFlightAreBounded) {
  for (std::size_t i = 0; i < MembershipLedger::kChangesMax; ++i) {
    Change(5, Wish(Kind::kRemove, kN3));
  }
  Poll();
  Change(6, Wish(Kind::kRemove, kN3));
  const Effects effects = Poll();
  ASSERT_EQ(effects.completions.size(), 1U);
  EXPECT_EQ(effects.completions[0].error.code, ErrorCode::kOverloaded);
}

/// A leader's raftd as its desk is: one change at a time, ids never used again; that forgets what
/// it was about to answer, and is deposed.
class FakeLeaders {
 public:
  explicit FakeLeaders(std::uint64_t seed) : random(seed), term(1000 * seed) {}

  proto::ChangeMembersReply Ask(NodeId node, const ChangeMembers& wish) {
    proto::ChangeMembersReply reply;
    const auto refuse = [&reply](ErrorCode code) {
      reply.error.code = code;
      return reply;
    };
    if (node != leader) return refuse(ErrorCode::kNotLeader);
    if (busy > 0) return refuse(ErrorCode::kOverloaded);
    const bool member = rows.contains(wish.node);
    if (wish.kind == Kind::kAdd) {
      if (member || gone.contains(wish.node)) return refuse(ErrorCode::kMemberExists);
      rows[wish.node] = false;
      ++taken_in[wish.node];
    } else if (!member) {
      const bool is_so = wish.kind == Kind::kRemove && gone.contains(wish.node);
      return is_so ? reply : refuse(ErrorCode::kMemberNotFound);
    } else {
      next = wish;
    }
    busy = 1 + random.Below(40);
    return reply;
  }
  void Elect(NodeId node) {
    leader = node;
    term = term.Next();
  }
  /// Whoever leads carries on.
  void Step() {
    if (busy > 0 && --busy > 0) return;
    if (!next) return;
    if (next->kind == Kind::kRemove) {
      rows.erase(next->node);
      gone.insert(next->node);
      if (leader == next->node) Elect(kN1);
    } else {
      rows[next->node] = next->kind == Kind::kPromote;
    }
    next.reset();
  }

  Random random;
  NodeId leader = kN1;
  Term term;
  std::map<NodeId, bool> rows = {{kN1, true}, {kN2, true}, {kN3, true}};
  std::set<NodeId> gone;
  std::map<NodeId, int> taken_in;
  std::optional<ChangeMembers> next;
  std::uint64_t busy = 0;
};

class MembershipModelTest : public MembershipLedgerTest {
 protected:
  /// One request after the other, while answers get lost and leaders change.
  void Run(std::uint64_t seed) {
    FakeLeaders raft(seed);
    for (std::uint64_t ticket = 1; ticket <= 20; ++ticket) {
      const Kind kind = static_cast<Kind>(raft.random.Below(4));
      const NodeId node(kind == Kind::kAdd ? 4 + ticket : 2 + raft.random.Below(3));
      const bool was_there = raft.rows.contains(node);
      Change(ticket, Wish(kind, node), 60'000);
      const Completion done = Drive(raft);
      Check(raft, kind, node, was_there, done);
      for (int i = 0; i < 100; ++i) raft.Step();
      TellRows(raft);
    }
    for (const auto& [node, times] : raft.taken_in) EXPECT_EQ(times, 1) << node.value();
  }

 private:
  static void Check(const FakeLeaders& raft, Kind kind, NodeId node, bool was_there,
                    const Completion& done) {
    if (kind == Kind::kAdd) {
      EXPECT_TRUE(done.error.ok()) << done.error.detail;
      EXPECT_TRUE(raft.rows.contains(node));
      return;
    }
    if (!done.error.ok()) {
      EXPECT_EQ(done.error.code, ErrorCode::kMemberNotFound);
      EXPECT_FALSE(was_there);
      return;
    }
    if (kind == Kind::kRemove) {
      EXPECT_FALSE(raft.rows.contains(node));
    } else if (was_there) {
      EXPECT_EQ(raft.rows.at(node), kind == Kind::kPromote);
    }
  }
  void TellRows(const FakeLeaders& raft) {
    std::vector<proto::MemberStatus> rows;
    for (const auto& [node, voter] : raft.rows) rows.push_back(RowOf(node, voter));
    Lead(raft.leader, raft.term, rows);
  }
  Completion Drive(FakeLeaders& raft) {
    for (int step = 0; step < 7000; ++step) {
      if (raft.random.Chance(1, 60)) {
        const auto at =
            std::next(raft.rows.begin(), static_cast<long>(raft.random.Below(raft.rows.size())));
        raft.Elect(at->first);
      }
      raft.Step();
      if (raft.random.Chance(1, 5)) TellRows(raft);
      Effects effects = Pass(10);
      for (const Send& send : effects.sends) Deliver(raft, send);
      Effects more = Poll();
      for (const Send& send : more.sends) Deliver(raft, send);
      for (const auto& all : {effects.completions, more.completions}) {
        if (!all.empty()) return all[0];
      }
    }
    ADD_FAILURE() << "never answered";
    return {};
  }
  void Deliver(FakeLeaders& raft, const Send& send) {
    const auto* wish = std::get_if<ChangeMembers>(&send.message);
    if (wish == nullptr) return;
    if (raft.random.Chance(1, 5)) {
      return core_.OnUnsent(send.node, send.daemon, send.request, now_);
    }
    if (raft.random.Chance(1, 5)) return;  // lost on the way there
    const proto::ChangeMembersReply reply = raft.Ask(send.node, *wish);
    if (raft.random.Chance(1, 3)) return;  // lost on the way back
    Hear(send.node, Daemon::kRaftd, send.request, reply);
  }
};

TEST_F(MembershipModelTest, NothingIsDoneTwiceAndSuccessIsTrueWhateverGetsLost) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    // A later leader than any of the run before.
    Lead(kN1, Term(1000 * seed), {RowOf(kN1), RowOf(kN2), RowOf(kN3)});
    Run(seed);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace bedrock::router
