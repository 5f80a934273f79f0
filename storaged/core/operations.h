#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "bedrock/iterator.h"
#include "bedrock/result.h"
#include "bedrock/status.h"
#include "bedrock/write_batch.h"
#include "proto/command.h"
#include "storaged/core/state_view.h"
#include "storaged/txn/own_writes.h"

namespace bedrock::storage {

/// Whether operations give no results, so that each can be written as it comes.
bool GiveNothing(const std::vector<proto::Operation>& operations);

/// Executes the operations of a branch on a view, each seeing the writes of those before it. What
/// they write stays in here; nothing is written to the engine. Used once.
///
/// One thread. Borrows what the view does.
class OperationsRun {
 public:
  explicit OperationsRun(const StateView& view);

  /// Fills `result.results`, or where one cannot be executed, sets code (kInvalidArgument,
  /// kTransactionTooLarge), key and failed_operation, and leaves no results; then the writes are
  /// not to be used. Errors are those of the engine's reads.
  Status Execute(const std::vector<proto::Operation>& operations, proto::CommandResult& result);

  /// All changes, in the engine's keys.
  WriteBatch TakeWrites() { return writes_->TakeBatch(); }

 private:
  Result<proto::OperationResult> ExecuteOne(const proto::Operation& operation);
  /// What the key holds for this command: version 0 where the command wrote it.
  Result<engine::Lookup> Find(std::string_view key) const;
  Result<proto::OperationResult> Get(std::string_view key);
  Result<proto::OperationResult> Scan(const proto::Operation& operation);
  Result<proto::OperationResult> Count(std::string_view begin, std::string_view end);
  Result<proto::OperationResult> DeleteRange(std::string_view begin, std::string_view end);
  Result<proto::OperationResult> Add(std::string_view key, std::int64_t delta);

  std::unique_ptr<Iterator> Walk(Range range, engine::FillCache fill_cache) const;
  /// Appends what the walk stands on. False, and refuses, where the results become too large.
  bool Append(const Iterator& walk, const proto::Scan& scan, proto::OperationResult& scanned);
  /// False, and refuses, where the results become too large.
  bool Spend(std::size_t bytes);

  const StateView view_;
  const std::shared_ptr<txn::OwnWrites> writes_;  // shared with walks, one at a time
  std::size_t result_bytes_ = 0;
  std::size_t result_items_ = 0;
  proto::ErrorCode refusal_ = proto::ErrorCode::kOk;
};

}  // namespace bedrock::storage
