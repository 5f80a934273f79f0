#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/status.h"
#include "common/env/file_system.h"
#include "storaged/engine/blob/blob_format.h"
#include "storaged/engine/blob/blob_writer.h"
#include "storaged/engine/blob/value_resolver.h"
#include "storaged/engine/compaction/picker.h"
#include "storaged/engine/compaction/version_filter.h"
#include "storaged/engine/manifest/table_set.h"
#include "storaged/engine/memtable/memtable.h"
#include "storaged/engine/read/key_buffer.h"
#include "storaged/engine/read/merging_cursor.h"
#include "storaged/engine/read/source.h"
#include "storaged/engine/table/table_builder.h"
#include "storaged/engine/table/table_format.h"

namespace bedrock::engine {

/// What is merged: the memtable of a flush, or the tables of a compaction.
struct MergeInput {
  std::shared_ptr<const Memtable> memtable;
  /// Each a run of tables that share no key, in key order.
  std::vector<std::vector<TableSet::Table>> runs;
};

/// The inputs of `plan`: a run for each level-0 table and for each other level. REQUIRES: they are
/// in `tables`.
MergeInput InputsOf(const TableSet& tables, const CompactionPlan& plan);

/// Merges entries and range tombstones, leaves out what VersionFilter does, and writes the rest
/// into new tables: what flushes and compactions have in common. Works in steps of bounded size, so
/// that others get their turn. One thread at a time.
///
/// Outputs part the keys between them, range tombstones included; none ends inside a user key. One
/// ends when it is large enough, and where a grandparent begins once it is half as large or lies
/// over many of them: so each output meets few tables when it is compacted one day.
///
/// A table that a range tombstone hides as a whole from all readers is not read.
///
/// Large values go into blob files of the job's own, one record each, and tables get references to
/// them; so do values that stand in blob files which are to be emptied. Other references are passed
/// on. A value that can't be read for being damaged keeps its reference, and its file.
///
/// The outputs are synced, their names are not: the caller syncs the directory, then makes them
/// live. After an error, or if it is given up, Abandon() removes them.
class MergeJob {
 public:
  struct BlobParameters {
    std::size_t bytes_min = 0;  ///< Values of at least this size go into a blob file; 0: none.
    /// A blob file ends when it is this large.
    std::uint64_t file_bytes = std::uint64_t{256} << 20;
    /// What references in the input stand for; null where there are none.
    std::shared_ptr<const ValueResolver> resolver;
    /// Blob files whose values are written anew. Sorted.
    std::vector<FileNumber> relocate_from;
  };
  struct Parameters {
    FileSystem* file_system = nullptr;
    std::string directory;
    MergeInput input;
    Retention retention;
    KeyRanges below;   ///< What older tables may have that are not merged.
    OwnedRange range;  ///< Of the input only what lies in it.
    TableOptions table;
    std::uint64_t table_bytes = UINT64_MAX;  ///< Of an output, about.
    std::vector<CompactionPlan::Grandparent> grandparents;
    BlobParameters blobs = {};
    /// Gives a number that was never given before. Called by whatever thread steps.
    std::function<FileNumber()> next_number;
  };

  enum class Progress {
    kMore,
    kDone,
    kInputFailed,   ///< A source could not be read: another try meets the same damage.
    kOutputFailed,  ///< A table could not be written: another try on new files may work.
  };

  explicit MergeJob(Parameters parameters);
  MergeJob(const MergeJob&) = delete;
  MergeJob& operator=(const MergeJob&) = delete;

  /// One step. After kDone or a failure no step follows.
  Progress Step();
  /// Why it failed.
  const Status& status() const { return status_; }
  const std::vector<TableMetadata>& outputs() const { return outputs_; }
  const std::vector<BlobFile>& blob_outputs() const { return blob_outputs_; }
  /// Removes what was written, as far as the disk lets it; the rest goes at the next open.
  void Abandon();

 private:
  Status Begin();
  /// All range tombstones of the input, within the range.
  Result<std::shared_ptr<const FragmentedTombstones>> MergedTombstones() const;
  void DropHiddenTables();
  Progress Fail(Progress progress, Status status);
  Progress Finish();

  Status AddCurrent();
  /// A put whose value is large enough, or not.
  Status AddValue(InternalKeyView key, std::string_view value);
  Status AddReference(InternalKeyView key, std::string_view reference);
  Status EndBlobs();
  /// The output may have to end before `user_key`, which comes next.
  Status EndBefore(std::string_view user_key);
  /// Goes past the grandparents that begin at or before `user_key`.
  Status PassGrandparents(std::string_view user_key);
  Status CreateOutput();
  /// The output that began at output_begin_ ends before `end` (empty: nowhere) and another one
  /// begins there.
  Status EndOutput(std::string_view end);
  /// Whether range tombstones stay between output_begin_ and `end`.
  bool HasTombstonesBefore(std::string_view end) const;

  Parameters parameters_;
  bool begun_ = false;
  std::optional<VersionFilter> filter_;
  FragmentedTombstones tombstones_;  ///< That stay.
  MergingCursor<Source> cursor_;
  std::uint64_t step_bytes_ = 0;  ///< What the step has taken in.

  std::unique_ptr<TableBuilder> builder_;  ///< Null: the output has no entry yet.
  KeyBuffer last_user_key_;                ///< In builder_.
  std::string output_begin_;               ///< Where the output begins.
  std::size_t grandparent_ = 0;            ///< The next to come.
  std::uint64_t grandparent_bytes_ = 0;    ///< That the output lies over.

  std::unique_ptr<BlobWriter> blob_writer_;  ///< Null: no value since the last one ended.
  std::vector<BlobFile> blob_outputs_;
  bool value_unreadable_ = false;  ///< A step failed for that.

  std::vector<FileNumber> created_;
  std::vector<FileNumber> created_blobs_;
  std::vector<TableMetadata> outputs_;
  Status status_;
};

}  // namespace bedrock::engine
