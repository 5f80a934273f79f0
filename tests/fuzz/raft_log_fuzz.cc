#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/codec/coding.h"
#include "common/codec/crc32c.h"
#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"
#include "common/record/record_format.h"
#include "raftd/log/raft_log.h"
#include "raftd/log/segment_format.h"

namespace bedrock::raft {
namespace {

constexpr ClusterId kCluster(7);
constexpr NodeId kNode(1);

std::string_view TakePart(std::string_view& input, std::size_t bytes) {
  const std::string_view part = input.substr(0, bytes);
  input.remove_prefix(part.size());
  return part;
}

/// Bytes as they are, or wrapped in valid checksums, so that what they claim is believed.
class DiskBuilder {
 public:
  explicit DiskBuilder(std::string_view input) : input_(input) {}

  void Build(MemoryFileSystem& files) {
    CHECK(files.CreateDirectories("raft/log").ok());
    const unsigned shape = Byte();
    Put(files, "raft/vote", shape & 1 ? std::string(TakePart(input_, 8192)) : VoteFile());
    const std::uint64_t segments = 1 + (shape >> 1 & 3);
    for (std::uint64_t n = 1; n <= segments; ++n) {
      const std::string path = "raft/log/" + SegmentFileName(n + (shape >> 3 & 1), kSegmentSuffix);
      Put(files, path,
          shape & 16 ? std::string(TakePart(input_, 8192)) : Segment(n + (shape >> 3 & 1)));
    }
  }

 private:
  unsigned Byte() {
    if (input_.empty()) return 0;
    return static_cast<unsigned char>(TakePart(input_, 1)[0]);
  }
  /// Mostly small, so that numbers meet.
  std::uint64_t Number() {
    const unsigned byte = Byte();
    if (byte < 240) return byte & 31;
    std::uint64_t number = 0;
    for (int i = 0; i < 8; ++i) number = number << 8 | Byte();
    return number;
  }
  std::string VoteFile() {
    std::string both;
    for (std::uint64_t slot = 0; slot < 2; ++slot) {
      VoteSlot content;
      content.cluster = kCluster;
      content.node = kNode;
      content.seq = slot;
      content.vote = {Term(Number()), NodeId(Number())};
      content.segment = Number();
      content.segment_prev_index = LogIndex(Number());
      content.proved_index = LogIndex(Number());
      content.mark = LogIndex(Number());
      content.lost_term = Term(Number());
      both += EncodeVoteSlot(content);
    }
    return both;
  }
  std::string Segment(std::uint64_t number) {
    SegmentHeader header;
    header.cluster = kCluster;
    header.node = kNode;
    header.segment = number;
    header.bytes = kSegmentBytesMin * 2;
    header.prev_index = LogIndex(Number());
    header.prev_term = Term(Number());
    header.prev_end = Number() * kPageBytes;
    header.prev_seq = number == 1 ? 0 : seq_ + (Number() == 1 ? 1 : 0);
    header.vote = {Term(Number()), NodeId(Number())};
    header.commit_hint = LogIndex(Number());
    header.mark = LogIndex(Number());
    header.chain = chain_;
    std::string content = EncodeSegmentHeader(header);
    for (unsigned batches = Byte() & 7; batches > 0; --batches) AppendBatch(content, number);
    if (Byte() & 1) content.resize(header.bytes, '\0');
    const std::uint64_t flips = Byte() & 3;
    for (std::uint64_t i = 0; i < flips; ++i)
      content[(Number() * 977 + 4096) % content.size()] ^= 1;
    return content;
  }
  void AppendBatch(std::string& content, std::uint64_t number) {
    std::string batch;
    for (unsigned records = Byte() & 7; records > 0; --records) {
      const std::string payload(TakePart(input_, Byte() & 15));
      record::AppendRecord(batch, {.type = static_cast<std::uint8_t>(1 + Byte() % 7),
                                   .stream = number,
                                   .ordinal = Number(),
                                   .aux = Number(),
                                   .payload = payload});
    }
    const BatchEnd end{.seq = ++seq_ + (Byte() == 1 ? Number() : 0),
                       .bytes = batch.size(),
                       .synced = {Number(), Number() * kPageBytes},
                       .crc = Crc32c(batch)};
    const std::string payload = EncodeBatchEnd(end, chain_);
    chain_ = ChainOf(payload, chain_);
    record::AppendRecord(batch, {.type = static_cast<std::uint8_t>(RecordType::kEnd),
                                 .stream = number,
                                 .ordinal = Number(),
                                 .aux = Number(),
                                 .payload = payload});
    batch.resize(PageAligned(batch.size()), '\0');
    content += batch;
  }
  static void Put(MemoryFileSystem& files, const std::string& path, const std::string& content) {
    auto file = files.Open(path, FileSystem::OpenMode::kCreate);
    CHECK(file.ok() && (*file)->WriteAt(0, content).ok());
  }

  std::string_view input_;
  std::uint64_t seq_ = 0;
  std::uint32_t chain_ = 0;
};

/// What Open accepts can be used: read, appended to, opened again with the same result.
void Use(const Environment& environment, const LogOptions& options) {
  auto opened = RaftLog::Open(environment, options, Membership());
  if (!opened.ok()) return;
  const Recovered found = (*opened)->recovered();
  CHECK(found.prev_index <= found.last_index);
  CHECK(found.terms.empty() == (found.prev_index == found.last_index));
  for (LogIndex i = found.prev_index.Next(); i <= found.last_index; i = i.Next()) {
    const auto entries = (*opened)->Read(i, found.last_index, 100);
    CHECK(entries.ok() ? !entries->empty() : entries.status().IsCorruption());
  }
  const auto& damaged = found.health.damaged;
  const LogIndex next = damaged ? damaged->first : found.last_index.Next();
  if (next < kIndexMax && found.vote.term.value() < UINT64_MAX / 2) {
    Write write;
    write.seq = WriteSeq(1);
    write.vote = Vote{.term = found.vote.term.Next(), .candidate = NodeId(1)};
    if (damaged) write.cut_from = next;
    Entry entry;
    entry.index = next;
    entry.term = write.vote->term;
    write.entries.push_back(entry);
    CHECK((*opened)->Submit(write).ok());
    CHECK((*opened)->Sync().ok());
    CHECK((*opened)->SyncIdle().ok());
    CHECK((*opened)->Compact(next).ok());
    opened->reset();
    opened = RaftLog::Open(environment, options, Membership());
    CHECK_MSG(opened.ok(), opened.status().ToString());
    CHECK((*opened)->recovered().last_index == next);
    CHECK((*opened)->recovered().vote == *write.vote);
    CHECK(!(*opened)->recovered().health.damaged);
  }
}

void Run(std::string_view input) {
  MemoryFileSystem files;
  ManualClock clock;
  ManualExecutor executor;
  DiskBuilder(input).Build(files);
  LogOptions options;
  options.directory = "raft";
  options.cluster = kCluster;
  options.node = kNode;
  options.segment_bytes = kSegmentBytesMin;
  Use({&files, &clock, &executor}, options);
}

}  // namespace
}  // namespace bedrock::raft

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bedrock::raft::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
