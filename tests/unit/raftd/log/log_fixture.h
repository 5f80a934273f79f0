#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/env/environment.h"
#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "raftd/log/raft_log.h"
#include "raftd/log/segment_format.h"

namespace bedrock::raft {

inline constexpr ClusterId kCluster(0xC0FFEE);
inline constexpr NodeId kNode(2);
inline constexpr std::uint64_t kSmallSegment = 6 * kPageBytes;

inline LogOptions SmallOptions(const std::string& directory = "raft") {
  LogOptions options;
  options.directory = directory;
  options.cluster = kCluster;
  options.node = kNode;
  options.segment_bytes = kSmallSegment;
  return options;
}

inline Membership ThreeVoters() {
  return {.voters = {NodeId(1), NodeId(2), NodeId(3)}, .outgoing = {}, .learners = {}};
}

/// An entry whose content says where it was written.
inline Entry MakeEntry(std::uint64_t index, std::uint64_t term, std::size_t padding = 0) {
  Entry entry;
  entry.index = LogIndex(index);
  entry.term = Term(term);
  entry.kind = index % 5 == 0 ? EntryKind::kNoop : EntryKind::kCommand;
  entry.time_ms = 1000 * term + index;
  entry.payload = Bytes::Copy("entry " + std::to_string(index) + " of term " +
                              std::to_string(term) + std::string(padding, 'x'));
  return entry;
}

inline Vote MakeVote(std::uint64_t term, std::uint64_t candidate) {
  return {.term = Term(term), .candidate = NodeId(candidate)};
}

/// Builds writes with ascending numbers.
class Writes {
 public:
  Writes& Vote(std::uint64_t term, std::uint64_t candidate) {
    write_.vote = MakeVote(term, candidate);
    return *this;
  }
  Writes& Cut(std::uint64_t from) {
    write_.cut_from = LogIndex(from);
    return *this;
  }
  Writes& Add(std::uint64_t first, std::uint64_t last, std::uint64_t term,
              std::size_t padding = 0) {
    for (std::uint64_t i = first; i <= last; ++i)
      write_.entries.push_back(MakeEntry(i, term, padding));
    return *this;
  }
  Writes& Commit(std::uint64_t index) {
    write_.commit_hint = LogIndex(index);
    return *this;
  }
  Write Take() {
    write_.seq = WriteSeq(++seq_);
    return std::exchange(write_, Write());
  }
  void Restart() { seq_ = 0; }

 private:
  Write write_;
  std::uint64_t seq_ = 0;
};

/// A log on a disk in memory, and what it needs.
class LogFixture : public ::testing::Test {
 protected:
  Environment environment() { return {&files(), &clock_, &executor_}; }
  MemoryFileSystem& files() { return *files_; }

  Result<std::unique_ptr<RaftLog>> TryOpen(const LogOptions& options = SmallOptions()) {
    log_.reset();
    executor_.Clear();
    writes_.Restart();
    return RaftLog::Open(environment(), options, ThreeVoters());
  }
  void Open(const LogOptions& options = SmallOptions()) {
    auto opened = TryOpen(options);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    log_ = std::move(opened).value();
  }
  void SubmitAndSync(const Write& write) {
    ASSERT_TRUE(log_->Submit(write).ok());
    const auto synced = log_->Sync();
    ASSERT_TRUE(synced.ok()) << synced.status().ToString();
    ASSERT_EQ(*synced, write.seq);
  }
  void SubmitAndSync(Writes& writes) { SubmitAndSync(writes.Take()); }
  void Crash(MemoryFileSystem::CrashMode mode, std::uint64_t seed = 1) {
    Random random(seed);
    files().Crash(random, mode);
  }

  /// The entries that can be read, one after the other.
  std::vector<Entry> ReadAll() {
    const Recovered& found = log_->recovered();
    if (found.last_index == found.prev_index) return {};
    auto entries = log_->Read(found.prev_index.Next(), found.last_index, std::size_t{1} << 30);
    EXPECT_TRUE(entries.ok()) << entries.status().ToString();
    return entries.ok() ? *entries : std::vector<Entry>();
  }
  static std::vector<Entry> Entries(std::uint64_t first, std::uint64_t last, std::uint64_t term,
                                    std::size_t padding = 0) {
    std::vector<Entry> entries;
    for (std::uint64_t i = first; i <= last; ++i) entries.push_back(MakeEntry(i, term, padding));
    return entries;
  }
  static std::string SegmentPath(std::uint64_t number) {
    return "raft/log/" + SegmentFileName(number, kSegmentSuffix);
  }
  std::vector<std::string> Names(std::string_view suffix) {
    std::vector<std::string> found;
    auto names = files().List("raft/log");
    for (const std::string& name : *names) {
      if (name.ends_with(suffix)) found.push_back(name);
    }
    return found;
  }
  std::string Content(const std::string& path) {
    auto content = ReadFile(files(), path, kSegmentBytesMax);
    EXPECT_TRUE(content.ok()) << content.status().ToString();
    return content.ok() ? *content : std::string();
  }
  /// Turns over one bit of each byte in [from, to): nothing there can be read any more.
  void Damage(const std::string& path, std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t at = from; at < to; ++at)
      ASSERT_TRUE(files().FlipBit(path, 8 * at + at % 8).ok());
  }

  std::unique_ptr<MemoryFileSystem> files_ = std::make_unique<MemoryFileSystem>();
  ManualClock clock_;
  ManualExecutor executor_;
  Writes writes_;
  std::unique_ptr<RaftLog> log_;
};

}  // namespace bedrock::raft
