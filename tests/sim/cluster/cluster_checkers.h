#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "proto/storage_messages.h"
#include "storaged/core/state_machine.h"
#include "storaged/engine/engine.h"
#include "tests/sim/cluster/check_watch.h"
#include "tests/sim/cluster/cluster_options.h"
#include "tests/sim/cluster/reference_state.h"
#include "tests/sim/sim_checkers.h"

namespace bedrock::sim {

/// Watches a whole cluster: Raft's promises (SimCheckers), and above them that all replicas do the
/// same with each entry, which is what the reference says, that what was durable stays, that
/// answers are those of the content at the version they name, and that versions agree with the
/// clock. The first broken invariant is kept and nothing more is checked after it. One thread.
class ClusterCheckers {
 public:
  explicit ClusterCheckers(const ClusterOptions& options);

  bool failed() const { return !failure_.empty() || raft_.failed(); }
  const std::string& failure() const { return failure_.empty() ? raft_.failure() : failure_; }
  void Fail(std::string_view invariant, const std::string& seen);

  /// Of raftds' cores and logs.
  SimCheckers& raft() { return raft_; }
  const SimCheckers& raft() const { return raft_; }

  // ---- storaged

  /// An engine was opened: what it holds must be what the log says at the index it names, and no
  /// older than what it had made durable.
  void OnOpened(NodeId node, const engine::Engine& engine);
  /// It applies an entry, and these are the changes of the keyspace.
  void OnApply(NodeId node, const raft::Entry& entry, std::string_view changes);
  /// It does something else with it, since its command was altered on its way.
  void OnOtherApply(NodeId node, const raft::Entry& entry);
  /// Not what another node did with it. REQUIRES: one has applied it.
  bool IsOtherThan(LogIndex index, std::string_view changes) const;
  /// So much is in its files.
  void OnDurable(NodeId node, LogIndex durable);
  void OnGet(NodeId node, const proto::Get& get, const proto::GetReply& reply);
  void OnQuery(NodeId node, std::string_view command, const proto::CommandResult& result,
               Version at);
  void OnReply(NodeId node, const proto::CommandResult& result);
  /// It answers what the content at version `at` says, and had applied everything up to `applied`
  /// before it was asked.
  void OnServed(NodeId node, Version at, LogIndex applied);
  /// A node took another one's state, which is in this engine now: later than its own was, on its
  /// disk, and what the log says.
  void OnSnapshot(NodeId node, const engine::Engine& engine);
  /// Its disk was replaced by an empty one.
  void OnWiped(NodeId node);
  /// Something on its disk has rotted: that it can't be read is no surprise. Until it is wiped, or
  /// found to be whole.
  void OnRot(NodeId node) { at(node).rots = at(node).rotted = true; }
  void OnFoundWhole(NodeId node) {
    at(node).rots = at(node).altered = at(node).may_have_lost = false;
    checks_.OnRightAgain(node);
  }
  /// Its power was cut. What rotted at the end of a file, where the cut took what proved that it
  /// had been whole, looks like something that was never written to its end.
  void OnPowerCut(NodeId node) { at(node).may_have_lost = at(node).rots; }
  /// A value is another one in its engine than what it was given: what it holds may differ from
  /// here on.
  void OnAltered(NodeId node) { at(node).altered = true; }
  /// It checked its state, or took in what was found about it.
  void OnCheck(NodeId node, const raft::StateCheck& check);
  /// Where the slice after its newest check begins.
  void OnNextSlice(NodeId node, LogIndex check, std::string_view next);
  /// A leader says that replicas differ and no majority is right, or says so no more, while it
  /// leads on: see CheckWatch.
  void OnDiffering(NodeId node, LogIndex index);
  void OnDifferenceOver(NodeId node, LogIndex differed, LogIndex agreed,
                        const raft::Membership& members);
  void OnDifferenceHeld(NodeId node, LogIndex differing, LogIndex agreed,
                        const raft::StateCheck& own);
  /// Nothing, or what is wrong with an answer.
  std::string WrongIn(const proto::Get& get, const proto::GetReply& reply) const {
    return reference_.CheckGet(get, reply);
  }
  std::string WrongIn(std::string_view query, const proto::CommandResult& result,
                      Version at) const {
    return reference_.CheckQuery(query, result, at);
  }
  /// What its storaged has in its files.
  LogIndex DurableOf(NodeId node) const { return nodes_.at(node.value() - 1).durable; }
  /// It has all that was on its disk when that was replaced, or lost some of it.
  bool HasWhatItLost(NodeId node) const {
    return DurableOf(node) >= nodes_.at(node.value() - 1).lost;
  }

  // ---- clients

  /// Whatever ends from here on and is linearizable is at a version above these.
  Version settled() const { return settled_; }
  void OnSettled(Version version) { settled_ = std::max(settled_, version); }
  /// A write that began when `floor` was settled was committed at `version`.
  void OnCommitted(std::string_view who, Version floor, Version version);
  /// A linearizable read, likewise.
  void OnRead(std::string_view who, Version floor, Version version);

  // ---- the end

  /// All of these hold the same, which is what the reference says.
  struct Replica {
    NodeId node;
    const engine::Engine* engine = nullptr;
    const storage::StateMachine* machine = nullptr;
  };
  void OnConverged(const std::vector<Replica>& replicas);

  std::uint64_t applied_entries() const { return effects_.size(); }
  const CheckWatch& checks() const { return checks_; }
  const ReferenceState& reference() const { return reference_; }

 private:
  struct Node {
    LogIndex applied;
    LogIndex durable;
    LogIndex lost;  ///< Was durable, and is so no more.
    bool rots = false;
    bool may_have_lost = false;  ///< Of what was durable, by rot and a power cut together.
    bool rotted = false;         ///< Rots, or did: its checks may have met damage.
    bool altered = false;
  };
  struct Effect {
    std::uint64_t entry = 0;    ///< A hash.
    std::uint64_t changes = 0;  ///< A hash.
    std::uint64_t chain = 0;    ///< Of all entries up to here, as SimCheckers knows it.
  };

  Node& at(NodeId node) { return nodes_.at(node.value() - 1); }
  void FailIf(const std::string& wrong, std::string_view invariant, NodeId node);
  /// False: it is not the entry that this node has to apply next.
  bool TakeNext(NodeId node, LogIndex index);
  std::uint64_t ChainAt(LogIndex index) const;
  void CompareContent(NodeId node, const engine::Engine& engine, std::string_view invariant);
  void CompareContent(NodeId node, const engine::Engine& engine, Version at,
                      std::string_view invariant);

  SimCheckers raft_;
  std::string failure_;
  std::vector<Node> nodes_;
  ReferenceState reference_;
  std::vector<Effect> effects_;  ///< By index, from 1.
  Version settled_;
  CheckWatch checks_;
};

}  // namespace bedrock::sim
