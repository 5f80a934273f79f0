#include "routerd/core/base/slot_table.h"

#include <gtest/gtest.h>

#include <string>

namespace bedrock::router {
namespace {

TEST(SlotTableTest, FindsWhatWasInserted) {
  SlotTable<std::string> table;
  const SlotHandle a = table.Insert("a");
  const SlotHandle b = table.Insert("b");
  EXPECT_EQ(*table.Find(a), "a");
  EXPECT_EQ(*table.Find(b), "b");
  EXPECT_EQ(table.size(), 2U);
}

TEST(SlotTableTest, AStaleHandleFindsNothingThoughItsSlotIsUsedAgain) {
  SlotTable<std::string> table;
  const SlotHandle old = table.Insert("old");
  table.Erase(old);
  EXPECT_EQ(table.Find(old), nullptr);
  const SlotHandle fresh = table.Insert("new");
  EXPECT_EQ(fresh.slot, old.slot);
  EXPECT_EQ(table.Find(old), nullptr);
  EXPECT_EQ(*table.Find(fresh), "new");
}

TEST(SlotTableTest, AHandleSurvivesPacking) {
  SlotTable<int> table;
  table.Insert(1);
  const SlotHandle handle = table.Insert(2);
  EXPECT_NE(handle.Pack(), 0U);
  EXPECT_EQ(SlotHandle::Unpack(handle.Pack()), handle);
}

TEST(SlotTableTest, VisitsEveryRecordThatIsLeft) {
  SlotTable<int> table;
  table.Insert(1);
  table.Erase(table.Insert(2));
  table.Insert(4);
  int sum = 0;
  table.ForEach([&](SlotHandle, int value) { sum += value; });
  EXPECT_EQ(sum, 5);
}

}  // namespace
}  // namespace bedrock::router
