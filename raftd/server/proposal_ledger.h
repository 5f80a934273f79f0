#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "proto/storage_messages.h"

namespace bedrock::raft {

/// Who waits for which proposed entry. An entry stays here until storaged has applied it, so that
/// it carries its reply address also when it is sent a second time, or until it is known to be lost
/// for good.
///
/// Lost: an entry of a higher term is committed at its index or below. Terms never fall along a
/// log, so no leader's log can hold it any more. That another node's entry overwrote it in this log
/// alone proves nothing: a third node may still hold it and commit it.
///
/// A pure value; one thread; at most `pending_max` entries.
class ProposalLedger {
 public:
  explicit ProposalLedger(std::size_t pending_max) : pending_max_(pending_max) {}

  std::size_t size() const { return pending_.size(); }
  /// How many more may be added.
  std::size_t room() const { return pending_max_ - pending_.size(); }

  /// REQUIRES: room() > 0.
  void Add(LogIndex index, Term term, proto::ReplyTo reply_to);

  /// The address for the entry at (index, term); an empty one where nobody waits here.
  proto::ReplyTo Find(LogIndex index, Term term) const;

  /// Everything up to `last` is committed. Gives, in order, whose proposals are lost by that, and
  /// forgets them. `term_at` gives the terms of committed entries; none where the log has dropped
  /// them, which it does only once they were applied.
  std::vector<proto::ReplyTo> Committed(
      LogIndex last, const std::function<std::optional<Term>(LogIndex)>& term_at);

  /// storaged holds everything up to `applied` and has answered for it.
  void Applied(LogIndex applied);

 private:
  using Position = std::pair<LogIndex, Term>;

  std::size_t pending_max_;
  std::map<Position, proto::ReplyTo> pending_;
  LogIndex resolved_;  // all that stays at or below this is committed and waits for Applied
};

}  // namespace bedrock::raft
