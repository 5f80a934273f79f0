#include "raftd/server/promise_file.h"

#include <gtest/gtest.h>

#include <string>

#include "common/env/memory_file_system.h"
#include "common/env/random.h"

namespace bedrock::raft {
namespace {

class PromiseFileTest : public testing::Test {
 protected:
  PromiseFileTest() { EXPECT_TRUE(files_.CreateDirectories("raft").ok()); }

  std::uint64_t Start(std::uint64_t own_ms) {
    const Result<std::uint64_t> earlier = KeepPromise(files_, "raft/promise", own_ms);
    EXPECT_TRUE(earlier.ok()) << earlier.status().ToString();
    return earlier.value_or(UINT64_MAX);
  }
  void PowerCut() {
    Random random(1);
    files_.Crash(random, MemoryFileSystem::CrashMode::kLoseUnsynced);
  }

  MemoryFileSystem files_;
};

TEST_F(PromiseFileTest, ANodeThatNeverHadLeasesPromisedNothing) {
  EXPECT_EQ(Start(0), 0U);
  EXPECT_EQ(Start(0), 0U);
  EXPECT_FALSE(*files_.Exists("raft/promise"));
}

TEST_F(PromiseFileTest, APromiseOutlivesThePowerAndTheOption) {
  EXPECT_EQ(Start(500), 0U);
  PowerCut();
  EXPECT_EQ(Start(0), 500U);
  EXPECT_EQ(Start(0), 500U);
}

TEST_F(PromiseFileTest, ItNeverFalls) {
  Start(2000);
  EXPECT_EQ(Start(500), 2000U);
  EXPECT_EQ(Start(500), 2000U);
  EXPECT_EQ(Start(3000), 2000U);
  EXPECT_EQ(Start(0), 3000U);
}

TEST_F(PromiseFileTest, WhatCannotBeReadIsTakenForTheLongest) {
  for (const std::string content :
       {"", "x\n", "500", "500\nx", "0\n", "-1\n", "99999999999999999999\n",
        "12345678901234567890123456789012345"}) {
    ASSERT_TRUE(ReplaceFile(files_, "raft/promise", content).ok());
    EXPECT_EQ(Start(500), kPromiseMsMax) << content;
  }
}

TEST_F(PromiseFileTest, WhereItCannotBeKeptItSaysSo) {
  files_.Inject({.operations = {MemoryFileSystem::Operation::kSync},
                 .path_suffix = "",
                 .nth = 1,
                 .forever = MemoryFileSystem::Forever::kNo,
                 .error = StatusCode::kIoError});
  EXPECT_FALSE(KeepPromise(files_, "raft/promise", 500).ok());
}

}  // namespace
}  // namespace bedrock::raft
