#include "storaged/engine/compaction/merge_job.h"

#include <utility>

#include "common/base/status_macros.h"
#include "common/base/units.h"
#include "storaged/engine/table/file_names.h"

namespace bedrock::engine {

namespace {
/// How much input a step takes. Small against a flush's time on a slow disk, large against the cost
/// of a posted job.
constexpr std::uint64_t kStepBytes = 256 * kKiB;
constexpr std::uint64_t kEntryOverheadBytes = 16;
}  // namespace

MergeJob::MergeJob(Parameters parameters) : parameters_(std::move(parameters)) {}

MergeJob::Progress MergeJob::Fail(Progress progress, Status status) {
  status_ = std::move(status);
  builder_.reset();
  return progress;
}

Status MergeJob::FinishTable() {
  ASSIGN_OR_RETURN(TableMetadata metadata, builder_->Finish());
  builder_.reset();
  outputs_.push_back(std::move(metadata));
  return {};
}

Status MergeJob::AddCurrent() {
  const InternalKeyView key = parameters_.input->key();
  if (builder_ != nullptr && builder_->EstimatedBytes() >= parameters_.table_bytes &&
      key.user_key != last_user_key_) {
    RETURN_IF_ERROR(FinishTable());
  }
  if (builder_ == nullptr) {
    const FileNumber number = parameters_.next_number();
    created_.push_back(number);
    ASSIGN_OR_RETURN(builder_, TableBuilder::Create(*parameters_.file_system, parameters_.directory,
                                                    number, parameters_.table));
  }
  last_user_key_ = key.user_key;
  return builder_->Add(key, parameters_.input->value());
}

MergeJob::Progress MergeJob::Step() {
  InternalIterator& input = *parameters_.input;
  if (!positioned_) {
    input.SeekToFirst();
    positioned_ = true;
  }
  std::uint64_t bytes = 0;
  for (; input.Valid() && bytes < kStepBytes; input.Next()) {
    bytes += input.key().user_key.size() + input.value().size() + kEntryOverheadBytes;
    if (!parameters_.filter.Keep(input.key())) continue;
    const Status added = AddCurrent();
    if (!added.ok()) return Fail(Progress::kOutputFailed, added);
  }
  if (input.Valid()) return Progress::kMore;
  if (!input.status().ok()) return Fail(Progress::kInputFailed, input.status());
  if (builder_ != nullptr) {
    const Status finished = FinishTable();
    if (!finished.ok()) return Fail(Progress::kOutputFailed, finished);
  }
  return Progress::kDone;
}

void MergeJob::Abandon() {
  builder_.reset();
  outputs_.clear();
  for (const FileNumber number : created_) {
    (void)parameters_.file_system->Remove(JoinPath(parameters_.directory, TableName(number)));
  }
  created_.clear();
}

}  // namespace bedrock::engine
