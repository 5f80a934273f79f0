#include "storaged/engine/snapshot_registry.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

namespace bedrock::engine {
namespace {

class SnapshotRegistryTest : public testing::Test {
 protected:
  Snapshot Take(std::uint64_t version, std::uint64_t now_ms = 0) {
    return registry_->Take(now_ms, [&] { return Version(version); });
  }
  SnapshotRegistry::Kept Look(std::uint64_t watermark) {
    return registry_->Look([&] { return Version(watermark); });
  }

  std::shared_ptr<SnapshotRegistry> registry_ = std::make_shared<SnapshotRegistry>();
};

TEST_F(SnapshotRegistryTest, APinLastsAsLongAsItsLastCopy) {
  auto pin = std::make_optional(Take(5));
  auto copy = pin;
  pin.reset();
  EXPECT_TRUE(registry_->IsPinned(Version(5)));
  EXPECT_FALSE(registry_->IsPinned(Version(4)));
  copy.reset();
  EXPECT_FALSE(registry_->IsPinned(Version(5)));
}

TEST_F(SnapshotRegistryTest, PinsOfOneVersionAreCounted) {
  auto first = std::make_optional(Take(5));
  const Snapshot second = Take(5);
  first.reset();
  EXPECT_TRUE(registry_->IsPinned(Version(5)));
}

TEST_F(SnapshotRegistryTest, AJobKeepsThePinsBelowItsWatermark) {
  const Snapshot a = Take(9);
  const Snapshot b = Take(3);
  const Snapshot c = Take(7);
  EXPECT_EQ(Look(8).watermark, Version(8));
  EXPECT_EQ(Look(8).pinned, (std::vector<Version>{Version(3), Version(7)}));
  EXPECT_TRUE(Look(3).pinned.empty());
}

TEST_F(SnapshotRegistryTest, TheOldestPinIsKnownWithItsAge) {
  EXPECT_FALSE(registry_->oldest().has_value());
  const Snapshot a = Take(9, 100);
  auto b = std::make_optional(Take(3, 200));
  const Snapshot c = Take(3, 300);
  EXPECT_EQ(registry_->oldest()->version, Version(3));
  EXPECT_EQ(registry_->oldest()->since_ms, 200u);
}

TEST_F(SnapshotRegistryTest, APinMayOutliveItsOwner) {
  auto pin = std::make_optional(Take(5));
  registry_.reset();
  pin.reset();
}

}  // namespace
}  // namespace bedrock::engine
