#include "storaged/embedded/commit_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bedrock/db.h"
#include "common/env/memory_file_system.h"
#include "common/env/posix_clock.h"
#include "common/env/thread_executor.h"
#include "database_fixture.h"

namespace bedrock::embedded {
namespace {

/// Files whose syncs wait while the gate is shut.
class GatedFileSystem final : public FileSystem {
 public:
  void Shut() {
    const std::lock_guard lock(mutex_);
    shut_ = true;
  }
  void Open() {
    {
      const std::lock_guard lock(mutex_);
      shut_ = false;
    }
    opened_.notify_all();
  }
  /// Returns once somebody waits at the gate.
  void AwaitSomebody() {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [&] { return waiting_ > 0; });
  }

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    auto file = files_.Open(path, mode);
    if (!file.ok()) return file;
    return std::unique_ptr<File>(std::make_unique<GatedFile>(
        std::move(file).value(), path.ends_with(".log") ? this : nullptr));
  }
  Status CreateDirectories(const std::string& path) override {
    return files_.CreateDirectories(path);
  }
  Result<std::vector<std::string>> List(const std::string& path) override {
    return files_.List(path);
  }
  Status SyncDirectory(const std::string& path) override { return files_.SyncDirectory(path); }
  Status Rename(const std::string& from, const std::string& to) override {
    return files_.Rename(from, to);
  }
  Status Link(const std::string& from, const std::string& to) override {
    return files_.Link(from, to);
  }
  Status Remove(const std::string& path) override { return files_.Remove(path); }
  Status RemoveDirectory(const std::string& path) override { return files_.RemoveDirectory(path); }
  Result<bool> Exists(const std::string& path) override { return files_.Exists(path); }
  Result<std::uint64_t> FileSize(const std::string& path) override { return files_.FileSize(path); }
  Result<std::uint64_t> FreeSpace(const std::string& path) override {
    return files_.FreeSpace(path);
  }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    return files_.Lock(path);
  }

 private:
  class GatedFile final : public File {
   public:
    GatedFile(std::unique_ptr<File> file, GatedFileSystem* gate)
        : file_(std::move(file)), gate_(gate) {}
    Result<std::size_t> ReadAt(std::uint64_t offset, std::size_t n, char* out) const override {
      return file_->ReadAt(offset, n, out);
    }
    Status WriteAt(std::uint64_t offset, std::string_view data) override {
      return file_->WriteAt(offset, data);
    }
    Status Sync() override {
      if (gate_ != nullptr) gate_->Pass();
      return file_->Sync();
    }
    Status Truncate(std::uint64_t size) override { return file_->Truncate(size); }
    Result<std::uint64_t> Size() const override { return file_->Size(); }

   private:
    const std::unique_ptr<File> file_;
    GatedFileSystem* const gate_;
  };

  void Pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    came_.notify_all();
    opened_.wait(lock, [&] { return !shut_; });
    --waiting_;
  }

  MemoryFileSystem files_;
  std::mutex mutex_;
  std::condition_variable opened_;
  std::condition_variable came_;
  bool shut_ = false;
  int waiting_ = 0;
};

/// A pipeline over the real engine and log.
class CommitPipelineTest : public testing::Test {
 protected:
  CommitPipelineTest() {
    engine::EngineOptions settings;
    settings.directory = "db";
    engine_ = engine::Engine::Open(environment_, settings).value();
    log_ = engine::wal::Log::Open(environment_, {.directory = "db", .database_id = 1}, Version(),
                                  [](Version, std::string_view) { return Status(); })
               .value();
    pipeline_ = std::make_unique<CommitPipeline>(CommitPipeline::Parts{.engine = *engine_,
                                                                       .log = *log_,
                                                                       .waiter = waiter_,
                                                                       .clock = clock_,
                                                                       .on_failure = nullptr},
                                                 History(0, 0, Version(), Version()));
  }

  Result<Version> Put(std::string_view key, Sync sync) {
    return pipeline_->CommitOne({Change::Kind::kPut, key, "value"}, sync);
  }
  std::future<Result<Version>> PutLater(std::string key, Sync sync) {
    return std::async(std::launch::async,
                      [this, key = std::move(key), sync] { return Put(key, sync); });
  }
  /// Returns once so many writers wait behind the one that leads.
  void AwaitQueue(std::size_t writers) {
    while (pipeline_->waiting() != writers) std::this_thread::yield();
  }
  bool IsVisible(std::string_view key) {
    PinnedValue value;
    return engine_->Get(key, {}, &value).ok();
  }

  GatedFileSystem files_;
  PosixClock clock_;
  ThreadExecutor executor_{1};
  Environment environment_{.file_system = &files_, .clock = &clock_, .executor = &executor_};
  Waiter waiter_{executor_};
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<engine::wal::Log> log_;
  std::unique_ptr<CommitPipeline> pipeline_;
};

TEST_F(CommitPipelineTest, WritersThatComeDuringASyncShareTheNextOne) {
  ASSERT_TRUE(Put("first", Sync::kYes).ok());  // the file is there
  const std::uint64_t before = log_->stats().syncs;
  files_.Shut();
  auto leader = PutLater("leader", Sync::kYes);
  files_.AwaitSomebody();
  std::vector<std::future<Result<Version>>> followers;
  for (int i = 0; i < 15; ++i) followers.push_back(PutLater(std::to_string(i), Sync::kYes));
  AwaitQueue(15);
  files_.Open();
  EXPECT_TRUE(leader.get().ok());
  std::set<Version> versions;
  for (auto& follower : followers) versions.insert(follower.get().value());
  EXPECT_EQ(versions.size(), 15u);
  EXPECT_EQ(log_->stats().syncs - before, 2u);
  for (int i = 0; i < 15; ++i) EXPECT_TRUE(IsVisible(std::to_string(i)));
}

TEST_F(CommitPipelineTest, NobodySeesWhatIsToBeDurableBeforeItIsNorWhatComesAfterIt) {
  ASSERT_TRUE(Put("first", Sync::kYes).ok());
  files_.Shut();
  auto durable = PutLater("durable", Sync::kYes);
  files_.AwaitSomebody();
  auto behind = PutLater("behind", Sync::kNo);
  AwaitQueue(1);
  EXPECT_FALSE(IsVisible("durable"));
  EXPECT_FALSE(IsVisible("behind"));
  EXPECT_EQ(engine_->newest(), Version(1));
  files_.Open();
  EXPECT_EQ(durable.get().value(), Version(2));
  EXPECT_EQ(behind.get().value(), Version(3));
  EXPECT_TRUE(IsVisible("durable"));
  EXPECT_TRUE(IsVisible("behind"));
}

TEST_F(CommitPipelineTest, WithoutSyncsNothingIsSynced) {
  ASSERT_TRUE(Put("first", Sync::kYes).ok());
  const std::uint64_t before = log_->stats().syncs;
  files_.Shut();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Put(std::to_string(i), Sync::kNo).ok());
  EXPECT_EQ(log_->stats().syncs, before);
  files_.Open();
}

TEST_F(CommitPipelineTest, TasksRunBetweenCommits) {
  ASSERT_TRUE(Put("first", Sync::kYes).ok());
  files_.Shut();
  auto leader = PutLater("leader", Sync::kYes);
  files_.AwaitSomebody();
  Version seen;
  auto task = std::async(std::launch::async, [&] {
    return pipeline_->RunAsOwner([&] { seen = log_->last_version(); });
  });
  AwaitQueue(1);
  files_.Open();
  EXPECT_TRUE(task.get().ok());
  EXPECT_EQ(seen, Version(2));
  EXPECT_TRUE(leader.get().ok());
}

class Verdict final : public Certifier {
 public:
  explicit Verdict(std::string key) : key_(std::move(key)) {}
  Status Certify(const Commits& commits) override {
    pending_ = commits.pending.Touch(key_);
    return pending_ ? Status::Conflict("pending") : Status();
  }
  bool pending() const { return pending_; }

 private:
  const std::string key_;
  bool pending_ = false;
};

TEST_F(CommitPipelineTest, ACertifierSeesTheEarlierCommitsOfItsGroup) {
  ASSERT_TRUE(Put("first", Sync::kYes).ok());
  files_.Shut();
  auto leader = PutLater("leader", Sync::kYes);
  files_.AwaitSomebody();
  auto earlier = PutLater("k", Sync::kYes);
  AwaitQueue(1);
  WriteBatch batch;
  batch.Put("x", "1");
  Verdict touched("k");
  Verdict untouched("other");
  auto refused = std::async(std::launch::async,
                            [&] { return pipeline_->Commit(batch, 2, Sync::kYes, &touched); });
  AwaitQueue(2);
  auto made = std::async(std::launch::async,
                         [&] { return pipeline_->Commit(batch, 2, Sync::kYes, &untouched); });
  AwaitQueue(3);
  files_.Open();
  EXPECT_TRUE(leader.get().ok());
  EXPECT_EQ(earlier.get().value(), Version(3));
  EXPECT_TRUE(refused.get().status().IsConflict());
  EXPECT_EQ(made.get().value(), Version(4));  // a refused one takes no version
}

TEST_F(CommitPipelineTest, AfterCloseCommitsAreAborted) {
  ASSERT_TRUE(Put("a", Sync::kNo).ok());
  EXPECT_TRUE(pipeline_->Close().ok());
  EXPECT_TRUE(Put("b", Sync::kNo).status().IsAborted());
  EXPECT_TRUE(Put("b", Sync::kYes).status().IsAborted());
  EXPECT_TRUE(pipeline_->StartFlush().IsAborted());
  EXPECT_EQ(log_->durable_version(), Version(1));
}

// Many writers of both kinds at once: each commit has a version of its own, without gaps, each
// thread's in its order, and each is visible when its call returns.
TEST_F(CommitPipelineTest, ManyWritersGetContiguousVersions) {
  constexpr int kThreads = 8;
  constexpr int kCommits = 300;
  std::vector<std::vector<Version>> versions(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kCommits; ++i) {
        const std::string key = std::to_string(t) + "/" + std::to_string(i);
        const Result<Version> version = Put(key, (t + i) % 3 == 0 ? Sync::kYes : Sync::kNo);
        ASSERT_TRUE(version.ok());
        ASSERT_TRUE(IsVisible(key));
        versions[static_cast<std::size_t>(t)].push_back(*version);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<Version> all;
  for (const auto& own : versions) {
    EXPECT_TRUE(std::is_sorted(own.begin(), own.end()));
    all.insert(own.begin(), own.end());
  }
  EXPECT_EQ(all.size(), static_cast<std::size_t>(kThreads * kCommits));
  EXPECT_EQ(*all.begin(), Version(1));
  EXPECT_EQ(*all.rbegin(), Version(kThreads * kCommits));
  EXPECT_EQ(pipeline_->counters().commits, static_cast<std::uint64_t>(kThreads * kCommits));
}

// Writers, readers, flushes and snapshots at once over a small memory, for the thread sanitizer;
// and readers see versions that only rise.
TEST(DatabaseThreadsTest, EverythingAtOnce) {
  TemporaryFolder folder;
  Options options;
  options.memtable_bytes = 64 << 10;
  options.memory_budget = 1 << 20;
  const auto db = DB::Open(folder.Path("db"), options).value();
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      Random random(t);
      for (int i = 0; i < 1500; ++i) {
        const std::string key = std::to_string(random.Below(200));
        const WriteOptions write{.sync = i % 100 == 0 ? Sync::kYes : Sync::kNo};
        if (i % 50 == 7) {
          ASSERT_TRUE(db->DeleteRange(key, key + "5", write).ok());
        } else {
          ASSERT_TRUE(db->Put(key, std::string(random.Below(400), 'v'), write).ok());
        }
      }
    });
  }
  std::vector<std::thread> readers;
  readers.emplace_back([&] {
    Version newest;
    while (!stop) {
      PinnedValue value;
      const Status status = db->Get("7", &value);
      ASSERT_TRUE(status.ok() || status.IsNotFound());
      const Snapshot snapshot = db->GetSnapshot();
      ASSERT_GE(snapshot.version(), newest);
      newest = snapshot.version();
      const Content once = ReadAll(*db, {.snapshot = &snapshot});
      ASSERT_EQ(ReadAll(*db, {.snapshot = &snapshot}), once);
    }
  });
  readers.emplace_back([&] {
    while (!stop) {
      ASSERT_TRUE(db->Flush().ok());
      (void)db->Stats();
      (void)db->ApproximateSize({});
    }
  });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  for (std::thread& thread : readers) thread.join();
  EXPECT_TRUE(db->CompactRange().ok());
  EXPECT_TRUE(db->Verify().ok());
}

}  // namespace
}  // namespace bedrock::embedded
