#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "proto/raft_messages.h"
#include "raftd/core/raft.h"
#include "raftd/core/types.h"

namespace bedrock::raft {

/// What a node's disk holds. A write changes it when it is done; a crash loses the others.
struct FakeDisk {
  Vote vote;
  LogIndex prev_index;
  Term prev_term;
  std::vector<Entry> entries;
  LogIndex commit_hint;
  Health health;
  MembershipChange base;  ///< The newest one whose entry was compacted.

  LogIndex last_index() const { return prev_index + entries.size(); }
  void Carry(const Write& write);
  Recovered Recover(const Membership& initial) const;
  void Compact(LogIndex up_to);
};

struct ClusterOptions {
  std::size_t nodes = 3;
  std::uint64_t seed = 1;
  Limits limits = {};
  bool sync_at_once = true;  ///< Else writes wait for WriteDone or Stabilize.
  bool compact = true;  ///< What is applied is at once durable there, so that logs can be trimmed.
  std::optional<Membership> membership = {};  ///< In place of voters 1..nodes.
};

/// A cluster of real cores in memory, driven step by step: messages wait on their links until they
/// are delivered, writes on their disks until they are done. One thread; nothing happens by itself.
///
/// Checks after every step, and ends the test program where one breaks: one leader a term; a node
/// votes for one candidate a term, across crashes; what any two nodes apply at an index is the
/// same; nothing is applied that is not durable here; terms, commit and applied never go back.
class Cluster {
 public:
  struct Packet {
    NodeId from;
    NodeId to;
    Message message;
  };
  using Trace = std::function<void(const std::string&)>;

  explicit Cluster(ClusterOptions options, Trace trace = {});

  Raft& at(std::uint64_t id);
  View view(std::uint64_t id) { return at(id).GetView(); }
  FakeDisk& disk(std::uint64_t id) { return nodes_.at(NodeId(id)).disk; }
  bool up(std::uint64_t id) const { return nodes_.at(NodeId(id)).raft.has_value(); }
  std::vector<std::uint64_t> ids() const;
  /// The payloads that the node's state machine has, in order, "-" for a no-op.
  std::string Applied(std::uint64_t id) const;
  const std::vector<ReadReady>& reads_ready(std::uint64_t id) const;
  const std::vector<Ticket>& reads_failed(std::uint64_t id) const;
  std::deque<Packet>& packets() { return packets_; }
  /// The node that leads the highest term among those that are up; 0: none.
  std::uint64_t leader();

  void Tick(std::uint64_t id, std::uint64_t ticks);
  void TickAll(std::uint64_t ticks);
  /// Lets time jump on one node.
  void Jump(std::uint64_t id, std::uint64_t ticks);
  /// Ticks one node, and no other, until it runs for office.
  void Campaign(std::uint64_t id);
  Proposed Propose(std::uint64_t id, std::string_view payload,
                   FreesRoom frees_room = FreesRoom::kNo);
  Transferring Transfer(std::uint64_t id, std::uint64_t to);
  Reconfiguring Reconfigure(std::uint64_t id, const Delta& delta);
  /// A new node that knows of nobody and waits to be taken in.
  void AddBlankNode(std::uint64_t id);
  void Read(std::uint64_t id, std::uint64_t ticket);
  void Receive(std::uint64_t from, std::uint64_t to, Message message);
  /// Delivers, or loses, what waits on the links now; 0 stands for every node. How many there were.
  std::size_t Deliver(std::uint64_t from, std::uint64_t to);
  std::size_t Drop(std::uint64_t from, std::uint64_t to);
  void WriteDone(std::uint64_t id, std::optional<WriteSeq> seq = {});
  /// Delivers and syncs until nothing moves any more, without a tick.
  void Stabilize();
  /// Ticks all and stabilizes until a leader is known to every connected node; its id.
  std::uint64_t Elect();
  /// Cuts, or heals, the links from and to a node; what is on them stays.
  void Isolate(std::uint64_t id);
  void Cut(std::uint64_t from, std::uint64_t to) { cut_.insert({NodeId(from), NodeId(to)}); }
  void Heal() { cut_.clear(); }
  void Crash(std::uint64_t id);
  void Restart(std::uint64_t id);
  void DiskStalled(std::uint64_t id, bool stalled);
  /// The node's state machine becomes a copy of `source`'s; its core hears of it now or
  /// only after a restart. False: the source is behind what is asked for.
  enum class Tell : std::uint8_t { kNow, kAfterRestart };
  bool Install(std::uint64_t id, std::uint64_t source, Tell tell = Tell::kNow);
  /// Installs whatever is wanted where the source has it; how many there were.
  std::size_t InstallWanted();
  void Fetching(std::uint64_t id, std::uint64_t installing);
  /// The node's state machine lost everything.
  void LoseMachine(std::uint64_t id);
  /// Up to where the node's state machine is durable, also while it is down.
  LogIndex MachineHolds(std::uint64_t id) const;
  void Pressure(std::uint64_t id, std::uint64_t over, std::uint64_t far_over);
  void RoomLow(std::uint64_t id, bool low);
  void DiskFull(std::uint64_t id, bool full);
  /// Carries out what the core wants done.
  void Run(std::uint64_t id);

 private:
  struct Node {
    std::optional<Raft> raft;
    FakeDisk disk;
    Membership initial;
    std::deque<Write> writes;
    std::deque<HeldMessage> held;
    std::uint64_t tick = 0;
    std::uint64_t lives = 0;
    std::vector<Entry> applied;
    LogIndex installed;         ///< What its state machine has durably by a snapshot.
    bool machine_lost = false;  ///< It has nothing else.
    std::vector<ReadReady> reads_ready;
    std::vector<Ticket> reads_failed;
    View last_view;
  };

  void Start(NodeId id);
  RestoredState StateAt(LogIndex index) const;
  void StartMachine(Node& node);
  void Carry(NodeId id, Output output);
  void Post(NodeId from, Outgoing outgoing);
  void Apply(Node& node, const ApplyRange& range);
  void Check(Node& node);
  bool Select(const Packet& packet, std::uint64_t from, std::uint64_t to) const;
  std::vector<Entry> ReadLog(const Node& node, LogIndex first, LogIndex last) const;

  ClusterOptions options_;
  Trace trace_;
  std::map<NodeId, Node> nodes_;
  std::deque<Packet> packets_;
  std::set<std::pair<NodeId, NodeId>> cut_;
  std::map<Term, NodeId> leaders_;
  std::map<std::pair<NodeId, Term>, NodeId> votes_;
  std::map<LogIndex, Entry> committed_;
};

}  // namespace bedrock::raft
