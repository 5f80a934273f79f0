#include "storaged/server/identity.h"

#include <gtest/gtest.h>

#include "common/env/memory_file_system.h"

namespace bedrock::storage {
namespace {

class IdentityTest : public ::testing::Test {
 protected:
  Status Claim(std::uint64_t cluster, std::uint64_t node) {
    return ClaimIdentity(files_, "storage.id", ClusterId(cluster), NodeId(node));
  }
  MemoryFileSystem files_;
};

TEST_F(IdentityTest, TheFirstClaimsAndComesBack) {
  EXPECT_TRUE(Claim(0xc1, 3).ok());
  EXPECT_EQ(ReadFile(files_, "storage.id", 100).value(), "cluster 00000000000000c1 node n3\n");
  EXPECT_TRUE(Claim(0xc1, 3).ok());
}

TEST_F(IdentityTest, AClaimSurvivesAPowerCut) {
  ASSERT_TRUE(Claim(0xc1, 3).ok());
  Random random(1);
  files_.Crash(random, MemoryFileSystem::CrashMode::kLoseUnsynced);
  EXPECT_TRUE(Claim(0xc2, 3).IsInvalidArgument());
}

TEST_F(IdentityTest, AnotherClusterAndAnotherNodeAreRefusedByName) {
  ASSERT_TRUE(Claim(0xc1, 3).ok());
  const Status other_cluster = Claim(0xc2, 3);
  EXPECT_TRUE(other_cluster.IsInvalidArgument());
  EXPECT_NE(other_cluster.message().find("00000000000000c1"), std::string_view::npos);
  EXPECT_NE(other_cluster.message().find("00000000000000c2"), std::string_view::npos);
  EXPECT_TRUE(Claim(0xc1, 4).IsInvalidArgument());
  EXPECT_TRUE(Claim(0xc1, 3).ok());
}

TEST_F(IdentityTest, AFileThatSaysNothingIsCorruption) {
  ASSERT_TRUE(ReplaceFile(files_, "storage.id", "").ok());
  EXPECT_TRUE(Claim(0xc1, 3).IsCorruption());
  ASSERT_TRUE(ReplaceFile(files_, "storage.id", "cluster 0000").ok());
  EXPECT_TRUE(Claim(0xc1, 3).IsCorruption());
}

}  // namespace
}  // namespace bedrock::storage
