// What a Sync of the Raft log costs: entries of 150 bytes, so many a Sync, in the working folder's
// disk. WithoutDisk drops the writes and shows the log's own share. Items are entries.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "common/base/check.h"
#include "common/env/posix_clock.h"
#include "common/env/posix_file_system.h"
#include "common/env/random.h"
#include "common/env/thread_executor.h"
#include "raftd/log/raft_log.h"

namespace bedrock::raft {
namespace {

constexpr std::size_t kEntryBytes = 150;
constexpr std::uint64_t kKeptEntries = 200'000;

/// Takes writes and forgets them: what is left is the log's own work.
class NullFile final : public File {
 public:
  explicit NullFile(std::unique_ptr<File> below) : below_(std::move(below)) {}
  Result<std::size_t> ReadAt(std::uint64_t offset, std::size_t n, char* out) const override {
    return below_->ReadAt(offset, n, out);
  }
  Status WriteAt(std::uint64_t, std::string_view data) override {
    benchmark::DoNotOptimize(data.data());
    return Status::Ok();
  }
  Status Sync() override { return Status::Ok(); }
  Status Truncate(std::uint64_t size) override { return below_->Truncate(size); }
  Result<std::uint64_t> Size() const override { return below_->Size(); }

 private:
  std::unique_ptr<File> below_;
};

/// POSIX, but that segments are not written once they are in use.
class NullFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    auto file = posix_.Open(path, mode);
    if (!file.ok() || !path.ends_with(".seg")) return file;
    return std::unique_ptr<File>(std::make_unique<NullFile>(std::move(file).value()));
  }
  Status CreateDirectories(const std::string& p) override { return posix_.CreateDirectories(p); }
  Result<std::vector<std::string>> List(const std::string& d) override { return posix_.List(d); }
  Status SyncDirectory(const std::string& d) override { return posix_.SyncDirectory(d); }
  Status Rename(const std::string& a, const std::string& b) override { return posix_.Rename(a, b); }
  Status Link(const std::string& a, const std::string& b) override { return posix_.Link(a, b); }
  Status Remove(const std::string& p) override { return posix_.Remove(p); }
  Status RemoveDirectory(const std::string& p) override { return posix_.RemoveDirectory(p); }
  Result<bool> Exists(const std::string& p) override { return posix_.Exists(p); }
  Result<std::uint64_t> FileSize(const std::string& p) override { return posix_.FileSize(p); }
  Result<std::uint64_t> FreeSpace(const std::string& p) override { return posix_.FreeSpace(p); }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& p) override { return posix_.Lock(p); }

 private:
  PosixFileSystem posix_;
};

/// Appends and syncs, `entries` at a time, and compacts as a node does.
class Appender {
 public:
  Appender(RaftLog& log, std::uint64_t entries) : log_(log), entries_(entries) {
    Write vote;
    vote.seq = Next();
    vote.vote = Vote{.term = Term(1), .candidate = NodeId(1)};
    CHECK(log_.Submit(vote).ok() && log_.Sync().ok());
  }

  void Append() {
    Write write;
    write.seq = Next();
    for (std::uint64_t i = 0; i < entries_; ++i) {
      write.entries.push_back({.index = LogIndex(++last_),
                               .term = Term(1),
                               .kind = EntryKind::kCommand,
                               .time_ms = last_,
                               .payload = payload_});
    }
    write.commit_hint = LogIndex(last_ - entries_);
    CHECK(log_.Submit(write).ok());
    CHECK(log_.Sync().ok());
    if (last_ > kKeptEntries && last_ % (kKeptEntries / 4) < entries_)
      CHECK(log_.Compact(LogIndex(last_ - kKeptEntries)).ok());
  }

 private:
  WriteSeq Next() { return seq_ = seq_.Next(); }

  RaftLog& log_;
  const std::uint64_t entries_;
  const Bytes payload_ = Bytes(std::string(kEntryBytes, 'e'));
  WriteSeq seq_;
  std::uint64_t last_ = 0;
};

void Run(benchmark::State& state, FileSystem& files) {
  const std::string directory = "raft_log_bench." + std::to_string(SystemEntropy());
  {
    PosixClock clock;
    ThreadExecutor executor(1);
    LogOptions options;
    options.directory = directory;
    options.cluster = ClusterId(1);
    options.node = NodeId(1);
    auto log = RaftLog::Open({&files, &clock, &executor}, options, Membership());
    CHECK(log.ok());
    const auto entries = static_cast<std::uint64_t>(state.range(0));
    Appender appender(**log, entries);
    for (auto _ : state) appender.Append();
    state.SetItemsProcessed(state.iterations() * state.range(0));
  }
  std::filesystem::remove_all(directory);
}

void BM_Sync(benchmark::State& state) {
  PosixFileSystem files;
  Run(state, files);
}

void BM_SyncWithoutDisk(benchmark::State& state) {
  NullFileSystem files;
  Run(state, files);
}

/// The floor: overwriting one page of a zero-filled file and syncing it.
void BM_Fdatasync(benchmark::State& state) {
  PosixFileSystem files;
  const std::string path = "raft_log_bench." + std::to_string(SystemEntropy());
  {
    auto file = files.Open(path, FileSystem::OpenMode::kCreate);
    const auto bytes = static_cast<std::size_t>(state.range(0)) * (kEntryBytes + 50) / 4096 * 4096;
    const std::string page(bytes + 4096, 'p');
    constexpr std::uint64_t kFileBytes = 64 * kMiB;
    const std::string zeroes(kFileBytes, '\0');
    CHECK(file.ok() && (*file)->WriteAt(0, zeroes).ok() && (*file)->Sync().ok());
    std::uint64_t at = 0;
    for (auto _ : state) {
      CHECK((*file)->WriteAt(at, page).ok());
      CHECK((*file)->Sync().ok());
      at = at + 2 * page.size() < kFileBytes ? at + page.size() : 0;
    }
  }
  CHECK(files.Remove(path).ok());
}

BENCHMARK(BM_Fdatasync)->Arg(1)->Arg(16)->Arg(64)->Arg(256)->UseRealTime();
BENCHMARK(BM_Sync)->Arg(1)->Arg(16)->Arg(64)->Arg(256)->UseRealTime();
BENCHMARK(BM_SyncWithoutDisk)->Arg(1)->Arg(16)->Arg(64)->Arg(256)->UseRealTime();

}  // namespace
}  // namespace bedrock::raft

BENCHMARK_MAIN();
