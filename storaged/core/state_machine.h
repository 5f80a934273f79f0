#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/ids.h"
#include "proto/command.h"
#include "proto/raft_messages.h"
#include "storaged/core/certifier.h"
#include "storaged/core/evaluation.h"
#include "storaged/core/history.h"
#include "storaged/core/idempotency_store.h"
#include "storaged/core/session_table.h"
#include "storaged/core/state_chain.h"
#include "storaged/engine/engine.h"

namespace bedrock::storage {

/// Executes the commands of the replicated log on the engine. Every replica that applies the same
/// entries gives the same results and holds the same content, whatever it was flushed, crashed and
/// replayed in between: nothing goes in but the entries, and what is in memory only is written with
/// each flush in one step with the data.
///
/// A command is executed in this order (transactions.md):
///   1. decoded: what is no command, or breaks the bounds of CheckCommand, gives kInvalidArgument;
///      one of a format that this release does not know is an error of this replica, which must
///      not go on: others execute it;
///   2. known: a (session, sequence) that was executed before gives its stored reply, an
///      Idempotency-Key that is kept its stored reply, too, or kIdempotencyKeyReused where it came
///      with another request; a sequence below its session's low-water mark gives kStaleSequence,
///      one at a bound of the session table kOverloaded;
///   3. fences: none yet, they will be here;
///   4. certified: nothing in `reads` was changed since it was read, else kTransactionConflict
///      with the key (a range's: where it begins) of the first that was; one read below the
///      watermark gives kVersionCompacted;
///   5. conditions choose the branch, and its operations run (evaluation.h);
///   6. one engine batch at version = log index: what they write, the idempotency record, those
///      that its time drops, the watermark's record;
///   7. the reply is recorded for the session.
/// Whatever the result, the applied index advances; no-op entries do that alone, membership entries
/// keep their record (membership_record.h), and all drop idempotency records whose time it is. What
/// is refused writes nothing else. What each entry wrote goes into the chain of hashes that
/// replicas are compared by (state_chain.h), and an entry that holds a check of the state hashes a
/// slice of the keyspace into it, as of itself: a slice that can't be read is reported by the check
/// and stops nothing.
///
/// Reply kOverloaded is as if the entry were not in the log: nothing was written and nothing
/// recorded, so another entry with the same command may still execute it, once. Where the reply
/// has no room in the session table or the idempotency store, that is so, too.
///
/// One thread, the engine's owner thread. Borrows the engine.
class StateMachine {
 public:
  /// On an engine as it was opened or recovered. corruption: its client state is no session table,
  /// or is missing, or a system record is damaged.
  static Result<std::unique_ptr<StateMachine>> Open(engine::Engine& engine);

  /// Applies the entry after applied(). Errors are of this replica and not of the command; the
  /// applied index has not moved, and the same entry is to be tried again: busy and no_space when
  /// the engine has made progress, after any other the node can't go on.
  /// REQUIRES: entry.index is applied().Next().
  Result<proto::CommandResult> Apply(const raft::Entry& entry);

  /// What a user's key holds at an applied version. corruption names file and offset.
  /// REQUIRES: history_from() <= at <= newest().
  Result<engine::Lookup> Get(std::string_view user_key, Version at) const;
  Result<engine::Lookup> Get(std::string_view user_key) const { return Get(user_key, newest()); }
  /// What a command would give at an applied version; nothing of it stays. Its `version` is 0.
  /// Errors are those of the engine's reads.
  /// REQUIRES: as Get; the command passes CheckQuery.
  Result<proto::CommandResult> Query(const proto::Command& command, Version at) const;

  LogIndex applied() const { return engine_.applied().index; }
  Version newest() const { return Version(applied().value()); }
  /// The lowest version that can be read.
  Version history_from() const { return history_.watermark(); }
  /// Starts to make durable all that is applied.
  void StartFlush();
  /// Something may have become durable: lets the engine drop the history that nobody needs any
  /// more.
  void EngineProgressed();

  const SessionTable& sessions() const { return sessions_; }
  const StateChain& chain() const { return chain_; }
  /// What the last slice that could not be read said; ok: all could.
  const Status& slice_fault() const { return slice_fault_; }
  const IdempotencyTotals& idempotency_totals() const { return idempotency_.totals(); }

 private:
  struct Parts {
    SessionTable sessions;
    StateChain chain;
    IdempotencyStore idempotency;
    History history;
  };
  StateMachine(engine::Engine& engine, Parts parts);

  Result<proto::CommandResult> ApplyCommand(const raft::Entry& entry);
  /// Step 2: whether the answer is known, `result`.
  Result<bool> AnswerKnown(const proto::Command& command, proto::CommandResult& result);
  /// Steps 2 to 7 of a command that passes its checks.
  Status Execute(const proto::Command& command, const raft::Entry& entry,
                 proto::CommandResult& result);
  /// Steps 3 to 5, into effects_. `result` comes in as a success.
  Status Decide(const proto::Command& command, proto::CommandResult& result);
  /// Step 4. kOk in `result` where nothing was changed.
  Status Certify(const proto::Command& command, proto::CommandResult& result);
  /// Adds the idempotency record to the batch. False: there is no room for it.
  bool KeepReply(const proto::Idempotency& idempotency, const proto::CommandResult& result);
  /// An entry whose bytes are no command: a check of the state, or nothing at all.
  Status ApplyNoCommand(const raft::Entry& entry, proto::CommandResult& result);
  /// Step 6: applies effects_, and what every entry does beside them. `code` is the result's.
  Status Commit(const raft::Entry& entry, proto::ErrorCode code);
  StateView ViewAt(Version at) const { return {engine_, certifier_, at, history_.watermark()}; }

  engine::Engine& engine_;
  SessionTable sessions_;
  StateChain chain_;
  Status slice_fault_;
  IdempotencyStore idempotency_;
  History history_;
  Certifier certifier_;
  Effects effects_;  // of the entry that is being applied
};

}  // namespace bedrock::storage
