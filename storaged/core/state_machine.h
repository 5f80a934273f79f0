#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "bedrock/write_batch.h"
#include "common/base/ids.h"
#include "proto/command.h"
#include "proto/raft_messages.h"
#include "storaged/core/session_table.h"
#include "storaged/engine/engine.h"

namespace bedrock::storage {

/// Executes the commands of the replicated log on the engine. Every replica that applies the same
/// entries gives the same results and holds the same content, whatever it was flushed, crashed and
/// replayed in between: nothing goes in but the entries, and what is in memory only is written with
/// each flush in one step with the data.
///
/// A command is executed in this order:
///   1. decoded: what is no command, or breaks the bounds of CheckCommand, gives kInvalidArgument;
///      one of a format that this release does not know is an error of this replica, which must
///      not go on: others execute it;
///   2. known: a (session, sequence) that was executed before gives its stored reply, one below
///      its session's low-water mark kStaleSequence, one at a bound of the session table
///      kOverloaded;
///   3. conditions: the first that does not hold gives kPreconditionFailed;
///   4. operations, in one engine batch at version = log index; the last one of a key wins;
///   5. the reply is recorded.
/// Whatever the result, the applied index advances; no-op and membership entries only do that.
///
/// Reply kOverloaded is as if the entry were not in the log: nothing was written and nothing
/// recorded, so another entry with the same command may still execute it, once.
///
/// One thread, the engine's owner thread. Borrows the engine.
class StateMachine {
 public:
  /// On an engine as it was opened or recovered. corruption: its client state is no session table,
  /// or is missing.
  static Result<std::unique_ptr<StateMachine>> Open(engine::Engine& engine);

  /// Applies the entry after applied(). Errors are of this replica and not of the command; the
  /// applied index has not moved, and the same entry is to be tried again: busy and no_space when
  /// the engine has made progress, after any other the node can't go on.
  /// REQUIRES: entry.index is applied().Next().
  Result<proto::CommandResult> Apply(const raft::Entry& entry);

  /// What a user's key holds at the newest applied version. corruption names file and offset.
  Result<engine::Lookup> Get(std::string_view user_key) const;

  LogIndex applied() const { return engine_.applied().index; }
  /// Starts to make durable all that is applied.
  void StartFlush();

  const SessionTable& sessions() const { return sessions_; }

 private:
  StateMachine(engine::Engine& engine, SessionTable sessions);

  Result<proto::CommandResult> ApplyCommand(const raft::Entry& entry);
  /// Steps 3 and 4. `result` comes in as a success.
  Status Execute(const proto::Command& command, const raft::Entry& entry,
                 proto::CommandResult& result);
  /// kOk in `result` where all conditions hold.
  Status Check(const std::vector<proto::Condition>& conditions, proto::CommandResult& result) const;
  Status Write(const std::vector<proto::Operation>& operations, const raft::Entry& entry);
  /// Moves the applied index and writes nothing.
  Status Advance(const raft::Entry& entry);

  engine::Engine& engine_;
  SessionTable sessions_;
  // Of the batch that is being made; kept for their memory.
  std::string batch_key_;
  WriteBatch batch_;
};

}  // namespace bedrock::storage
