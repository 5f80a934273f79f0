#include "routerd/core/cluster/link_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/env/random.h"
#include "tests/unit/routerd/core/core_fixture.h"

namespace bedrock::router {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class LinkPlanTest : public testing::Test {
 protected:
  static MemberSeed Seed(std::uint64_t node, const std::string& host) {
    return {NodeId(node), "tcp://" + host + ":9000", "tcp://" + host + ":10500",
            "tcp://" + host + ":7000", host + ":8080"};
  }
  std::vector<LinkChange> Follow(const std::vector<MemberSeed>& members) {
    Effects effects;
    plan_.Follow(members, now_, &effects);
    return effects.links;
  }
  std::vector<LinkChange> Advance(std::uint64_t ms) {
    now_ += ms;
    Effects effects;
    plan_.Advance(now_, &effects);
    return effects.links;
  }

  LinkPlan plan_{kN1};
  std::uint64_t now_ = 5000;
};

TEST_F(LinkPlanTest, TheDaemonsOfAllNodesAreLinkedButThisNodesRouter) {
  EXPECT_THAT(Follow({Seed(1, "a"), Seed(2, "b")}),
              ElementsAre(LinkChange{kN1, Daemon::kRaftd, true, ""},
                          LinkChange{kN1, Daemon::kStoraged, true, ""},
                          LinkChange{kN2, Daemon::kRaftd, true, "tcp://b:9000"},
                          LinkChange{kN2, Daemon::kStoraged, true, "tcp://b:10500"},
                          LinkChange{kN2, Daemon::kRouterd, true, "tcp://b:7000"}));
  EXPECT_THAT(Follow({Seed(1, "a"), Seed(2, "b")}), IsEmpty());
  EXPECT_THAT(Follow({Seed(1, "a"), Seed(2, "b"), Seed(3, "c")}), SizeIs(3));
}

TEST_F(LinkPlanTest, WhoLeavesIsClosedAfterAWhile) {
  Follow({Seed(1, "a"), Seed(2, "b")});
  EXPECT_THAT(Follow({Seed(1, "a")}), IsEmpty());
  EXPECT_THAT(Advance(LinkPlan::kLingerMs - 1), IsEmpty());
  EXPECT_THAT(Advance(1), ElementsAre(LinkChange{kN2, Daemon::kRaftd, false, ""},
                                      LinkChange{kN2, Daemon::kStoraged, false, ""},
                                      LinkChange{kN2, Daemon::kRouterd, false, ""}));
  EXPECT_THAT(Advance(LinkPlan::kLingerMs), IsEmpty());
  EXPECT_THAT(Follow({Seed(1, "a"), Seed(2, "b")}), SizeIs(3));
}

TEST_F(LinkPlanTest, WhoComesBackMeanwhileStays) {
  Follow({Seed(1, "a"), Seed(2, "b"), Seed(3, "c")});
  Follow({Seed(1, "a")});
  Advance(100);
  EXPECT_THAT(Follow({Seed(1, "a"), Seed(2, "b")}), IsEmpty());
  EXPECT_THAT(Advance(LinkPlan::kLingerMs), SizeIs(3)) << "n3 alone goes";
}

TEST_F(LinkPlanTest, AnotherAddressMovesALink) {
  Follow({Seed(1, "a"), Seed(2, "b")});
  MemberSeed moved = Seed(2, "b");
  moved.storage = "tcp://elsewhere:1";
  EXPECT_THAT(Follow({Seed(1, "a"), moved}),
              ElementsAre(LinkChange{kN2, Daemon::kStoraged, true, "tcp://elsewhere:1"}));
}

TEST_F(LinkPlanTest, ThisNodesOwnLinksGoWithIt) {
  Follow({Seed(1, "a"), Seed(2, "b")});
  Follow({Seed(2, "b")});
  EXPECT_THAT(Advance(LinkPlan::kLingerMs),
              ElementsAre(LinkChange{kN1, Daemon::kRaftd, false, ""},
                          LinkChange{kN1, Daemon::kStoraged, false, ""}));
}

TEST_F(LinkPlanTest, AnEndpointThatIsNotKnownIsNoLink) {
  MemberSeed partly = Seed(2, "b");
  partly.client = "";
  EXPECT_THAT(Follow({partly}), SizeIs(2));
}

/// What is linked is at any time what the members need, and what left less than kLingerMs ago.
TEST_F(LinkPlanTest, LinksAreThoseOfTheMembersWhoeverComesAndGoes) {
  Random random(77);
  std::map<std::pair<NodeId, Daemon>, std::string> open;
  std::map<NodeId, std::uint64_t> left;
  std::map<NodeId, MemberSeed> members;
  const auto carry = [&open](const std::vector<LinkChange>& changes) {
    for (const LinkChange& change : changes) {
      if (change.open) {
        open[{change.node, change.daemon}] = change.address;
      } else {
        EXPECT_EQ(open.erase({change.node, change.daemon}), 1U);
      }
    }
  };
  for (int step = 0; step < 2000; ++step) {
    const std::uint64_t id = 1 + random.Below(6);
    if (random.Chance(1, 2)) {
      members[NodeId(id)] = Seed(id, random.Chance(1, 5) ? "moved" : "h" + std::to_string(id));
      left.erase(NodeId(id));
    } else if (members.erase(NodeId(id)) > 0) {
      left[NodeId(id)] = now_;
    }
    std::vector<MemberSeed> now;
    now.reserve(members.size());
    for (const auto& [node, seed] : members) now.push_back(seed);
    carry(Follow(now));
    carry(Advance(random.Below(800)));
    std::size_t expected = 0;
    for (const auto& [node, seed] : members) {
      expected += node == kN1 ? 2 : 3;
      if (node == kN1) continue;
      EXPECT_EQ((open.at({node, Daemon::kRaftd})), seed.raft);
      EXPECT_EQ((open.at({node, Daemon::kRouterd})), seed.client);
    }
    for (const auto& [node, since] : left) {
      if (now_ < since + LinkPlan::kLingerMs) expected += node == kN1 ? 2 : 3;
    }
    EXPECT_EQ(open.size(), expected) << "step " << step;
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace bedrock::router
