#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/env/posix_clock.h"
#include "common/env/posix_file_system.h"
#include "common/env/thread_executor.h"
#include "storaged/engine/wal/log.h"

namespace bedrock::engine::wal {
namespace {

std::string PayloadOf(std::uint64_t version) {
  return "commit " + std::to_string(version) + std::string(version % 300, 'p');
}

class LogPosixTest : public testing::Test {
 protected:
  LogPosixTest() {
    std::string name = testing::TempDir() + "bedrock_wal_XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  ~LogPosixTest() override { std::filesystem::remove_all(directory_); }

  /// Opens with what stands in the folder, checking each commit.
  std::unique_ptr<Log> Open(ThreadExecutor& executor, Version after = Version(),
                            UseMapping mapping = UseMapping::kYes,
                            std::uint64_t segment_bytes = 1 << 20) {
    LogOptions options;
    options.directory = directory_;
    options.database_id = 1;
    options.segment_bytes = segment_bytes;
    options.first_fill_bytes = 64 << 10;
    options.mapping = mapping;
    auto log = Log::Open({&files_, &clock_, &executor}, options, after,
                         [](Version version, std::string_view payload) {
                           EXPECT_EQ(payload, PayloadOf(version.value()));
                           return Status::Ok();
                         });
    EXPECT_TRUE(log.ok()) << log.status().ToString();
    return log.ok() ? std::move(log).value() : nullptr;
  }

  std::string directory_;
  PosixFileSystem files_;
  PosixClock clock_;
};

TEST_F(LogPosixTest, MappedAndWrittenCommitsAreOneLog) {
  std::uint64_t last = 0;
  for (int life = 0; life < 4; ++life) {
    ThreadExecutor executor(1);
    const auto log = Open(executor, Version(), UseMapping(life % 2 == 0));
    ASSERT_EQ(log->last_version(), Version(last));
    for (int i = 0; i < 10'000; ++i) {
      ++last;
      const auto durability = last % 1000 == 0 ? Durability::kDisk : Durability::kProcess;
      ASSERT_TRUE(log->Append(Version(last), PayloadOf(last), durability).ok());
      if (last % 2500 == 0) {
        ASSERT_TRUE(log->Sync(log->position()).ok());
      }
    }
  }
  ThreadExecutor executor(1);
  EXPECT_EQ(Open(executor)->last_version(), Version(last));
}

TEST_F(LogPosixTest, ReleasedSegmentsAreRecycledWithTheirMapping) {
  ThreadExecutor executor(1);
  const auto log = Open(executor);
  for (std::uint64_t v = 1; v <= 50'000; ++v) {
    ASSERT_TRUE(log->Append(Version(v), PayloadOf(v), Durability::kProcess).ok());
    if (v % 1000 == 0) log->ReleaseThrough(Version(v - 500));
  }
  EXPECT_EQ(Open(executor, Version(49'500))->last_version(), Version(50'000));
}

/// A sync of a few bytes in a huge page would write all of it.
TEST_F(LogPosixTest, ASegmentWithHugePagesEndsWithTheFirstSync) {
  ThreadExecutor executor(1);
  auto log = Open(executor, Version(), UseMapping::kYes, 2 * kHugePageBytes);
  ASSERT_TRUE(log->Append(Version(1), PayloadOf(1), Durability::kProcess).ok());
  EXPECT_EQ(log->stats().segments, 1u);
  for (std::uint64_t v = 2; v <= 20; ++v) {
    ASSERT_TRUE(log->Sync(log->position()).ok());
    const auto durability = v % 3 == 0 ? Durability::kProcess : Durability::kDisk;
    ASSERT_TRUE(log->Append(Version(v), PayloadOf(v), durability).ok());
    EXPECT_EQ(log->stats().segments, 2u);
  }
  ASSERT_TRUE(log->Sync(log->position()).ok());
  log.reset();
  EXPECT_EQ(Open(executor)->last_version(), Version(20));
}

TEST_F(LogPosixTest, ALogThatOnlySyncsKeepsItsSegment) {
  ThreadExecutor executor(1);
  const auto log = Open(executor, Version(), UseMapping::kYes, 2 * kHugePageBytes);
  for (std::uint64_t v = 1; v <= 20; ++v) {
    ASSERT_TRUE(log->Append(Version(v), PayloadOf(v), Durability::kDisk).ok());
    ASSERT_TRUE(log->Sync(log->position()).ok());
  }
  EXPECT_EQ(log->stats().segments, 1u);
}

/// Threads store, sync and release at once: spares with huge pages are let go meanwhile.
TEST_F(LogPosixTest, TheFirstSyncComesWhileTheLogIsFilled) {
  for (int round = 0; round < 3; ++round) {
    ThreadExecutor executor(2);
    const Version after(static_cast<std::uint64_t>(round) * 200'000);
    const auto log = Open(executor, after, UseMapping::kYes, kHugePageBytes);
    Mutex commit;
    std::thread syncer([&] {
      while (log->last_version().value() < after.value() + 100'000) std::this_thread::yield();
      for (int i = 0; i < 20; ++i) {
        Position position;
        {
          const MutexLock lock(commit);
          position = log->position();
        }
        EXPECT_TRUE(log->Sync(position).ok());
      }
    });
    for (std::uint64_t v = after.value() + 1; v <= after.value() + 200'000; ++v) {
      const MutexLock lock(commit);
      ASSERT_TRUE(log->Append(Version(v), PayloadOf(v), Durability::kProcess).ok());
      if (v % 5000 == 0) log->ReleaseThrough(Version(v - 2500));
    }
    syncer.join();
  }
  ThreadExecutor executor(1);
  EXPECT_EQ(Open(executor, Version(597'500))->last_version(), Version(600'000));
}

/// What a killed process appended is all there. The child tells how far it came by a pipe, before
/// it is killed in the middle of the next commits.
TEST_F(LogPosixTest, WhatWasAppendedSurvivesAKilledProcess) {
  std::uint64_t last = 0;
  for (int life = 0; life < 5; ++life) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ThreadExecutor executor(1);
      const auto log = Open(executor);
      for (std::uint64_t v = last + 1;; ++v) {
        if (!log->Append(Version(v), PayloadOf(v), Durability::kProcess).ok()) _exit(1);
        if (v % 1000 == 0 && write(ends[1], &v, sizeof(v)) != sizeof(v)) _exit(1);
      }
    }
    std::uint64_t told = 0;
    for (int i = 0; i < 3 + life; ++i)
      ASSERT_EQ(read(ends[0], &told, sizeof(told)), static_cast<ssize_t>(sizeof(told)));
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    close(ends[0]);
    close(ends[1]);
    ThreadExecutor executor(1);
    const auto log = Open(executor);
    ASSERT_NE(log, nullptr);
    EXPECT_GE(log->last_version(), Version(told));
    last = log->last_version().value();
  }
}

TEST_F(LogPosixTest, ThreadsThatShareALogSyncInGroups) {
  constexpr int kThreads = 4;
  constexpr std::uint64_t kCommits = 200;
  ThreadExecutor executor(1);
  const auto log = Open(executor);
  Mutex commit;  // the database's commit lock
  std::uint64_t last = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < kCommits; ++i) {
        const bool disk = (i + static_cast<std::uint64_t>(t)) % 3 != 0;
        Position position;
        {
          const MutexLock lock(commit);
          ++last;
          const auto durability = disk ? Durability::kDisk : Durability::kProcess;
          EXPECT_TRUE(log->Append(Version(last), PayloadOf(last), durability).ok());
          position = log->position();
        }
        if (!disk) continue;
        EXPECT_TRUE(log->Sync(position).ok());
        EXPECT_GE(log->durable_version(), position.version);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(log->last_version(), Version(kThreads * kCommits));
  EXPECT_LE(log->stats().syncs, kThreads * kCommits * 2 / 3 + kThreads);
  EXPECT_EQ(Open(executor)->last_version(), Version(kThreads * kCommits));
}

}  // namespace
}  // namespace bedrock::engine::wal
