#include "common/base/ids.h"

#include <gtest/gtest.h>

namespace bedrock {
namespace {

TEST(IdsTest, NodeIdsRoundTrip) {
  EXPECT_EQ(FormatNodeId(NodeId(3)), "n3");
  EXPECT_EQ(FormatNodeId(NodeId()), "-");
  EXPECT_EQ(ParseNodeId("n17").value(), NodeId(17));
  EXPECT_EQ(ParseNodeId("17").value(), NodeId(17));
}

TEST(IdsTest, RefusesWhatIsNoNodeId) {
  for (const char* text :
       {"", "n", "0", "n0", "-1", "n1 ", " n1", "1x", "nn1", "+1", "9999999999999999999"}) {
    EXPECT_TRUE(ParseNodeId(text).status().IsInvalidArgument()) << text;
  }
}

TEST(IdsTest, ClusterIdsRoundTrip) {
  const ClusterId id(0x00ab'cdef'0123'4567ULL);
  EXPECT_EQ(FormatClusterId(id), "00abcdef01234567");
  EXPECT_EQ(ParseClusterId(FormatClusterId(id)).value(), id);
  EXPECT_TRUE(ParseClusterId("0").status().IsInvalidArgument());
  EXPECT_TRUE(ParseClusterId("xyz").status().IsInvalidArgument());
  EXPECT_TRUE(ParseClusterId("00000000000000001").status().IsInvalidArgument());
}

TEST(IdsTest, RoutingIdsNameProgramNodeAndLife) {
  const std::string id = RoutingId("raftd", NodeId(1), BootId(0x00c0'ffee'00c0'ffeeULL));
  EXPECT_EQ(id, "raftd/n1/00c0ffee00c0ffee");
  EXPECT_TRUE(IsRoutingIdOf(id, "raftd", NodeId(1)));
  EXPECT_FALSE(IsRoutingIdOf(id, "raftd", NodeId(11)));
  EXPECT_FALSE(IsRoutingIdOf(id, "routerd", NodeId(1)));
  EXPECT_FALSE(IsRoutingIdOf(RoutingId("raftd", NodeId(12), BootId(1)), "raftd", NodeId(1)));
}

TEST(IdsTest, OrderAndArithmetic) {
  const LogIndex index(7);
  EXPECT_EQ(index.Next(), LogIndex(8));
  EXPECT_EQ(index.Prev(), LogIndex(6));
  EXPECT_EQ(index - LogIndex(3), 4u);
  EXPECT_LT(index, LogIndex(8));
  EXPECT_FALSE(LogIndex());
}

}  // namespace
}  // namespace bedrock
