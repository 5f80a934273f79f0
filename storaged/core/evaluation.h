#pragma once

#include <span>
#include <string>

#include "bedrock/status.h"
#include "bedrock/write_batch.h"
#include "common/base/ids.h"
#include "proto/command.h"
#include "storaged/core/state_view.h"

namespace bedrock::storage {

/// What executing a command does to the state. Kept from command to command for its memory.
struct Effects {
  WriteBatch writes;                      ///< Of users' keys, as the engine's.
  std::span<const proto::Operation> ran;  ///< The branch that ran, all of it; empty: none.
  Version drop_history;                   ///< What kDropHistory asks for; 0: nothing.
  std::string key;                        ///< For whoever makes an engine's key.

  void Clear();
};

/// Conditions, then the operations of the branch that they choose (transactions.md, 4 and 5): what
/// it would give and do, on the view's content. Executing is this and one batch; a query is this
/// alone. `result` comes in as a success; unless it stays one, `effects` come out empty, as they
/// must come in.
///
/// A pure function of the view's content and the command. Errors are those of the engine's reads.
Status Evaluate(const StateView& view, const proto::Command& command, proto::CommandResult& result,
                Effects& effects);

}  // namespace bedrock::storage
