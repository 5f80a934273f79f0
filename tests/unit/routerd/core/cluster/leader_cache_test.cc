#include "routerd/core/cluster/leader_cache.h"

#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

#include "tests/unit/routerd/core/core_fixture.h"

namespace bedrock::router {
namespace {

using Leader = LeaderCache::Leader;
using proto::Role;

struct Said {
  NodeId node;
  Role role;
  NodeId leader;
  std::uint64_t term;
};
struct Refused {
  NodeId node;
  NodeId hint;
  std::uint64_t term;
};
struct Case {
  const char* name;
  std::vector<std::variant<Said, Refused>> heard;
  Leader believed;
};

class LeaderCacheTable : public testing::TestWithParam<Case> {};

TEST_P(LeaderCacheTable, Believes) {
  LeaderCache cache(1500);
  for (const auto& heard : GetParam().heard) {
    if (const Said* said = std::get_if<Said>(&heard)) {
      cache.OnStatus(StatusOf(said->node, said->role, said->leader, Term(said->term)), 1000);
    } else {
      const Refused& refused = std::get<Refused>(heard);
      cache.OnRefused(refused.node, refused.hint, Term(refused.term), 1000);
    }
  }
  EXPECT_EQ(cache.leader(1000).node, GetParam().believed.node);
  EXPECT_EQ(cache.leader(1000).term, GetParam().believed.term);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, LeaderCacheTable,
    testing::Values(
        Case{"NobodySpoke", {}, {}},
        Case{"ALeaderNamesItself", {Said{kN2, Role::kLeader, kN2, 3}}, {kN2, Term(3)}},
        Case{"AFollowerNamesTheLeader", {Said{kN1, Role::kFollower, kN2, 3}}, {kN2, Term(3)}},
        Case{"AFollowerCannotNameItself", {Said{kN1, Role::kFollower, kN1, 3}}, {{}, Term(3)}},
        Case{"AHigherTermReplaces",
             {Said{kN2, Role::kLeader, kN2, 3}, Said{kN3, Role::kLeader, kN3, 4}},
             {kN3, Term(4)}},
        Case{"AHigherTermWithoutLeaderForgets",
             {Said{kN2, Role::kLeader, kN2, 3}, Said{kN3, Role::kCandidate, {}, 4}},
             {{}, Term(4)}},
        Case{"WhoStillLeadsAnEarlierTermCountsAgain",
             {Said{kN2, Role::kLeader, kN2, 3}, Said{kN3, Role::kCandidate, {}, 4},
              Said{kN2, Role::kLeader, kN2, 3}},
             {kN2, Term(3)}},
        Case{"TheSameClaimHidesItOnce",
             {Said{kN2, Role::kLeader, kN2, 3}, Said{kN3, Role::kCandidate, {}, 4},
              Said{kN2, Role::kLeader, kN2, 3}, Said{kN3, Role::kCandidate, {}, 4}},
             {kN2, Term(3)}},
        Case{"AHigherClaimHidesItAgain",
             {Said{kN2, Role::kLeader, kN2, 3}, Said{kN3, Role::kCandidate, {}, 4},
              Said{kN2, Role::kLeader, kN2, 3}, Said{kN3, Role::kCandidate, {}, 5}},
             {{}, Term(5)}},
        Case{"OthersMayHaveNamedItBeforeTheClaim",
             {Said{kN2, Role::kLeader, kN2, 3}, Said{kN3, Role::kCandidate, {}, 4},
              Said{kN1, Role::kFollower, kN2, 3}},
             {{}, Term(4)}},
        Case{"WhoLedBeforeThatIsOldNews",
             {Said{kN2, Role::kLeader, kN2, 3}, Said{kN3, Role::kCandidate, {}, 4},
              Said{kN1, Role::kLeader, kN1, 2}},
             {{}, Term(4)}},
        Case{"WhoGaveUpForTheHigherTermIsNotReinstated",
             {Said{kN2, Role::kLeader, kN2, 3}, Said{kN2, Role::kFollower, {}, 4},
              Said{kN1, Role::kFollower, kN2, 3}},
             {{}, Term(4)}},
        Case{"AClaimInVainIsForgottenWhenItsTermIsLed",
             {Said{kN2, Role::kLeader, kN2, 3}, Said{kN3, Role::kCandidate, {}, 4},
              Said{kN2, Role::kLeader, kN2, 3}, Said{kN1, Role::kFollower, kN3, 4}},
             {kN3, Term(4)}},
        Case{"AnEarlierTermIsLedWhereTheFirstWordWasOfALaterOne",
             {Said{kN3, Role::kCandidate, {}, 4}, Said{kN2, Role::kLeader, kN2, 3}},
             {kN2, Term(3)}},
        Case{"ALowerTermIsOldNews",
             {Said{kN3, Role::kLeader, kN3, 4}, Said{kN2, Role::kLeader, kN2, 3}},
             {kN3, Term(4)}},
        Case{"TheTermIsLedOnceItsLeaderIsNamed",
             {Said{kN3, Role::kCandidate, {}, 4}, Said{kN1, Role::kFollower, kN3, 4}},
             {kN3, Term(4)}},
        Case{"AFollowerWithoutLeaderChangesNothing",
             {Said{kN2, Role::kLeader, kN2, 3}, Said{kN1, Role::kFollower, {}, 3}},
             {kN2, Term(3)}},
        Case{"ALeaderThatSteppedDownIsForgotten",
             {Said{kN2, Role::kLeader, kN2, 3}, Said{kN2, Role::kFollower, {}, 3}},
             {{}, Term(3)}},
        Case{"OthersDoNotReinstateIt",
             {Said{kN2, Role::kLeader, kN2, 3}, Said{kN2, Role::kFollower, {}, 3},
              Said{kN1, Role::kFollower, kN2, 3}},
             {{}, Term(3)}},
        Case{"ItsOwnWordDoes",
             {Said{kN1, Role::kFollower, kN2, 3}, Refused{kN2, {}, 3},
              Said{kN2, Role::kLeader, kN2, 3}},
             {kN2, Term(3)}},
        Case{"ARefusalNamesTheLeader", {Refused{kN2, kN3, 5}}, {kN3, Term(5)}},
        Case{"TheLeadersRefusalDeposesIt",
             {Said{kN2, Role::kLeader, kN2, 3}, Refused{kN2, {}, 3}},
             {{}, Term(3)}},
        Case{"AnOldRefusalIsIgnored",
             {Said{kN2, Role::kLeader, kN2, 3}, Refused{kN2, kN1, 2}},
             {kN2, Term(3)}}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(LeaderCacheTest, ABeliefThatNobodyConfirmsFades) {
  LeaderCache cache(1500);
  cache.OnStatus(StatusOf(kN2, Role::kLeader, kN2, Term(3)), 1000);
  EXPECT_EQ(cache.leader(2500).node, kN2);
  EXPECT_EQ(cache.leader(2501).node, NodeId());
  EXPECT_EQ(cache.leader(2501).term, Term(3));
}

TEST(LeaderCacheTest, AFollowersWordConfirms) {
  LeaderCache cache(1500);
  cache.OnStatus(StatusOf(kN2, Role::kLeader, kN2, Term(3)), 1000);
  cache.OnStatus(StatusOf(kN1, Role::kFollower, kN2, Term(3)), 2000);
  EXPECT_EQ(cache.leader(3000).node, kN2);
}

// A candidate's term reaches the routers and nobody else: it dies, and the old leader leads on.
TEST(LeaderCacheTest, WhatOthersSayOfTheOldLeaderCountsOnceTheClaimIsOld) {
  LeaderCache cache(1500);
  cache.OnStatus(StatusOf(kN2, Role::kLeader, kN2, Term(3)), 1000);
  cache.OnStatus(StatusOf(kN3, Role::kCandidate, NodeId(), Term(4)), 1000);
  cache.OnStatus(StatusOf(kN1, Role::kFollower, kN2, Term(3)), 2500);
  EXPECT_EQ(cache.leader(2500), (Leader{NodeId(), Term(4)}));
  cache.OnStatus(StatusOf(kN1, Role::kFollower, kN2, Term(3)), 2501);
  EXPECT_EQ(cache.leader(2501), (Leader{kN2, Term(3)}));
}

// The claimer is alive, but reaches no other raftd: it says so for ever.
TEST(LeaderCacheTest, AClaimThatIsRepeatedDoesNotKeepTheOldLeaderHidden) {
  LeaderCache cache(1500);
  cache.OnStatus(StatusOf(kN2, Role::kLeader, kN2, Term(3)), 1000);
  cache.OnStatus(StatusOf(kN3, Role::kCandidate, NodeId(), Term(4)), 1000);
  EXPECT_EQ(cache.leader(1000).node, NodeId());
  for (std::uint64_t now_ms = 1100; now_ms < 10'000; now_ms += 200) {
    cache.OnStatus(StatusOf(kN2, Role::kLeader, kN2, Term(3)), now_ms);
    EXPECT_EQ(cache.leader(now_ms), (Leader{kN2, Term(3)}));
    cache.OnStatus(StatusOf(kN3, Role::kCandidate, NodeId(), Term(4)), now_ms + 100);
    EXPECT_EQ(cache.leader(now_ms + 100), (Leader{kN2, Term(3)}));
  }
}

}  // namespace
}  // namespace bedrock::router
