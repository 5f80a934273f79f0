#include "raftd/log/raft_log.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/coding.h"
#include "common/codec/crc32c.h"
#include "common/record/record_reader.h"
#include "raftd/core/membership.h"
#include "raftd/log/entry_index.h"
#include "raftd/log/membership_history.h"
#include "raftd/log/recovery.h"
#include "raftd/log/scrubber.h"
#include "raftd/log/segment_format.h"
#include "raftd/log/segment_repair.h"
#include "raftd/log/spare_pool.h"
#include "raftd/log/standing.h"
#include "raftd/log/vote_file.h"

namespace bedrock::raft {
namespace {

/// More than this is not gathered into one batch; a single write may be larger.
constexpr std::size_t kBatchBytesMax = 8 * kMiB;
/// HINT, MARK and END, which every batch may be closed with.
constexpr std::size_t kClosingBytes = 2 * record::EncodedSize(0) + record::EncodedSize(40);
/// The end of each segment is kept for the END-only batch of SyncIdle.
constexpr std::uint64_t kIdleReserveBytes = kPageBytes;
/// One ReadAt fetches no more, unless one entry is larger.
constexpr std::uint64_t kReadBytesMax = 1 * kMiB;
/// Entries this near in a file are fetched together: between them stand an END and padding.
constexpr std::uint64_t kReadGapMax = 2 * kPageBytes;
/// What parts of a segment's bytes make Room::kLittle and Room::kNone, where nothing follows it.
constexpr std::uint64_t kLittleRoomPart = 4;
constexpr std::uint64_t kNoRoomPart = 8;
/// No spare in the making has it in its number: those count from 1.
constexpr std::uint64_t kResetNameBit = std::uint64_t{1} << 63U;

struct OpenSegment : Segment {
  std::unique_ptr<File> file;  // opened when first needed
};

std::uint64_t EncodedBytes(const Write& write) {
  std::uint64_t bytes = 0;
  if (write.vote) bytes += record::EncodedSize(0);
  if (write.cut_from) bytes += record::EncodedSize(0);
  for (const Entry& entry : write.entries)
    bytes += record::EncodedSize(kEntryPrefixBytes + entry.payload.size());
  return bytes;
}

/// What a MARK says of the configuration that a reset begins with. A node that waits to be taken in
/// knows of nobody, which has no encoding of its own.
std::string EncodeResetMembership(const MembershipChange& base) {
  std::string out;
  PutFixed(out, base.index.value());
  if (base.membership != Membership()) out += EncodeMembership(base.membership);
  return out;
}

class SegmentedRaftLog final : public RaftLog {
 public:
  SegmentedRaftLog(const Environment& environment, const LogOptions& options,
                   std::unique_ptr<FileLock> lock)
      : files_(*environment.file_system),
        options_(options),
        log_directory_(JoinPath(options.directory, "log")),
        vote_path_(JoinPath(options.directory, "vote")),
        lock_(std::move(lock)),
        memberships_(files_, options_),
        spares_(
            std::make_shared<SparePool>(SparePool::Options{.environment = environment,
                                                           .directory = log_directory_,
                                                           .segment_bytes = options.segment_bytes,
                                                           .spares = options.spare_segments})) {}
  ~SegmentedRaftLog() override { spares_->Close(); }

  /// Recovers what is there, or begins a new log. Called once, first.
  Status Start(const Membership& membership);

  const Recovered& recovered() const override { return recovered_; }
  Status Submit(const Write& write) override;
  Result<WriteSeq> Sync() override;
  Status SyncIdle() override;
  Result<std::vector<Entry>> Read(LogIndex first, LogIndex last, std::size_t bytes_max) override;
  Status Compact(LogIndex index) override;
  Result<Scrubbed> Scrub(std::size_t bytes_max) override;
  Room RoomLeft() override;
  std::uint64_t SizeOnDisk() const override;
  LogIndex LastBeyond(std::uint64_t bytes_max) const override;

 private:
  Status StartNew();
  Status StartFrom(const std::vector<std::uint64_t>& numbers);
  Status CheckVoteFile() const;
  Status GoOnFrom(const RecoveredSegments& found);
  Status Repair(const RecoveredSegments& found);
  Status FillRecovered(bool torn);

  void CheckOrder(const Write& write) const;
  void FinishSubmit(const Write& write);
  void Lose(LogIndex up_to, Term term);
  Status RememberFloor(LogIndex cut_from);
  Status Reset(const Write& write);
  Status RememberLoss(const LogReset& reset);
  void BecomeReset(const Write& write, const std::string& membership);
  Status WriteReset(const std::string& spare, SegmentHeader header);
  Status EnsureRoom(std::uint64_t bytes);
  bool Fits(std::uint64_t bytes) const;
  void Cut(LogIndex from);
  void Append(const Entry& entry);
  void AppendRecord(RecordType type, std::uint64_t ordinal, std::uint64_t aux,
                    std::string_view payload = {});
  Status WriteBatch();
  Status Flush();
  Status RollOver(std::uint64_t bytes);
  Result<std::string> TakeSpare(std::uint64_t bytes);
  SegmentHeader NextHeader(std::uint64_t bytes) const;
  Status WriteVoteFile();
  Status Poison(const Status& status);

  const Segment* NewFirst(LogIndex index) const;
  void RetireFirst();
  Status ReadSpan(LogIndex first, LogIndex last, std::vector<Entry>& out);
  LogIndex SpanEnd(LogIndex first, LogIndex last, std::size_t payload_bytes_max) const;
  Result<std::string> ReadBytes(const Location& location, std::uint64_t bytes);
  Result<File*> FileOf(std::uint64_t number);
  bool Pending(const Location& location) const {
    return location.segment == segments_.back().number && location.offset() >= tail_;
  }
  std::string PathOf(std::uint64_t number) const {
    return JoinPath(log_directory_, SegmentFileName(number, kSegmentSuffix));
  }

  FileSystem& files_;
  const LogOptions options_;
  const std::string log_directory_;
  const std::string vote_path_;
  std::unique_ptr<FileLock> lock_;
  MembershipHistory memberships_;
  std::shared_ptr<SparePool> spares_;
  Recovered recovered_;
  Status poison_;  // the first failure of a write or sync

  // The log, with what was submitted.
  EntryIndex index_;
  Vote vote_;
  LogIndex commit_hint_;
  LogIndex mark_;
  Term mark_term_;
  std::optional<IndexRange> damaged_;
  LogIndex lost_up_to_;  // 0 once the log reached it, or has an entry newer than what was lost
  Term lost_term_;       // no entry that is lost was newer
  WriteSeq submitted_;
  WriteSeq durable_;

  // The files.
  std::deque<OpenSegment> segments_;  // the last one is written
  std::optional<Scrubber> scrubber_;
  std::unique_ptr<VoteFile> vote_file_;
  bool vote_file_stale_ = false;
  std::uint64_t tail_ = kPageBytes;
  Position synced_;
  bool unsynced_ = false;     // bytes before tail_ were written and not synced
  bool needs_proof_ = false;  // no batch behind the last one proves it durable
  Chain chain_;
  LogIndex hint_written_;
  LogIndex mark_written_;

  // The batch that is gathered. Both keep their capacity.
  std::string buffer_;
  std::string scratch_;
};

// ---- Opening

Status SegmentedRaftLog::Start(const Membership& membership) {
  ASSIGN_OR_RETURN(const auto names, files_.List(log_directory_));
  std::vector<std::uint64_t> numbers;
  for (const std::string& name : names) {
    if (const auto number = ParseSegmentFileName(name, kSegmentSuffix)) numbers.push_back(*number);
  }
  ASSIGN_OR_RETURN(const bool voted, files_.Exists(vote_path_));
  if (!voted) {
    if (!numbers.empty()) {
      return Status::Corruption(vote_path_ +
                                " is missing, so this node doesn't know whom it voted for: wipe "
                                "its data and add it again under a new id");
    }
    // First who takes part, so that a log that is there always knows.
    RETURN_IF_ERROR(memberships_.Write({LogIndex(), membership}));
    RETURN_IF_ERROR(VoteFile::Create(files_, vote_path_,
                                     VoteSlot{.cluster = options_.cluster, .node = options_.node}));
  }
  ASSIGN_OR_RETURN(vote_file_, VoteFile::Open(files_, vote_path_));
  RETURN_IF_ERROR(CheckVoteFile());
  RETURN_IF_ERROR(spares_->Load(names));
  bool torn = false;
  RecoveredSegments found;
  if (numbers.empty()) {
    RETURN_IF_ERROR(StartNew());
  } else {
    ASSIGN_OR_RETURN(
        found, RecoverSegments(files_, log_directory_, numbers, options_.cluster, options_.node));
    torn = found.torn;
    RETURN_IF_ERROR(GoOnFrom(found));
    RETURN_IF_ERROR(Repair(found));
  }
  RETURN_IF_ERROR(memberships_.Recover(membership, found));
  RETURN_IF_ERROR(FillRecovered(torn));
  scrubber_.emplace(files_, log_directory_, std::move(found.damaged_segments));
  spares_->TopUp();
  return Status::Ok();
}

Status SegmentedRaftLog::CheckVoteFile() const {
  const VoteSlot& content = vote_file_->content();
  if (content.cluster != options_.cluster || content.node != options_.node) {
    return Status::Corruption(
        vote_path_ + " belongs to node " + FormatNodeId(content.node) + " of cluster " +
        FormatClusterId(content.cluster) + ", this is node " + FormatNodeId(options_.node) +
        " of cluster " + FormatClusterId(options_.cluster) + ": point the node at its own data");
  }
  return Status::Ok();
}

Status SegmentedRaftLog::StartNew() {
  if (vote_file_->content().segment != 0) {
    return Status::Corruption(log_directory_ +
                              " holds no segment any more: the log of this node is gone; wipe its "
                              "data and add it again under a new id");
  }
  vote_ = vote_file_->content().vote;
  return RollOver(options_.segment_bytes);
}

Status SegmentedRaftLog::GoOnFrom(const RecoveredSegments& found) {
  const auto standing = StandingOf(found, vote_file_->content(), SlotLost(vote_file_->slot_lost()));
  if (!standing.ok()) {
    return Status::Corruption(std::string(standing.status().message()) + ", by " + vote_path_ +
                              " and " + log_directory_ +
                              ": wipe this node's data and add it again under a new id");
  }
  index_ = found.index;
  damaged_ = found.damaged;
  vote_ = standing->vote;
  commit_hint_ = hint_written_ = standing->commit_hint;
  mark_ = standing->mark;
  mark_term_ = standing->mark_term;
  mark_written_ = standing->mark_recorded;
  lost_up_to_ = standing->lost_up_to;
  lost_term_ = standing->lost_term;
  return Status::Ok();
}

Status SegmentedRaftLog::Repair(const RecoveredSegments& found) {
  for (const Segment& segment : found.segments) segments_.push_back({segment, nullptr});
  tail_ = found.tail;
  chain_ = found.chain;
  // First the promises, so that no crash while repairing makes this forget a vote or a loss. They
  // may have been read from a cache that a failed sync left behind, so they are written anew.
  RETURN_IF_ERROR(WriteVoteFile());
  RETURN_IF_ERROR(FileOf(segments_.back().number).status());
  File& file = *segments_.back().file;
  if (found.truncated || found.torn) {
    // Of a whole batch at the very end the padding may be gone: the file gets its size back, since
    // it may be a spare one day.
    ASSIGN_OR_RETURN(const std::uint64_t size, file.Size());
    RETURN_IF_ERROR(ZeroBytes(file, std::min(tail_, size), segments_.back().bytes));
  }
  RETURN_IF_ERROR(WriteAgain(file, found.proved, tail_));
  RETURN_IF_ERROR(file.Sync());
  RETURN_IF_ERROR(files_.SyncDirectory(log_directory_));
  synced_ = {segments_.back().number, tail_};
  needs_proof_ = found.proved < tail_;
  for (const std::uint64_t number : found.obsolete) spares_->Retire(PathOf(number), 0);
  if (!found.any_damage) return Status::Ok();
  // Says in the stream where the log really ended, so that the damage is told again at the next
  // start and not taken for a torn tail.
  RETURN_IF_ERROR(EnsureRoom(record::EncodedSize(0)));
  AppendRecord(RecordType::kVote, vote_.candidate.value(), vote_.term.value());
  return Flush();
}

Status SegmentedRaftLog::FillRecovered(bool torn) {
  recovered_.vote = vote_;
  recovered_.membership = memberships_.base().membership;
  recovered_.membership_index = memberships_.base().index;
  recovered_.membership_changes = memberships_.changes();
  recovered_.prev_index = index_.prev_index();
  recovered_.prev_term = index_.prev_term();
  recovered_.last_index = index_.last_index();
  recovered_.terms = index_.terms();
  recovered_.commit_hint = std::min(std::max(commit_hint_, mark_), index_.last_index());
  recovered_.health = {.torn_tail = torn,
                       .damaged = damaged_,
                       .lost_up_to = lost_up_to_,
                       .lost_term = lost_up_to_ ? lost_term_ : Term()};
  for (LogIndex i = index_.last_index(); i > index_.prev_index(); i = i.Prev()) {
    if (index_.At(i).missing()) continue;
    std::vector<Entry> newest;
    RETURN_IF_ERROR(ReadSpan(i, i, newest));
    recovered_.last_time_ms = newest.front().time_ms;
    break;
  }
  return Status::Ok();
}

// ---- Writing

void SegmentedRaftLog::CheckOrder(const Write& write) const {
  CHECK(write.seq > submitted_);
  Vote vote = vote_;
  if (write.vote) {
    const auto newer = NewerVote(vote_, *write.vote);
    CHECK_MSG(newer == write.vote, "a vote was changed or taken back (R1)");
    vote = *write.vote;
  }
  LogIndex last = index_.last_index();
  Term last_term = index_.last_term();
  if (write.reset_to) {
    CHECK(!write.cut_from && write.reset_to->membership.index <= write.reset_to->index);
    CHECK(write.reset_to->index > index_.prev_index());
    last = write.reset_to->index;
    last_term = write.reset_to->term;
    CHECK_MSG(last_term <= vote.term, "a reset's term was not made durable before it (R3)");
  }
  if (write.cut_from) {
    CHECK(*write.cut_from > index_.prev_index() && *write.cut_from <= last.Next());
    last = write.cut_from->Prev();
    last_term = index_.TermAt(last);
  }
  for (const Entry& entry : write.entries) {
    CHECK(entry.index == last.Next() && entry.term >= last_term);
    CHECK_MSG(entry.term <= vote.term, "an entry's term was not made durable before it (R3)");
    CHECK(entry.payload.size() <= kEntryBytesMax);
    last = entry.index;
    last_term = entry.term;
  }
}

Status SegmentedRaftLog::Submit(const Write& write) {
  RETURN_IF_ERROR(poison_);
  CheckOrder(write);
  if (write.reset_to) return Reset(write);
  const std::uint64_t bytes = EncodedBytes(write);
  if (bytes > 0) RETURN_IF_ERROR(EnsureRoom(bytes));
  if (write.cut_from) RETURN_IF_ERROR(RememberFloor(*write.cut_from));
  submitted_ = write.seq;
  if (write.vote) {
    vote_ = *write.vote;
    vote_file_stale_ = true;
    AppendRecord(RecordType::kVote, vote_.candidate.value(), vote_.term.value());
  }
  if (write.cut_from) Cut(*write.cut_from);
  for (const Entry& entry : write.entries) Append(entry);
  FinishSubmit(write);
  return Status::Ok();
}

/// Entries up to `up_to`, of terms up to `term`, are gone.
void SegmentedRaftLog::Lose(LogIndex up_to, Term term) {
  lost_term_ = lost_up_to_ ? std::max(lost_term_, term) : term;
  lost_up_to_ = std::max(lost_up_to_, up_to);
}

void SegmentedRaftLog::FinishSubmit(const Write& write) {
  const bool newer = index_.last_term() > lost_term_;
  if (lost_up_to_ && (newer || index_.last_index() >= lost_up_to_)) {
    lost_up_to_ = LogIndex(0);
    vote_file_stale_ = true;
  }
  commit_hint_ = std::max(commit_hint_, std::min(write.commit_hint, index_.last_index()));
}

/// A leader refills a damaged log by cutting it first. Until it is refilled, the vote file
/// remembers how far it once went: entries up to there may have been acknowledged.
Status SegmentedRaftLog::RememberFloor(LogIndex cut_from) {
  if (!damaged_ || cut_from > damaged_->last) return Status::Ok();
  RETURN_IF_ERROR(Flush());
  if (index_.last_index() > lost_up_to_) Lose(index_.last_index(), index_.last_term());
  return WriteVoteFile();
}

/// A snapshot takes the place of everything (R63). The fresh segment holds the whole write and is
/// synced under another name; the rename makes it the log, at once and whole. A crash before
/// leaves the old log, one after it the new one, and what is left of the old one counts for
/// nothing.
Status SegmentedRaftLog::Reset(const Write& write) {
  const LogReset& reset = *write.reset_to;
  RETURN_IF_ERROR(Flush());
  RETURN_IF_ERROR(RememberLoss(reset));
  const std::string membership = EncodeResetMembership(reset.membership);
  const std::uint64_t records = EncodedBytes(write) + record::EncodedSize(membership.size());
  const std::uint64_t needed =
      kPageBytes + PageAligned(records + kClosingBytes) + kIdleReserveBytes;
  CHECK(needed <= kSegmentBytesMax);
  const std::uint64_t bytes = std::max(options_.segment_bytes, needed);
  ASSIGN_OR_RETURN(const std::string spare, TakeSpare(bytes));
  // From here on the log in memory is the new one: whatever fails poisons it.
  SegmentHeader header = NextHeader(bytes);
  CHECK(header.segment <= UINT32_MAX);
  const std::deque<OpenSegment> old = std::exchange(segments_, {});
  segments_.push_back(
      {{.number = header.segment, .bytes = bytes, .prev_index = reset.index}, nullptr});
  BecomeReset(write, membership);
  header.prev_index = reset.index;
  header.prev_term = reset.term;
  header.vote = vote_;
  header.mark = mark_;
  header.membership_index = reset.membership.index;
  const Status written = WriteReset(spare, header);
  if (!written.ok()) return Poison(written);
  submitted_ = durable_ = write.seq;
  FinishSubmit(write);
  RETURN_IF_ERROR(WriteVoteFile());
  // Twice is better than once. Where there is no room compaction writes it, before the MARK goes.
  const Status remembered = memberships_.Write(reset.membership);
  if (!remembered.ok() && !remembered.IsNoSpace()) return Poison(remembered);
  for (const Segment& segment : old) spares_->Retire(PathOf(segment.number), segment.bytes);
  spares_->TopUp();
  return Status::Ok();
}

/// What was lost, and may have been acknowledged, is not forgotten with the log.
Status SegmentedRaftLog::RememberLoss(const LogReset& reset) {
  const LogIndex before = lost_up_to_;
  if (damaged_ && index_.last_index() > std::max(reset.index, lost_up_to_)) {
    Lose(index_.last_index(), index_.last_term());
  }
  if (reset.lost_up_to > lost_up_to_) Lose(reset.lost_up_to, reset.lost_term);
  return lost_up_to_ == before ? Status::Ok() : WriteVoteFile();
}

/// Fills the first batch of the segment that was begun for a reset.
void SegmentedRaftLog::BecomeReset(const Write& write, const std::string& membership) {
  const LogReset& reset = *write.reset_to;
  tail_ = kPageBytes;
  synced_ = {segments_.back().number, tail_};
  index_ = EntryIndex(reset.index, reset.term);
  memberships_.Reset(reset.membership);
  damaged_.reset();
  mark_ = mark_written_ = std::max(mark_, reset.index);
  mark_term_ = mark_ == reset.index ? reset.term : Term();
  if (write.vote) {
    vote_ = *write.vote;
    AppendRecord(RecordType::kVote, vote_.candidate.value(), vote_.term.value());
  }
  AppendRecord(RecordType::kMark, reset.index.value(), reset.term.value(), membership);
  for (const Entry& added : write.entries) Append(added);
}

/// A spare that holds a batch must never be taken for a spare again: the segment that is made of it
/// may get this number once more, and the leftover would parse. So it stops to be one first.
Status SegmentedRaftLog::WriteReset(const std::string& spare, SegmentHeader header) {
  const std::string path = PathOf(header.segment);
  const std::string draft =
      JoinPath(log_directory_, SegmentFileName(header.segment | kResetNameBit, kTemporarySuffix));
  RETURN_IF_ERROR(files_.Rename(spare, draft));
  RETURN_IF_ERROR(files_.SyncDirectory(log_directory_));
  ASSIGN_OR_RETURN(segments_.back().file, files_.Open(draft, FileSystem::OpenMode::kReadWrite));
  RETURN_IF_ERROR(WriteBatch());
  header.reset_bytes = static_cast<std::uint32_t>(tail_ - kPageBytes);
  RETURN_IF_ERROR(segments_.back().file->WriteAt(0, EncodeSegmentHeader(header)));
  RETURN_IF_ERROR(segments_.back().file->Sync());
  RETURN_IF_ERROR(files_.Rename(draft, path));
  RETURN_IF_ERROR(files_.SyncDirectory(log_directory_));
  ASSIGN_OR_RETURN(segments_.back().file, files_.Open(path, FileSystem::OpenMode::kReadWrite));
  unsynced_ = needs_proof_ = false;  // the header proves the batch
  synced_ = {header.segment, tail_};
  return Status::Ok();
}

Result<WriteSeq> SegmentedRaftLog::Sync() {
  RETURN_IF_ERROR(poison_);
  RETURN_IF_ERROR(Flush());
  spares_->TopUp();
  return durable_;
}

Status SegmentedRaftLog::SyncIdle() {
  RETURN_IF_ERROR(poison_);
  spares_->TopUp();
  if (!needs_proof_ || !buffer_.empty() || unsynced_) return Status::Ok();
  if (tail_ + kPageBytes > segments_.back().bytes) return Status::Ok();
  RETURN_IF_ERROR(WriteBatch());
  RETURN_IF_ERROR(Flush());
  needs_proof_ = false;
  return Status::Ok();
}

bool SegmentedRaftLog::Fits(std::uint64_t bytes) const {
  const std::uint64_t batch = PageAligned(buffer_.size() + bytes + kClosingBytes);
  return tail_ + batch + kIdleReserveBytes <= segments_.back().bytes;
}

/// After it, `bytes` of records fit into the batch that is gathered. no_space leaves the log as it
/// was.
Status SegmentedRaftLog::EnsureRoom(std::uint64_t bytes) {
  if (!buffer_.empty() && buffer_.size() + bytes > kBatchBytesMax) RETURN_IF_ERROR(WriteBatch());
  if (Fits(bytes)) return Status::Ok();
  RETURN_IF_ERROR(Flush());
  if (Fits(bytes)) return Status::Ok();
  const std::uint64_t needed = kPageBytes + PageAligned(bytes + kClosingBytes) + kIdleReserveBytes;
  CHECK(needed <= kSegmentBytesMax);
  return RollOver(std::max(options_.segment_bytes, needed));
}

void SegmentedRaftLog::Cut(LogIndex from) {
  const Term term_before = index_.TermAt(from.Prev());
  AppendRecord(RecordType::kCut, from.value(), term_before.value());
  index_.Cut(from, term_before);
  for (Segment& segment : segments_) segment.TakeCut(from);
  memberships_.Cut(from);
  if (!damaged_) return;
  if (damaged_->first >= from) {
    damaged_.reset();
  } else {
    damaged_->last = std::min(damaged_->last, from.Prev());
  }
}

void SegmentedRaftLog::Append(const Entry& entry) {
  const std::uint64_t offset = tail_ + buffer_.size();
  scratch_.clear();
  PutFixed(scratch_, entry.time_ms);
  PutFixed(scratch_, static_cast<std::uint8_t>(entry.kind));
  scratch_.append(entry.payload.view());
  AppendRecord(RecordType::kEntry, entry.index.value(), entry.term.value(), scratch_);
  index_.Append(entry.term, {.segment = static_cast<std::uint32_t>(segments_.back().number),
                             .unit = static_cast<std::uint32_t>(offset / record::kAlignment),
                             .length = static_cast<std::uint32_t>(scratch_.size())});
  memberships_.Append(entry);
}

void SegmentedRaftLog::AppendRecord(RecordType type, std::uint64_t ordinal, std::uint64_t aux,
                                    std::string_view payload) {
  record::AppendRecord(buffer_, {.type = static_cast<std::uint8_t>(type),
                                 .stream = segments_.back().number,
                                 .ordinal = ordinal,
                                 .aux = aux,
                                 .payload = payload});
}

/// Closes the batch and writes it, unsynced.
Status SegmentedRaftLog::WriteBatch() {
  if (commit_hint_ > hint_written_) AppendRecord(RecordType::kHint, commit_hint_.value(), 0);
  if (mark_ > mark_written_) AppendRecord(RecordType::kMark, mark_.value(), mark_term_.value());
  BatchEnd end{
      .seq = chain_.seq + 1, .bytes = buffer_.size(), .synced = synced_, .crc = Crc32c(buffer_)};
  const std::string payload = EncodeBatchEnd(end, chain_.value);
  AppendRecord(RecordType::kEnd, index_.last_index().value(), index_.last_term().value(), payload);
  buffer_.resize(PageAligned(buffer_.size()), '\0');
  const Status written = segments_.back().file->WriteAt(tail_, buffer_);
  if (!written.ok()) return Poison(written);
  tail_ += buffer_.size();
  chain_ = {end.seq, ChainOf(payload, chain_.value)};
  hint_written_ = commit_hint_;
  mark_written_ = mark_;
  unsynced_ = needs_proof_ = true;
  buffer_.clear();
  if (buffer_.capacity() > 2 * kBatchBytesMax) buffer_.shrink_to_fit();
  return Status::Ok();
}

/// Makes everything submitted durable. The log goes before the vote file: what a torn slot of that
/// one said stands in the log (see TakeVote).
Status SegmentedRaftLog::Flush() {
  if (!buffer_.empty()) RETURN_IF_ERROR(WriteBatch());
  if (unsynced_) {
    const Status synced = segments_.back().file->Sync();
    if (!synced.ok()) return Poison(synced);
    unsynced_ = false;
    synced_ = {segments_.back().number, tail_};
  }
  if (vote_file_stale_) RETURN_IF_ERROR(WriteVoteFile());
  durable_ = submitted_;
  return Status::Ok();
}

Status SegmentedRaftLog::WriteVoteFile() {
  const Status written = vote_file_->Write(
      {.cluster = options_.cluster,
       .node = options_.node,
       .seq = 0,
       .vote = vote_,
       .segment = segments_.empty() ? 0 : segments_.back().number,
       .segment_prev_index = segments_.empty() ? LogIndex() : segments_.back().prev_index,
       .proved_index = std::max(commit_hint_, lost_up_to_),
       .mark = mark_,
       .lost_term = lost_up_to_ ? lost_term_ : Term()});
  if (!written.ok()) return Poison(written);
  vote_file_stale_ = false;
  return Status::Ok();
}

SegmentHeader SegmentedRaftLog::NextHeader(std::uint64_t bytes) const {
  return {.cluster = options_.cluster,
          .node = options_.node,
          .segment = segments_.empty() ? 1 : segments_.back().number + 1,
          .bytes = bytes,
          .prev_index = index_.last_index(),
          .prev_term = index_.last_term(),
          .prev_end = segments_.empty() ? 0 : tail_,
          .prev_seq = chain_.seq,
          .vote = vote_,
          .commit_hint = commit_hint_,
          .mark = mark_,
          .chain = chain_.value};
}

Result<std::string> SegmentedRaftLog::TakeSpare(std::uint64_t bytes) {
  if (bytes == options_.segment_bytes) {
    if (auto ready = spares_->Take()) return std::move(*ready);
  }
  auto made = spares_->Make(bytes);
  if (!made.ok() && !made.status().IsNoSpace()) return Poison(made.status());
  return made;
}

/// Begins the next segment, of `bytes`. Everything before it is durable. no_space, which leaves the
/// log as it was, only where there is no spare and none can be made.
Status SegmentedRaftLog::RollOver(std::uint64_t bytes) {
  CHECK(buffer_.empty() && !unsynced_);
  ASSIGN_OR_RETURN(const std::string spare, TakeSpare(bytes));
  const SegmentHeader header = NextHeader(bytes);
  CHECK(header.segment <= UINT32_MAX);
  auto opened = files_.Open(spare, FileSystem::OpenMode::kReadWrite);
  if (!opened.ok()) return Poison(opened.status());
  std::unique_ptr<File> file = std::move(opened).value();
  // The header is whole on disk before the file gets its name, so a bad header is always damage.
  Status begun = file->WriteAt(0, EncodeSegmentHeader(header));
  if (begun.ok()) begun = file->Sync();
  if (begun.ok()) begun = files_.Rename(spare, PathOf(header.segment));
  if (begun.IsNoSpace()) {
    file.reset();
    (void)files_.Remove(spare);  // best effort: a file that can't hold its header is no reserve
    return begun;
  }
  if (begun.ok()) begun = files_.SyncDirectory(log_directory_);
  if (!begun.ok()) return Poison(begun);
  // Once more under its name, which errors will tell.
  opened = files_.Open(PathOf(header.segment), FileSystem::OpenMode::kReadWrite);
  if (!opened.ok()) return Poison(opened.status());
  segments_.push_back({{.number = header.segment, .bytes = bytes, .prev_index = header.prev_index},
                       std::move(opened).value()});
  tail_ = kPageBytes;
  synced_ = {header.segment, tail_};
  needs_proof_ = false;  // the header proves all before it
  hint_written_ = commit_hint_;
  mark_written_ = mark_;
  RETURN_IF_ERROR(WriteVoteFile());
  spares_->TopUp();
  return Status::Ok();
}

Status SegmentedRaftLog::Poison(const Status& status) {
  if (poison_.ok()) {
    poison_ = status.Prefixed("the Raft log of " + options_.directory +
                              " failed and takes nothing any more");
  }
  return poison_;
}

// ---- Reading and compacting

Result<std::vector<Entry>> SegmentedRaftLog::Read(LogIndex first, LogIndex last,
                                                  std::size_t bytes_max) {
  RETURN_IF_ERROR(poison_);
  CHECK(first > index_.prev_index() && first <= last && last <= index_.last_index());
  if (damaged_ && first < damaged_->first) last = std::min(last, damaged_->first.Prev());
  if (damaged_ && first >= damaged_->first && first <= damaged_->last) {
    return Status::Corruption("log entry " + std::to_string(first.value()) +
                              " is in a damaged range of the Raft log in " + log_directory_);
  }
  std::vector<Entry> entries;
  std::size_t payload_bytes = 0;
  while (first <= last) {
    const std::size_t left = bytes_max - std::min(bytes_max, payload_bytes);
    const std::size_t size = index_.At(first).length - kEntryPrefixBytes;
    if (!entries.empty() && size > left) break;
    const LogIndex end = SpanEnd(first, last, left);
    RETURN_IF_ERROR(ReadSpan(first, end, entries));
    for (LogIndex i = first; i <= end; i = i.Next())
      payload_bytes += index_.At(i).length - kEntryPrefixBytes;
    first = end.Next();
  }
  return entries;
}

/// The last entry that one ReadAt fetches together with `first`.
LogIndex SegmentedRaftLog::SpanEnd(LogIndex first, LogIndex last,
                                   std::size_t payload_bytes_max) const {
  const Location& begin = index_.At(first);
  LogIndex end = first;
  std::uint64_t end_offset = begin.offset() + record::EncodedSize(begin.length);
  std::size_t payload_bytes = begin.length - kEntryPrefixBytes;
  while (end < last) {
    const Location& next = index_.At(end.Next());
    if (next.segment != begin.segment || next.offset() < end_offset ||
        next.offset() - end_offset > kReadGapMax || Pending(next) != Pending(begin)) {
      break;
    }
    payload_bytes += next.length - kEntryPrefixBytes;
    end_offset = next.offset() + record::EncodedSize(next.length);
    if (payload_bytes > payload_bytes_max || end_offset - begin.offset() > kReadBytesMax) break;
    end = end.Next();
  }
  return end;
}

/// Appends entries [first, last], which stand near each other in one segment.
Status SegmentedRaftLog::ReadSpan(LogIndex first, LogIndex last, std::vector<Entry>& out) {
  const Location& begin = index_.At(first);
  const Location& end = index_.At(last);
  ASSIGN_OR_RETURN(auto bytes, ReadBytes(begin, end.offset() - begin.offset() +
                                                    record::EncodedSize(end.length)));
  const auto owner = std::make_shared<const std::string>(std::move(bytes));
  for (LogIndex i = first; i <= last; i = i.Next()) {
    const Location& at = index_.At(i);
    const std::uint64_t skip = std::min<std::uint64_t>(owner->size(), at.offset() - begin.offset());
    record::RecordReader reader(std::string_view(*owner).substr(skip), at.offset(), at.segment);
    const bool whole = reader.Next() == record::Finding::kRecord;
    if (!whole || reader.record().type != static_cast<std::uint8_t>(RecordType::kEntry) ||
        reader.record().ordinal != i.value() || reader.record().payload.size() != at.length) {
      return Status::Corruption("log entry " + std::to_string(i.value()) + " in " +
                                PathOf(at.segment) + " at offset " + std::to_string(at.offset()) +
                                " can't be read back as it was written");
    }
    const std::string_view payload = reader.record().payload;
    out.push_back({.index = i,
                   .term = Term(reader.record().aux),
                   .kind = static_cast<EntryKind>(LoadFixed<std::uint8_t>(payload.data() + 8)),
                   .time_ms = LoadFixed<std::uint64_t>(payload.data()),
                   .payload = Bytes(owner, payload.substr(kEntryPrefixBytes))});
  }
  return Status::Ok();
}

Result<std::string> SegmentedRaftLog::ReadBytes(const Location& location, std::uint64_t bytes) {
  if (Pending(location)) return buffer_.substr(location.offset() - tail_, bytes);
  ASSIGN_OR_RETURN(File * file, FileOf(location.segment));
  std::string content(bytes, '\0');
  ASSIGN_OR_RETURN(const std::size_t n, file->ReadAt(location.offset(), bytes, content.data()));
  content.resize(n);
  return content;
}

Result<File*> SegmentedRaftLog::FileOf(std::uint64_t number) {
  OpenSegment& segment = segments_[number - segments_.front().number];
  if (segment.file == nullptr) {
    const bool written = number == segments_.back().number;
    ASSIGN_OR_RETURN(segment.file,
                     files_.Open(PathOf(number), written ? FileSystem::OpenMode::kReadWrite
                                                         : FileSystem::OpenMode::kRead));
  }
  return segment.file.get();
}

/// The newest segment that may be the first where entries up to `index` aren't needed; none: it is
/// the first already.
const Segment* SegmentedRaftLog::NewFirst(LogIndex index) const {
  const Segment* first = nullptr;
  for (std::size_t i = 1; i < segments_.size(); ++i) {
    if (!segments_[i].prev_stands) continue;
    if (segments_[i].prev_index > index) break;
    first = &segments_[i];
  }
  return first;
}

Status SegmentedRaftLog::Compact(LogIndex index) {
  RETURN_IF_ERROR(poison_);
  index = std::min(index, index_.last_index());
  const Segment* first = NewFirst(index);
  if (first == nullptr) return Status::Ok();
  // A cut that was only submitted must not be lost together with what it cut.
  RETURN_IF_ERROR(Flush());
  const Status remembered = memberships_.Forget(index);
  if (remembered.IsNoSpace()) return Status::Ok();  // another time
  if (!remembered.ok()) return Poison(remembered);
  // The mark is durable before anything goes: a log that begins late without it has lost segments.
  if (index > mark_) {
    mark_ = index;
    mark_term_ = index_.TermAt(index);
  }
  RETURN_IF_ERROR(WriteVoteFile());
  index_.Drop(first->prev_index);
  while (&segments_.front() != first) RetireFirst();
  if (damaged_ && damaged_->first <= index_.prev_index()) {
    damaged_->first = index_.prev_index().Next();
    if (damaged_->first > damaged_->last) damaged_.reset();
  }
  return Status::Ok();
}

/// The first segment goes, after those behind it that must not become the first: then a crash
/// leaves a gap, which the mark explains.
void SegmentedRaftLog::RetireFirst() {
  std::size_t count = 1;
  while (!segments_[count].prev_stands) ++count;
  for (std::size_t i = count; i-- > 0;) {
    spares_->Retire(PathOf(segments_[i].number), segments_[i].bytes);
  }
  segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(count));
}

Result<Scrubbed> SegmentedRaftLog::Scrub(std::size_t bytes_max) {
  RETURN_IF_ERROR(poison_);
  return scrubber_->Step(segments_.front().number, segments_.back().number, bytes_max);
}

Room SegmentedRaftLog::RoomLeft() {
  const std::uint64_t used = tail_ + buffer_.size() + kIdleReserveBytes;
  const std::uint64_t bytes = segments_.back().bytes;
  if (used + bytes / kLittleRoomPart < bytes || !spares_->Lacking()) return Room::kEnough;
  return used + bytes / kNoRoomPart < bytes ? Room::kLittle : Room::kNone;
}

std::uint64_t SegmentedRaftLog::SizeOnDisk() const {
  std::uint64_t bytes = 2 * kPageBytes + spares_->SizeOnDisk();
  for (const Segment& segment : segments_) bytes += segment.bytes;
  return bytes;
}

LogIndex SegmentedRaftLog::LastBeyond(std::uint64_t bytes_max) const {
  std::uint64_t bytes = 0;
  for (auto segment = segments_.rbegin(); segment != segments_.rend(); ++segment) {
    bytes += segment->bytes;
    if (bytes <= bytes_max || segment == segments_.rbegin()) continue;
    const LogIndex last = index_.LastIn(segment->number);
    return last > index_.prev_index() ? last : LogIndex();
  }
  return LogIndex();
}

}  // namespace

Result<std::unique_ptr<RaftLog>> RaftLog::Open(const Environment& environment,
                                               const LogOptions& options,
                                               const Membership& membership) {
  if (options.segment_bytes < kSegmentBytesMin || options.segment_bytes > kSegmentBytesMax ||
      options.segment_bytes % kPageBytes != 0) {
    return Status::InvalidArgument("segment_bytes must be a multiple of 4096 in [16384, 2^30]");
  }
  if (!options.cluster || !options.node)
    return Status::InvalidArgument("a Raft log needs a cluster id and a node id");
  FileSystem& files = *environment.file_system;
  const auto open = [&]() -> Result<std::unique_ptr<RaftLog>> {
    RETURN_IF_ERROR(files.CreateDirectories(JoinPath(options.directory, "log")));
    ASSIGN_OR_RETURN(auto lock, files.Lock(JoinPath(options.directory, "LOCK")));
    auto log = std::make_unique<SegmentedRaftLog>(environment, options, std::move(lock));
    RETURN_IF_ERROR(log->Start(membership));
    return std::unique_ptr<RaftLog>(std::move(log));
  };
  auto log = open();
  if (!log.ok())
    return std::move(log).status().Prefixed("open the Raft log in " + options.directory);
  return log;
}

}  // namespace bedrock::raft
