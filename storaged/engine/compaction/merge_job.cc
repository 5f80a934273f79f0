#include "storaged/engine/compaction/merge_job.h"

#include <algorithm>
#include <map>
#include <utility>

#include "common/base/status_macros.h"
#include "common/base/units.h"
#include "storaged/engine/read/key_compare.h"
#include "storaged/engine/table/file_names.h"

namespace bedrock::engine {

namespace {
/// How much input a step takes. Small against a flush's time on a slow disk, large against the cost
/// of a posted job.
constexpr std::uint64_t kStepBytes = 256 * kKiB;
constexpr std::uint64_t kEntryOverheadBytes = 16;
/// An output that lies over so many outputs' worth of grandparents ends.
constexpr std::uint64_t kGrandparentTablesMax = 10;
}  // namespace

MergeInput InputsOf(const TableSet& tables, const CompactionPlan& plan) {
  std::map<FileNumber, TableSet::Table> opened;
  for (const auto& level : tables.levels) {
    for (const TableSet::Table& table : level) opened.emplace(table->metadata().number, table);
  }
  MergeInput input;
  std::optional<std::uint32_t> level;
  for (const CompactionPlan::Input& one : plan.inputs) {
    if (one.level == 0 || level != one.level) input.runs.emplace_back();
    input.runs.back().push_back(opened.at(one.number));
    level = one.level;
  }
  return input;
}

MergeJob::MergeJob(Parameters parameters)
    : parameters_(std::move(parameters)), output_begin_(parameters_.range.begin) {}

// ---- Input

Result<std::shared_ptr<const FragmentedTombstones>> MergeJob::MergedTombstones() const {
  std::vector<const FragmentedTombstones*> sets;
  std::shared_ptr<const FragmentedTombstones> of_memtable;
  if (parameters_.input.memtable != nullptr) {
    of_memtable = parameters_.input.memtable->Tombstones();
    sets.push_back(of_memtable.get());
  }
  for (const auto& run : parameters_.input.runs) {
    for (const TableSet::Table& table : run) {
      RETURN_IF_ERROR(table->status());
      sets.push_back(&table->Tombstones());
    }
  }
  const OwnedRange& range = parameters_.range;
  return std::make_shared<const FragmentedTombstones>(
      FragmentedTombstones::Merge(sets).Clip(range.begin, range.end));
}

void MergeJob::DropHiddenTables() {
  for (auto& run : parameters_.input.runs) {
    std::erase_if(run, [this](const TableSet::Table& table) {
      const TableMetadata& metadata = table->metadata();
      // Of a table that only reaches into the range more than what is hidden may be seen.
      return filter_->HidesAll(metadata.range(), metadata.version_min, metadata.version_max);
    });
  }
}

Status MergeJob::Begin() {
  begun_ = true;
  ASSIGN_OR_RETURN(auto tombstones, MergedTombstones());
  filter_.emplace(std::move(parameters_.retention), std::move(tombstones),
                  std::move(parameters_.below));
  tombstones_ = filter_->KeptTombstones();
  DropHiddenTables();
  cursor_.Reserve(parameters_.input.runs.size() + 1);
  if (parameters_.input.memtable != nullptr) cursor_.Emplace(*parameters_.input.memtable);
  for (const auto& run : parameters_.input.runs) {
    if (!run.empty()) cursor_.Emplace(run, TableReadOptions(FillCache::kNo));
  }
  if (parameters_.range.begin.empty()) {
    cursor_.SeekToFirst();
  } else {
    cursor_.Seek(SeekKey(parameters_.range.begin, kVersionMax));
  }
  return {};
}

MergeJob::Progress MergeJob::Fail(Progress progress, Status status) {
  status_ = std::move(status);
  builder_.reset();
  blob_writer_.reset();
  return value_unreadable_ ? Progress::kInputFailed : progress;
}

MergeJob::Progress MergeJob::Step() {
  if (!begun_) {
    const Status begun = Begin();
    if (!begun.ok()) return Fail(Progress::kInputFailed, begun);
  }
  const std::string_view end = parameters_.range.end;
  for (step_bytes_ = 0; step_bytes_ < kStepBytes; cursor_.Next()) {
    if (!cursor_.Valid()) {
      if (!cursor_.status().ok()) return Fail(Progress::kInputFailed, cursor_.status());
      return Finish();
    }
    const InternalKeyView& key = cursor_.key();
    if (!end.empty() && key.user_key >= end) return Finish();
    step_bytes_ += key.user_key.size() + cursor_.value().size() + kEntryOverheadBytes;
    if (!filter_->Keep(key)) continue;
    const Status added = AddCurrent();
    if (!added.ok()) return Fail(Progress::kOutputFailed, added);
  }
  return Progress::kMore;
}

MergeJob::Progress MergeJob::Finish() {
  // Range tombstones may go on over more of them.
  const auto& grandparents = parameters_.grandparents;
  while (grandparent_ < grandparents.size() &&
         IsBeforeEnd(grandparents[grandparent_].smallest, parameters_.range.end)) {
    const Status passed = PassGrandparents(grandparents[grandparent_].smallest);
    if (!passed.ok()) return Fail(Progress::kOutputFailed, passed);
  }
  Status ended = EndOutput(parameters_.range.end);
  if (ended.ok()) ended = EndBlobs();
  return ended.ok() ? Progress::kDone : Fail(Progress::kOutputFailed, ended);
}

// ---- Output

Status MergeJob::AddCurrent() {
  const InternalKeyView& key = cursor_.key();
  if (builder_ == nullptr || !SameKey(key.user_key, last_user_key_.view())) {
    RETURN_IF_ERROR(EndBefore(key.user_key));
    last_user_key_.Assign(key.user_key);
  }
  if (builder_ == nullptr) RETURN_IF_ERROR(CreateOutput());
  switch (key.kind()) {
    case EntryKind::kPut:
      return AddValue(key, cursor_.value());
    case EntryKind::kBlobPut:
      return AddReference(key, cursor_.value());
    case EntryKind::kDelete:
      break;
  }
  return builder_->Add(key, cursor_.value());
}

Status MergeJob::AddValue(InternalKeyView key, std::string_view value) {
  const BlobParameters& blobs = parameters_.blobs;
  if (blobs.bytes_min == 0 || value.size() < blobs.bytes_min) {
    return builder_->Add({key.user_key, Trailer(key.version(), EntryKind::kPut)}, value);
  }
  if (blob_writer_ != nullptr && blob_writer_->bytes() >= blobs.file_bytes) {
    RETURN_IF_ERROR(EndBlobs());
  }
  if (blob_writer_ == nullptr) {
    const FileNumber number = parameters_.next_number();
    created_blobs_.push_back(number);
    ASSIGN_OR_RETURN(blob_writer_,
                     BlobWriter::Create(*parameters_.file_system, parameters_.directory, number,
                                        parameters_.table.compression));
  }
  ASSIGN_OR_RETURN(const BlobRef ref, blob_writer_->Add(key, value));
  builder_->CountBlobReference(ref.file, BlobRecordBytes(key.user_key.size(), ref.size));
  return builder_->Add({key.user_key, Trailer(key.version(), EntryKind::kBlobPut)}, ref.Encode());
}

Status MergeJob::AddReference(InternalKeyView key, std::string_view reference) {
  const BlobParameters& blobs = parameters_.blobs;
  const auto ref = BlobRef::Decode(reference);
  if (!ref.ok() || blobs.resolver == nullptr) {
    value_unreadable_ = true;
    return ref.ok() ? Status::Corruption("a reference to a blob without any blob files")
                    : ref.status();
  }
  if (std::binary_search(blobs.relocate_from.begin(), blobs.relocate_from.end(), ref->file)) {
    const auto read = blobs.resolver->Read(reference, VerifyChecksums::kYes);
    if (read.ok()) {
      step_bytes_ += read->value.size();
      return AddValue(key, read->value);
    }
    if (!read.status().IsCorruption()) {
      value_unreadable_ = true;
      return read.status();
    }
  }
  builder_->CountBlobReference(ref->file, BlobRecordBytes(key.user_key.size(), ref->size));
  return builder_->Add(key, reference);
}

Status MergeJob::EndBlobs() {
  if (blob_writer_ == nullptr) return {};
  ASSIGN_OR_RETURN(BlobFile blob, blob_writer_->Finish());
  blob_writer_.reset();
  blob_outputs_.push_back(blob);
  return {};
}

Status MergeJob::EndBefore(std::string_view user_key) {
  if (grandparent_ < parameters_.grandparents.size()) {
    RETURN_IF_ERROR(PassGrandparents(user_key));
  }
  if (builder_ == nullptr || builder_->EstimatedBytes() < parameters_.table_bytes) return {};
  return EndOutput(user_key);
}

Status MergeJob::PassGrandparents(std::string_view user_key) {
  const auto& grandparents = parameters_.grandparents;
  for (; grandparent_ < grandparents.size() && grandparents[grandparent_].smallest <= user_key;
       ++grandparent_) {
    const std::string& begin = grandparents[grandparent_].smallest;
    if (begin > output_begin_) {
      const bool large =
          builder_ != nullptr && builder_->EstimatedBytes() >= parameters_.table_bytes / 2;
      const bool wide = grandparent_bytes_ / kGrandparentTablesMax >= parameters_.table_bytes;
      // What has nothing yet may as well begin here.
      if (large || wide || (builder_ == nullptr && !HasTombstonesBefore(begin))) {
        RETURN_IF_ERROR(EndOutput(begin));
      }
    }
    grandparent_bytes_ += grandparents[grandparent_].bytes;
  }
  return {};
}

bool MergeJob::HasTombstonesBefore(std::string_view end) const {
  const std::size_t i = tombstones_.FindFragment(output_begin_);
  return i < tombstones_.size() && IsBeforeEnd(tombstones_.fragment(i).begin, end);
}

Status MergeJob::CreateOutput() {
  const FileNumber number = parameters_.next_number();
  created_.push_back(number);
  ASSIGN_OR_RETURN(builder_, TableBuilder::Create(*parameters_.file_system, parameters_.directory,
                                                  number, parameters_.table));
  return {};
}

Status MergeJob::EndOutput(std::string_view end) {
  const bool tombstones = HasTombstonesBefore(end);
  if (tombstones) {
    if (builder_ == nullptr) RETURN_IF_ERROR(CreateOutput());
    builder_->AddRangeTombstones(tombstones_.Clip(output_begin_, end));
  }
  if (builder_ != nullptr) {
    ASSIGN_OR_RETURN(TableMetadata metadata, builder_->Finish());
    builder_.reset();
    outputs_.push_back(std::move(metadata));
  }
  output_begin_.assign(end);
  grandparent_bytes_ = 0;
  return {};
}

void MergeJob::Abandon() {
  builder_.reset();
  outputs_.clear();
  blob_writer_.reset();
  blob_outputs_.clear();
  for (const FileNumber number : created_blobs_) {
    (void)parameters_.file_system->Remove(JoinPath(parameters_.directory, BlobName(number)));
  }
  created_blobs_.clear();
  for (const FileNumber number : created_) {
    (void)parameters_.file_system->Remove(JoinPath(parameters_.directory, TableName(number)));
  }
  created_.clear();
}

}  // namespace bedrock::engine
