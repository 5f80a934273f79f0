// A log whose writer works on a thread of its own is asked for entries while writes wait that make
// an end of them: with the real log, whose Read has them or breaks an invariant.

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"
#include "raftd/log/raft_log.h"
#include "raftd/server/log_writer.h"

namespace bedrock::raft {
namespace {

class LogOrderTest : public testing::Test {
 protected:
  void SetUp() override {
    auto log = RaftLog::Open(
        {.file_system = &disk_, .clock = &clock_, .executor = &background_},
        {.directory = "raft", .cluster = ClusterId(1), .node = NodeId(1), .segment_bytes = 16'384},
        {});
    ASSERT_TRUE(log.ok()) << log.status().ToString();
    log_ = std::move(log).value();
    writer_ = MakeThreadedLogWriter(
        *log_, thread_, [this](std::function<void()> task) { posted_.push_back(std::move(task)); });
    writer_->Start({.on_durable = [this](WriteSeq seq) { durable_ = seq; },
                    .on_idle_done = [] {},
                    .on_room = [](Room) {},
                    .on_failed = [](const Status& status) { FAIL() << status.ToString(); }});
    Submit({.vote = Vote{Term(1), NodeId(1)}, .entries = Entries(1, 20, 1)});
    Finish();
    ASSERT_EQ(durable_, WriteSeq(1));
    // It is about to be done when what the test asks for comes.
    Submit({.entries = Entries(21, 21, 1)});
  }

  static std::vector<Entry> Entries(std::uint64_t first, std::uint64_t last, std::uint64_t term) {
    std::vector<Entry> entries;
    for (std::uint64_t i = first; i <= last; ++i) {
      entries.push_back({.index = LogIndex(i),
                         .term = Term(term),
                         .kind = EntryKind::kCommand,
                         .payload = Bytes::Copy(std::string(1'000, 'a'))});
    }
    return entries;
  }
  void Submit(Write write) {
    write.seq = seq_ = seq_.Next();
    writer_->Submit(std::move(write));
    writer_->Flush();
  }
  void Read(std::uint64_t first, std::uint64_t last) {
    writer_->Read(LogIndex(first), LogIndex(last), 1 << 20,
                  [this](std::vector<Entry> entries) { read_.push_back(std::move(entries)); });
  }
  void Finish() {
    thread_.RunAll();
    for (; !posted_.empty(); posted_.pop_front()) posted_.front()();
  }
  void ExpectRead(std::uint64_t first, std::uint64_t last) {
    ASSERT_EQ(read_.size(), 1U);
    ASSERT_EQ(read_[0].size(), last - first + 1);
    for (const Entry& entry : read_[0]) {
      EXPECT_EQ(entry.index, LogIndex(first++));
      EXPECT_EQ(entry.term, Term(1));
    }
    EXPECT_EQ(durable_, seq_);
  }

  MemoryFileSystem disk_;
  ManualClock clock_;
  ManualExecutor background_;
  ManualExecutor thread_;
  std::unique_ptr<RaftLog> log_;
  std::unique_ptr<LogWriter> writer_;
  std::deque<std::function<void()>> posted_;
  std::vector<std::vector<Entry>> read_;
  WriteSeq seq_;
  WriteSeq durable_;
};

TEST_F(LogOrderTest, EntriesAskedForBeforeACutAreReadAsTheyWere) {
  Read(15, 20);
  Submit(
      {.vote = Vote{Term(2), NodeId(2)}, .cut_from = LogIndex(16), .entries = Entries(16, 17, 2)});
  Finish();
  ExpectRead(15, 20);
}

TEST_F(LogOrderTest, EntriesAskedForBeforeASnapshotTookTheirPlaceAreReadAsTheyWere) {
  Read(1, 20);
  Submit({.reset_to = LogReset{.index = LogIndex(100), .term = Term(1), .membership = {}}});
  Finish();
  ExpectRead(1, 20);
}

TEST_F(LogOrderTest, EntriesAskedForBeforeACompactionAreReadAsTheyWere) {
  Read(1, 5);
  writer_->Compact(LogIndex(18));
  Finish();
  ExpectRead(1, 5);
}

// The other way round what is asked for is what the write brings.
TEST_F(LogOrderTest, EntriesAskedForAfterAResetAreThoseBehindIt) {
  Submit({.reset_to = LogReset{.index = LogIndex(100), .term = Term(1), .membership = {}},
          .entries = Entries(101, 103, 1)});
  Read(101, 103);
  Finish();
  ExpectRead(101, 103);
}

}  // namespace
}  // namespace bedrock::raft
