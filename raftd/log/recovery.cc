#include "raftd/log/recovery.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/base/status_macros.h"
#include "common/codec/coding.h"
#include "common/record/record_reader.h"
#include "raftd/log/vote_file.h"

namespace bedrock::raft {
namespace {

constexpr std::string_view kReplaceNode =
    "; this node must not start: wipe its data and add it again under a new id";

Status Contradiction(std::uint64_t segment, std::uint64_t offset, std::string_view what) {
  return Status::Corruption("segment " + SegmentFileName(segment, kSegmentSuffix) + " at offset " +
                            std::to_string(offset) + " contradicts what stands before it: " +
                            std::string(what) + std::string(kReplaceNode));
}

/// Applies headers and batches in order and keeps the range that damage has put in doubt.
///
/// Damage may hide a CUT. So everything above the last commit hint before it is suspect, up to the
/// first index that is known to have been written after it ("open" until that is known).
class Replay {
 public:
  explicit Replay(RecoveredSegments& out) : out_(out) {}

  Status Begin(const SegmentHeader& header) {
    out_.index = EntryIndex(header.prev_index, header.prev_term);
    out_.reset_membership_index = header.membership_index;
    return TakeHeader(header);
  }

  Status Continue(const SegmentHeader& header) {
    if (open_) {
      RETURN_IF_ERROR(AlignTo(header.prev_index, header.prev_term));
    } else if (out_.index.last_index() != header.prev_index ||
               out_.index.last_term() != header.prev_term) {
      return Contradicts("another last entry");
    }
    return TakeHeader(header);
  }

  void At(Position position) { at_ = position; }

  /// `bytes` of batches can't be read.
  void Damage(std::uint64_t bytes) {
    const LogIndex trusted = std::min(
        std::max({out_.commit_hint, out_.mark, out_.index.prev_index()}), out_.index.last_index());
    suspect_first_ =
        open_ || out_.damaged ? std::min(suspect_first_, trusted.Next()) : trusted.Next();
    TakeCut(suspect_first_);
    out_.damaged.reset();
    out_.any_damage = true;
    out_.damaged_segments.insert(at_.segment);
    out_.vote_proved = false;
    open_ = true;
    damaged_bytes_ += bytes;
  }

  Status Apply(std::string_view segment, const Batch& batch) {
    record::RecordReader reader(segment.substr(batch.start), batch.start, at_.segment);
    while (true) {
      at_.offset = reader.offset();
      if (reader.Next() != record::Finding::kRecord) return Contradicts("a batch changed");
      const record::Record& record = reader.record();
      const bool is_vote = record.type == static_cast<std::uint8_t>(RecordType::kVote);
      if (!is_vote && LogIndex(record.ordinal) > kIndexMax)
        return Contradicts("an index that is too high");
      if (record.type == static_cast<std::uint8_t>(RecordType::kEnd)) break;
      RETURN_IF_ERROR(ApplyRecord(record));
    }
    if (open_) return AlignTo(batch.last_index, batch.last_term);
    if (out_.index.last_index() != batch.last_index || out_.index.last_term() != batch.last_term)
      return Contradicts("another last entry");
    return Status::Ok();
  }

  void Finish() {
    if (open_) Suspect(out_.index.last_index());
    DropMemberships(out_.index.last_index().Next());
  }

 private:
  Status ApplyRecord(const record::Record& record) {
    switch (static_cast<RecordType>(record.type)) {
      case RecordType::kEntry:
        return ApplyEntry(record);
      case RecordType::kVote:
        return TakeVote({Term(record.aux), NodeId(record.ordinal)});
      case RecordType::kCut:
        return ApplyCut(LogIndex(record.ordinal), Term(record.aux));
      case RecordType::kMark:
        out_.mark = std::max(out_.mark, LogIndex(record.ordinal));
        if (record.payload.empty()) return Status::Ok();
        if (record.payload.size() < sizeof(std::uint64_t))
          return Contradicts("a mark is too short");
        out_.reset_membership.emplace(LoadFixed<std::uint64_t>(record.payload.data()),
                                      record.payload.substr(sizeof(std::uint64_t)));
        return Status::Ok();
      case RecordType::kHint:
        out_.commit_hint = std::max(out_.commit_hint, LogIndex(record.ordinal));
        return Status::Ok();
      case RecordType::kEnd:
        break;
    }
    return Contradicts("a record of an unknown type");
  }

  Status ApplyEntry(const record::Record& record) {
    const LogIndex index(record.ordinal);
    const Term term(record.aux);
    EntryIndex& log = out_.index;
    if (record.payload.size() < kEntryPrefixBytes) return Contradicts("an entry is too short");
    if (open_) {
      // Whatever the damage hid, this entry stands right behind what was there before it.
      if (index <= log.prev_index()) return Contradicts("an entry that was dropped before");
      if (index > log.last_index().Next()) {
        RETURN_IF_ERROR(FillMissing(index.Prev(), log.last_term()));
      } else {
        log.Cut(index, log.TermAt(index.Prev()));
      }
      RETURN_IF_ERROR(LowerTerms(term));
      Close(index);
    }
    if (index != log.last_index().Next()) return Contradicts("an entry's index");
    if (term < log.last_term()) return Contradicts("an entry's term");
    // What stood here and behind it before was cut, whether that is told or hidden by damage.
    DropMemberships(index);
    if (LoadFixed<std::uint8_t>(record.payload.data() + 8) ==
        static_cast<std::uint8_t>(EntryKind::kMembership)) {
      out_.memberships.emplace_back(index, record.payload.substr(kEntryPrefixBytes));
    }
    log.Append(term, {.segment = static_cast<std::uint32_t>(at_.segment),
                      .unit = static_cast<std::uint32_t>(at_.offset / record::kAlignment),
                      .length = static_cast<std::uint32_t>(record.payload.size())});
    return Status::Ok();
  }

  void DropMemberships(LogIndex from) {
    while (!out_.memberships.empty() && out_.memberships.back().first >= from) {
      out_.memberships.pop_back();
    }
  }

  /// Tells the segments up to this one.
  void TakeCut(LogIndex from) {
    for (Segment& segment : out_.segments) {
      if (segment.number <= at_.segment) segment.TakeCut(from);
    }
  }

  Status ApplyCut(LogIndex from, Term term_before) {
    EntryIndex& log = out_.index;
    if (!from) return Contradicts("a cut of everything");
    TakeCut(from);
    if (open_) {
      RETURN_IF_ERROR(AlignTo(from.Prev(), term_before));
      Close(from);
      return Status::Ok();
    }
    if (from > log.last_index().Next()) return Contradicts("a cut behind the end");
    const bool known = from > log.prev_index() && log.TermAt(from.Prev()) == term_before;
    const bool doubtful = out_.damaged && from.Prev() >= out_.damaged->first;
    if (from > log.prev_index() && !known) {
      if (!doubtful) return Contradicts("a cut behind an entry of another term");
      RETURN_IF_ERROR(AlignTo(from.Prev(), term_before));
    }
    log.Cut(from, term_before);
    if (out_.damaged) Suspect(std::min(from.Prev(), out_.damaged->last));
    return Status::Ok();
  }

  /// The log ends with this entry, as somebody who knew wrote: what differs was changed by what the
  /// damage hid.
  Status AlignTo(LogIndex last, Term term) {
    EntryIndex& log = out_.index;
    if (last <= log.prev_index() && (last < log.prev_index() || term != log.prev_term())) {
      log.Cut(last.Next(), term);
      return Status::Ok();
    }
    if (last <= log.last_index()) {
      log.Cut(last.Next(), log.TermAt(last));
      if (log.last_term() == term) return Status::Ok();
      log.Cut(last, log.TermAt(last.Prev()));
    }
    return FillMissing(last, term);
  }

  /// Entries up to `last` were in the damaged bytes. Only the last one's term is known.
  Status FillMissing(LogIndex last, Term last_term) {
    EntryIndex& log = out_.index;
    RETURN_IF_ERROR(LowerTerms(last_term));
    // Each missing entry took bytes; the one replaced in place by a hidden cut is the exception.
    if (last - log.last_index() > damaged_bytes_ / kEntryRecordBytesMin + 1)
      return Contradicts("more entries are missing than the damaged bytes can have held");
    const Location missing{.segment = static_cast<std::uint32_t>(at_.segment)};
    while (log.last_index() < last.Prev()) log.Append(log.last_term(), missing);
    log.Append(last_term, missing);
    return Status::Ok();
  }

  /// What follows has `term`, so what stands above it was cut by something the damage hid.
  Status LowerTerms(Term term) {
    EntryIndex& log = out_.index;
    if (term >= log.last_term()) return Status::Ok();
    if (term < log.prev_term() || log.LowerTerms(term) < suspect_first_)
      return Contradicts("a term goes back");
    return Status::Ok();
  }

  void Close(LogIndex next_written) {
    Suspect(next_written.Prev());
    open_ = false;
  }

  void Suspect(LogIndex last) {
    out_.damaged.reset();
    if (suspect_first_ <= last) out_.damaged = IndexRange{suspect_first_, last};
  }

  Status TakeHeader(const SegmentHeader& header) {
    out_.commit_hint = std::max(out_.commit_hint, header.commit_hint);
    out_.mark = std::max(out_.mark, header.mark);
    return TakeVote(header.vote);
  }

  Status TakeVote(const Vote& vote) {
    const auto newer = NewerVote(out_.vote, vote);
    if (!newer) return Contradicts("two votes in one term");
    out_.vote = *newer;
    out_.vote_proved = true;
    return Status::Ok();
  }

  Status Contradicts(std::string_view what) const {
    return Contradiction(at_.segment, at_.offset, what);
  }

  RecoveredSegments& out_;
  Position at_;
  bool open_ = false;
  LogIndex suspect_first_;
  std::uint64_t damaged_bytes_ = 0;
};

class Recovery {
 public:
  Recovery(FileSystem& file_system, const std::string& directory)
      : file_system_(file_system), directory_(directory) {}

  Status ReadHeaders(const std::vector<std::uint64_t>& numbers, ClusterId cluster, NodeId node) {
    // From the newest back to a gap (in front of it stand leftovers of a compaction, if that turns
    // out to explain it) or to a reset, which makes an end of everything before.
    for (std::size_t i = numbers.size(); i-- > 0;) {
      auto header = ReadHeader(numbers[i], cluster, node);
      if (!header.ok()) {
        return std::move(header).status().Prefixed(
            "segment " + JoinPath(directory_, SegmentFileName(numbers[i], kSegmentSuffix)));
      }
      headers_.push_back(*header);
      out_.segments.push_back(
          {.number = numbers[i], .bytes = header->bytes, .prev_index = header->prev_index});
      if (i == 0 || (!header->resets() && numbers[i - 1] + 1 == numbers[i])) continue;
      out_.obsolete.assign(numbers.begin(), numbers.begin() + static_cast<std::ptrdiff_t>(i));
      break;
    }
    std::reverse(headers_.begin(), headers_.end());
    std::reverse(out_.segments.begin(), out_.segments.end());
    return Status::Ok();
  }

  Status ReadAll() {
    out_.chain = {headers_.front().prev_seq, headers_.front().chain};
    RETURN_IF_ERROR(replay_.Begin(headers_.front()));
    for (std::size_t i = 0; i < headers_.size(); ++i) {
      const bool last = i + 1 == headers_.size();
      replay_.At({headers_[i].segment, 0});
      if (i > 0) RETURN_IF_ERROR(replay_.Continue(headers_[i]));
      RETURN_IF_ERROR(ReadSegment(headers_[i].segment));
      SegmentScan scan = ScanSegment(content_, headers_[i].segment, out_.chain);
      RETURN_IF_ERROR(last ? ApplyLast(scan) : ApplyClosed(scan, headers_[i + 1]));
    }
    replay_.Finish();
    return Status::Ok();
  }

  RecoveredSegments Take() { return std::move(out_); }

 private:
  Result<SegmentHeader> ReadHeader(std::uint64_t number, ClusterId cluster, NodeId node) {
    ASSIGN_OR_RETURN(auto file, Open(number));
    std::string page(kPageBytes, '\0');
    ASSIGN_OR_RETURN(const std::size_t n, file->ReadAt(0, page.size(), page.data()));
    page.resize(n);
    auto header = DecodeSegmentHeader(page);
    if (!header.ok()) {
      return Status::Corruption(std::string(header.status().message()) + std::string(kReplaceNode));
    }
    if (header->cluster != cluster) {
      return Status::Corruption("it belongs to cluster " + FormatClusterId(header->cluster) +
                                ", this node to " + FormatClusterId(cluster) +
                                ": point the node at its own data");
    }
    if (header->node != node) {
      return Status::Corruption("it belongs to node " + FormatNodeId(header->node) + ", this is " +
                                FormatNodeId(node) + ": point the node at its own data");
    }
    if (header->segment != number || number > UINT32_MAX || header->bytes < kSegmentBytesMin ||
        header->bytes > kSegmentBytesMax || header->bytes % kPageBytes != 0) {
      return Status::Corruption("the header doesn't fit the file" + std::string(kReplaceNode));
    }
    return header;
  }

  Result<std::unique_ptr<File>> Open(std::uint64_t number) {
    return file_system_.Open(JoinPath(directory_, SegmentFileName(number, kSegmentSuffix)),
                             FileSystem::OpenMode::kRead);
  }

  /// Fills content_.
  Status ReadSegment(std::uint64_t number) {
    ASSIGN_OR_RETURN(auto file, Open(number));
    ASSIGN_OR_RETURN(std::uint64_t size, file->Size());
    const std::uint64_t bytes = out_.segments[number - out_.segments.front().number].bytes;
    size = std::min(size, bytes);
    out_.truncated = size < bytes;
    content_.resize(size);
    ASSIGN_OR_RETURN(const std::size_t n, file->ReadAt(0, size, content_.data()));
    if (n != size) {
      return Status::IoError("segment " + SegmentFileName(number, kSegmentSuffix) + ": read " +
                             std::to_string(n) + " of " + std::to_string(size) + " bytes");
    }
    return Status::Ok();
  }

  /// A segment that has a successor: all of it, up to where that one says, was durable.
  Status ApplyClosed(const SegmentScan& scan, const SegmentHeader& next) {
    RETURN_IF_ERROR(ApplyBatches(scan.batches));
    if (scan.end > next.prev_end)
      return Contradiction(next.segment, 0, "the segment before is longer than it says");
    if (scan.end < next.prev_end) {
      replay_.Damage(next.prev_end - scan.end);
    } else if (scan.chain.seq != next.prev_seq || scan.chain.value != next.chain) {
      return Contradiction(next.segment, 0, "it continues another chain of batches");
    }
    out_.chain = {next.prev_seq, next.chain};
    return Status::Ok();
  }

  Status ApplyLast(SegmentScan& scan) {
    const std::uint64_t number = headers_.back().segment;
    std::uint64_t proved = kPageBytes + headers_.back().reset_bytes;
    for (const Batch& batch : scan.batches) {
      if (batch.tail.synced.segment == number && batch.tail.synced.offset <= batch.start)
        proved = std::max(proved, batch.tail.synced.offset);
    }
    const auto cut = std::find_if(scan.batches.begin(), scan.batches.end(), [&](const Batch& b) {
      return b.gap_start < b.start && b.start > proved;
    });
    out_.proved = proved;
    out_.torn = scan.remains || cut != scan.batches.end();
    std::uint64_t damaged_end = 0;
    if (cut != scan.batches.end()) {
      // Bad bytes that were never proved, with whole batches behind them: an unordered cache wrote
      // those and lost these. Nobody was told of either.
      damaged_end = cut->gap_start < proved ? proved : 0;
      scan.batches.erase(cut, scan.batches.end());
    }
    RETURN_IF_ERROR(ApplyBatches(scan.batches));
    out_.tail = scan.batches.empty() ? kPageBytes : scan.batches.back().end;
    if (!scan.batches.empty()) {
      out_.chain = {scan.batches.back().tail.seq, scan.batches.back().tail.chain};
    }
    if (out_.tail < proved) {
      damaged_end = std::max(damaged_end, proved);
      out_.truncated = true;
    }
    if (damaged_end > 0) {
      replay_.Damage(damaged_end - out_.tail);
      out_.chain.seq += (damaged_end - out_.tail) / kPageBytes;
      out_.tail = damaged_end;
    }
    return Status::Ok();
  }

  Status ApplyBatches(const std::vector<Batch>& batches) {
    for (const Batch& batch : batches) {
      if (batch.gap_start < batch.start) replay_.Damage(batch.start - batch.gap_start);
      RETURN_IF_ERROR(replay_.Apply(content_, batch));
    }
    return Status::Ok();
  }

  FileSystem& file_system_;
  const std::string& directory_;
  std::vector<SegmentHeader> headers_;
  std::string content_;
  RecoveredSegments out_;
  Replay replay_{out_};
};

}  // namespace

Result<RecoveredSegments> RecoverSegments(FileSystem& file_system, const std::string& directory,
                                          const std::vector<std::uint64_t>& numbers,
                                          ClusterId cluster, NodeId node) {
  Recovery recovery(file_system, directory);
  RETURN_IF_ERROR(recovery.ReadHeaders(numbers, cluster, node));
  RETURN_IF_ERROR(recovery.ReadAll());
  return recovery.Take();
}

}  // namespace bedrock::raft
