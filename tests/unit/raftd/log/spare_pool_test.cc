#include "raftd/log/spare_pool.h"

#include "common/env/thread_executor.h"
#include "tests/unit/raftd/log/log_fixture.h"

namespace bedrock::raft {
namespace {

using CrashMode = MemoryFileSystem::CrashMode;

class SparePoolTest : public LogFixture {
 protected:
  void SetUp() override { ASSERT_TRUE(files().CreateDirectories("raft/log").ok()); }
  std::shared_ptr<SparePool> Pool(std::uint32_t spares, Executor* executor = nullptr) {
    Environment env = environment();
    if (executor != nullptr) env.executor = executor;
    auto pool = std::make_shared<SparePool>(SparePool::Options{.environment = env,
                                                               .directory = "raft/log",
                                                               .segment_bytes = kSmallSegment,
                                                               .spares = spares});
    EXPECT_TRUE(pool->Load(*files().List("raft/log")).ok());
    return pool;
  }
  std::string Made(const std::string& name, std::uint64_t bytes) {
    const std::string path = "raft/log/" + name;
    auto file = files().Open(path, FileSystem::OpenMode::kCreate);
    EXPECT_TRUE((*file)->WriteAt(0, std::string(bytes, 'x')).ok());
    return path;
  }
};

TEST_F(SparePoolTest, KeepsAsManyReadyAsAsked) {
  const auto pool = Pool(3);
  pool->TopUp();
  executor_.RunAll();
  EXPECT_EQ(Names(kSpareSuffix).size(), 3U);
  EXPECT_EQ(pool->SizeOnDisk(), 3 * kSmallSegment);
  EXPECT_EQ(Content("raft/log/" + Names(kSpareSuffix)[0]), std::string(kSmallSegment, '\0'));
  ASSERT_TRUE(pool->Take());
  pool->TopUp();
  executor_.RunAll();
  EXPECT_EQ(Names(kSpareSuffix).size(), 4U) << "the one taken is the log's to rename";
}

TEST_F(SparePoolTest, SparesSurviveAPowerCutWhole) {
  auto pool = Pool(1);
  pool->TopUp();
  executor_.RunAll();
  Crash(CrashMode::kLoseUnsynced);
  pool = Pool(1);
  const auto spare = pool->Take();
  ASSERT_TRUE(spare);
  EXPECT_EQ(*files().FileSize(*spare), kSmallSegment);
}

TEST_F(SparePoolTest, LoadRemovesUnfinishedAndWronglySizedOnes) {
  Made("0000000000000001.tmp", 100);
  Made("0000000000000002.spare", kSmallSegment - 1);
  Made("0000000000000003.spare", kSmallSegment);
  Made("unrelated", 1);
  const auto pool = Pool(1);
  EXPECT_EQ(*files().List("raft/log"),
            (std::vector<std::string>{"0000000000000003.spare", "unrelated"}));
}

TEST_F(SparePoolTest, RecyclesAFewAndRemovesTheRestOldestFirst) {
  const auto pool = Pool(1);
  for (std::uint64_t n = 1; n <= 6; ++n)
    pool->Retire(Made(SegmentFileName(n, kSegmentSuffix), kSmallSegment), kSmallSegment);
  EXPECT_EQ(pool->SizeOnDisk(), 6 * kSmallSegment);
  for (std::uint64_t left = 6; left > 0; --left) {
    const auto names = Names(kSegmentSuffix);
    ASSERT_EQ(names.size(), left);
    EXPECT_EQ(names.front(), SegmentFileName(7 - left, kSegmentSuffix));
    ASSERT_TRUE(executor_.RunOne());
  }
  EXPECT_EQ(Names(kSpareSuffix).size(), 3U);
  EXPECT_EQ(pool->SizeOnDisk(), 3 * kSmallSegment);
}

TEST_F(SparePoolTest, ARemovalThatFailsIsTriedAgainBeforeTheNext) {
  const auto pool = Pool(0);
  for (std::uint64_t n = 1; n <= 4; ++n)
    pool->Retire(Made(SegmentFileName(n, kSegmentSuffix), 8), 8);
  files().Inject({.operations = {MemoryFileSystem::Operation::kSyncDirectory}, .path_suffix = ""});
  executor_.RunAll();
  EXPECT_EQ(Names(kSegmentSuffix).size(), 3U) << "no further while the first may come back";
  clock_.AdvanceMs(1000);
  pool->TopUp();
  executor_.RunAll();
  EXPECT_TRUE(Names(kSegmentSuffix).empty());
}

TEST_F(SparePoolTest, NothingRunsAfterClose) {
  const auto pool = Pool(1);
  pool->TopUp();
  pool->Close();
  executor_.RunAll();
  EXPECT_TRUE(Names(kSpareSuffix).empty());
}

TEST_F(SparePoolTest, WorksWithRealThreads) {
  ThreadExecutor threads(2);
  for (int life = 0; life < 20; ++life) {
    LogOptions options = SmallOptions();
    options.spare_segments = 2;
    auto opened = RaftLog::Open({&files(), &clock_, &threads}, options, ThreeVoters());
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    log_ = std::move(opened).value();
    writes_.Restart();
    std::uint64_t last = log_->recovered().last_index.value();
    for (int i = 0; i < 20; ++i, ++last)
      SubmitAndSync(writes_.Vote(1, 2).Add(last + 1, last + 1, 1, 3000));
    ASSERT_TRUE(log_->Compact(LogIndex(last - 5)).ok());
    log_.reset();
  }
}

}  // namespace
}  // namespace bedrock::raft
