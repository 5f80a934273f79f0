#include "raftd/log/segment_scanner.h"

#include "common/codec/coding.h"
#include "common/codec/crc32c.h"
#include "common/record/record_reader.h"

namespace bedrock::raft {
namespace {

/// Cheap: whether the header at `offset` claims to be a record of `stream`.
bool ClaimsRecord(std::string_view segment, std::uint64_t offset, std::uint64_t stream) {
  if (offset > segment.size() || segment.size() - offset < record::kHeaderBytes) return false;
  const char* header = segment.data() + offset;
  return LoadFixed<std::uint16_t>(header + 12) == record::kMagic &&
         LoadFixed<std::uint64_t>(header + 16) == stream;
}

bool HasRecordHeader(std::string_view segment, std::uint64_t from, std::uint64_t stream) {
  for (std::uint64_t at = from; at + record::kHeaderBytes <= segment.size();
       at += record::kAlignment) {
    if (!ClaimsRecord(segment, at, stream)) continue;
    const char* header = segment.data() + at;
    if (LoadFixed<std::uint32_t>(header) == Crc32c({header + 4, record::kHeaderBytes - 4}))
      return true;
  }
  return false;
}

bool Follows(std::string_view segment, const Batch& batch, const Chain& chain) {
  const std::string_view payload =
      segment.substr(batch.start + batch.tail.bytes + record::kHeaderBytes);
  return batch.tail.seq == chain.seq + 1 && ChainOf(payload, chain.value) == batch.tail.chain;
}

/// A batch after bad bytes: those can hide at most one batch a page.
bool CanFollowGap(const Batch& batch, const Chain& chain) {
  const std::uint64_t pages = (batch.start - batch.gap_start) / kPageBytes;
  return batch.tail.seq > chain.seq && batch.tail.seq <= chain.seq + 1 + pages;
}

}  // namespace

std::optional<Batch> ParseBatch(std::string_view segment, std::uint64_t offset,
                                std::uint64_t stream) {
  // Without this glance every page of a long damaged area would be compared with zero to its end.
  if (!ClaimsRecord(segment, offset, stream)) return std::nullopt;
  record::RecordReader reader(segment.substr(offset), offset, stream);
  while (true) {
    const std::uint64_t start = reader.offset();
    if (!ClaimsRecord(segment, start, stream)) return std::nullopt;
    if (reader.Next() != record::Finding::kRecord) return std::nullopt;
    const record::Record& found = reader.record();
    if (found.type > static_cast<std::uint8_t>(RecordType::kEnd)) return std::nullopt;
    if (found.type != static_cast<std::uint8_t>(RecordType::kEnd)) continue;
    const auto tail = DecodeBatchEnd(found.payload);
    if (!tail || tail->bytes != start - offset ||
        tail->crc != Crc32c(segment.substr(offset, tail->bytes))) {
      return std::nullopt;
    }
    return Batch{.start = offset,
                 .end = PageAligned(reader.offset()),
                 .tail = *tail,
                 .last_index = LogIndex(found.ordinal),
                 .last_term = Term(found.aux),
                 .gap_start = offset};
  }
}

SegmentScan ScanSegment(std::string_view segment, std::uint64_t stream, Chain chain) {
  SegmentScan scan;
  scan.end = kPageBytes;
  scan.chain = chain;
  std::uint64_t at = kPageBytes;
  while (at < segment.size()) {
    auto batch = ParseBatch(segment, at, stream);
    if (batch) batch->gap_start = scan.end;
    if (batch && (at == scan.end ? Follows(segment, *batch, scan.chain)
                                 : CanFollowGap(*batch, scan.chain))) {
      scan.batches.push_back(*batch);
      scan.end = at = batch->end;
      scan.chain = {batch->tail.seq, batch->tail.chain};
    } else {
      at += kPageBytes;
    }
  }
  scan.remains = HasRecordHeader(segment, scan.end, stream);
  return scan;
}

}  // namespace bedrock::raft
