#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bedrock/status.h"
#include "common/env/file_system.h"
#include "storaged/engine/compaction/version_filter.h"
#include "storaged/engine/iterator/internal_iterator.h"
#include "storaged/engine/table/table_builder.h"
#include "storaged/engine/table/table_format.h"

namespace bedrock::engine {

/// Writes the entries of an iterator that a filter keeps into new tables: what flushes and
/// compactions have in common. Works in steps of bounded size, so that others get their turn. One
/// thread at a time.
///
/// The outputs are synced, their names are not: the caller syncs the directory, then makes them
/// live. After an error, or if it is given up, Abandon() removes them.
class MergeJob {
 public:
  struct Parameters {
    FileSystem* file_system = nullptr;
    std::string directory;
    std::unique_ptr<InternalIterator> input;
    VersionFilter filter;
    TableOptions table;
    /// A table of this size ends at the next user key; never inside one, so that outputs share
    /// none.
    std::uint64_t table_bytes = UINT64_MAX;
    /// Gives a number that was never given before.
    std::function<FileNumber()> next_number;
  };

  enum class Progress {
    kMore,
    kDone,
    kInputFailed,   ///< A source could not be read: another try meets the same damage.
    kOutputFailed,  ///< A table could not be written: another try on new files may work.
  };

  explicit MergeJob(Parameters parameters);

  /// One step. After kDone or a failure no step follows.
  Progress Step();
  /// Why it failed.
  const Status& status() const { return status_; }
  const std::vector<TableMetadata>& outputs() const { return outputs_; }
  /// Removes what was written, as far as the disk lets it; the rest goes at the next open.
  void Abandon();

 private:
  Progress Fail(Progress progress, Status status);
  Status AddCurrent();
  Status FinishTable();

  Parameters parameters_;
  bool positioned_ = false;
  std::unique_ptr<TableBuilder> builder_;
  std::string last_user_key_;  ///< In builder_.
  std::vector<FileNumber> created_;
  std::vector<TableMetadata> outputs_;
  Status status_;
};

}  // namespace bedrock::engine
