#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "common/base/ids.h"
#include "proto/raft_messages.h"
#include "raftd/core/raft.h"
#include "raftd/server/peers.h"

namespace bedrock::raft {

/// Whether this node's log may take part under the node's id, and whose logs may (R15).
///
/// A node whose disk was wiped has forgotten its votes and what it acknowledged: started again as
/// if it were new, it could vote for a second leader of a term, or help to lose what was committed.
/// So each log has a random number, leaders note the members' numbers in the configuration, and a
/// log that is new neither hears nor says anything of Raft's before it is known that no other log
/// has been there under its id:
///
///                 every other founder's log is empty, too, or a majority of the founders' logs is
///     is new  ┌─────── and the rest has not been heard of for kFoundingMs (founders alone)
///     ───────┐
///   ──────► asking admitted ◄──────
///             └─────── a committed configuration names this log (a leader has noted it)
///             ──────────┘   is not new │ └─ it names another one, the node was removed, or
///             storaged holds what no new log has: refused
///
/// What is left to chance: where a majority of the founders' logs never had an entry, or lost them
/// all, and nobody who knows better answers, a cluster is founded.
///
/// A node that was removed while it was away learns it here, too.
///
/// Knows no socket or clock; one thread. Borrows the core and the peers.
class AdmissionDesk {
 public:
  static constexpr std::uint64_t kAskMs = 100;        ///< Between claims while asking.
  static constexpr std::uint64_t kRemindMs = 1000;    ///< The same once admitted.
  static constexpr std::uint64_t kFoundingMs = 2000;  ///< So long founders wait for the others.
  /// A leader waits so long for more claims, so that one entry notes them all.
  static constexpr std::uint64_t kGatherMs = 200;

  struct Own {
    NodeId node;
    LogNumber log;
    bool is_new = false;   ///< The log never held an entry or a vote.
    bool founder = false;  ///< It may found a cluster with the members that the flags name.
  };

  AdmissionDesk(const Own& own, Raft& core, Peers& peers);

  /// Raft's messages may be heard, and time passes for the core.
  bool admitted() const { return admitted_; }
  /// Why this node must end and not start again; none: it need not.
  const std::optional<std::string>& refused() const { return refused_; }

  /// Another node asks; it was heard (Peers::Hear).
  void OnClaim(NodeId from, const LogClaim& claim, std::uint64_t now_ms);
  void OnVerdict(NodeId from, const LogVerdict& verdict);
  /// Another node speaks of Raft to this one, which is not admitted: it may know this log.
  void OnEarlyMessage(NodeId from, std::uint64_t now_ms);
  /// The own storaged says how far it is.
  void OnStorage(LogIndex applied);
  /// Once a tick.
  void Tick(std::uint64_t now_ms);

  /// What a node that was removed is told.
  static LogVerdict Removed(const LogClaim& claim);
  /// Whether it is certain, here, that it was.
  bool IsRemovedForGood(NodeId node) const;

 private:
  LogVerdict Judge(NodeId from, const LogClaim& claim) const;
  void Admit(const char* why);
  void Refuse(std::string why);
  void AskAll(std::uint64_t now_ms);
  bool MayFound(std::uint64_t now_ms) const;
  void Remind(std::uint64_t now_ms);
  void SayOnceNoted();
  void NoteLogs(std::uint64_t now_ms);
  bool MembershipIsCommitted() const;
  std::optional<LogNumber> NotedLog(NodeId node) const;

  Own own_;
  Raft& core_;
  Peers& peers_;
  bool admitted_;
  std::optional<std::string> refused_;

  // While asking.
  std::optional<std::uint64_t> asking_since_ms_;
  std::optional<std::uint64_t> asked_at_ms_;
  std::map<NodeId, std::uint64_t> answered_early_ms_;  // bounded: whom this node has a way to
  std::set<NodeId> empty_;                             // those who said that their log is, too
  bool storage_empty_ = false;
  std::optional<LogVerdict::Kind> told_;  // last, for the log

  // While admitted.
  bool noted_ = false;  // the own log, for good
  std::uint64_t reminded_at_ms_ = 0;
  std::map<NodeId, LogNumber> claims_;  // of members, to be noted by this leader
  std::optional<std::uint64_t> claims_since_ms_;
};

}  // namespace bedrock::raft
