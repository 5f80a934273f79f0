#include "storaged/engine/read/read_cell.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace bedrock::engine {
namespace {

/// Counts those that live.
struct Value {
  Value(int n, std::atomic<int>& count) : number(n), check(~n), alive(count) { ++alive; }
  ~Value() {
    number = check = 0;  // seen by whoever reads it too late
    --alive;
  }
  Value(const Value&) = delete;
  Value& operator=(const Value&) = delete;

  int number;
  int check;
  std::atomic<int>& alive;
};

class ReadCellTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Value> New(int number) {
    return std::make_shared<const Value>(number, alive_);
  }

  std::atomic<int> alive_{0};
};

TEST_F(ReadCellTest, FreesAReplacedValueAtOnceWhereNobodyReadsIt) {
  ReadCell<Value> cell(New(1));
  cell.Replace(New(2));
  EXPECT_EQ(alive_, 1);
  EXPECT_EQ(ReadCell<Value>::Read(cell)->number, 2);
}

TEST_F(ReadCellTest, KeepsAValueUntilItsLastReadEnds) {
  ReadCell<Value> cell(New(1));
  {
    std::optional<ReadCell<Value>::Read> first(cell);
    const ReadCell<Value>::Read second(cell);
    cell.Replace(New(2));
    EXPECT_EQ((*first)->number, 1);
    EXPECT_EQ(second->number, 1);
    EXPECT_EQ(ReadCell<Value>::Read(cell)->number, 2);
    EXPECT_EQ(alive_, 2);
    first.reset();
    EXPECT_EQ(second->number, 1);
    EXPECT_EQ(alive_, 2);
  }
  EXPECT_EQ(alive_, 1);
}

TEST_F(ReadCellTest, AReferenceOutlivesTheReadAndTheCell) {
  std::shared_ptr<const Value> held;
  {
    ReadCell<Value> cell(New(1));
    held = ReadCell<Value>::Read(cell).Hold();
    cell.Replace(New(2));
    EXPECT_EQ(cell.Get()->number, 2);
  }
  EXPECT_EQ(held->number, 1);
  EXPECT_EQ(alive_, 1);
}

TEST_F(ReadCellTest, ServesMoreReadsAtOnceThanItHasSlots) {
  ReadCell<Value> cell(New(0));
  std::vector<std::unique_ptr<ReadCell<Value>::Read>> reads;
  for (int i = 0; i < 200; ++i) {
    reads.push_back(std::make_unique<ReadCell<Value>::Read>(cell));
    EXPECT_EQ((*reads.back())->number, i);
    cell.Replace(New(i + 1));
  }
  for (int i = 0; i < 200; ++i) {
    const auto& read = reads[static_cast<std::size_t>(i)];
    EXPECT_EQ((*read)->number, i);
    EXPECT_EQ(read->Hold()->number, i);
  }
  EXPECT_EQ(alive_, 201);
  reads.clear();
  EXPECT_EQ(alive_, 1);
}

TEST_F(ReadCellTest, ReadsSeveralCellsAtOnce) {
  ReadCell<Value> one(New(1));
  ReadCell<Value> two(New(2));
  const ReadCell<Value>::Read of_one(one);
  const ReadCell<Value>::Read of_two(two);
  one.Replace(New(11));
  EXPECT_EQ(of_one->number, 1);
  EXPECT_EQ(of_two->number, 2);
  EXPECT_EQ(alive_, 3);
}

// More threads than slots, in two cells, some of which end while others begin.
TEST_F(ReadCellTest, ReadersNeverSeeAFreedOrAnOlderValueWhileItIsReplaced) {
  constexpr int kThreads = 12;
  constexpr int kGenerations = 8;
  constexpr int kReads = 500;
  ReadCell<Value> cells[2] = {ReadCell<Value>(New(0)), ReadCell<Value>(New(0))};
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::thread writer([&] {
    for (int i = 1; !stop; ++i) cells[i % 2].Replace(New(i));
  });
  const auto read = [&] {
    int last[2] = {0, 0};
    for (int i = 0; i < kReads; ++i) {
      std::shared_ptr<const Value> held;
      for (int c = 0; c < 2; ++c) {
        const ReadCell<Value>::Read outer(cells[c]);
        const ReadCell<Value>::Read inner(cells[1 - c]);
        if (outer->number != ~outer->check || outer->number < last[c]) ++wrong;
        if (inner->number != ~inner->check) ++wrong;
        last[c] = outer->number;
        held = inner.Hold();
      }
      if (held->number != ~held->check) ++wrong;
    }
  };
  for (int generation = 0; generation < kGenerations; ++generation) {
    std::vector<std::thread> readers;
    for (int i = 0; i < kThreads; ++i) readers.emplace_back(read);
    for (std::thread& reader : readers) reader.join();
  }
  stop = true;
  writer.join();
  EXPECT_EQ(wrong, 0);
  for (ReadCell<Value>& cell : cells) cell.Collect();
  EXPECT_EQ(alive_, 2);
}

}  // namespace
}  // namespace bedrock::engine
