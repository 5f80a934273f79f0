#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "proto/client_messages.h"
#include "proto/storage_messages.h"
#include "routerd/core/base/types.h"
#include "routerd/core/cluster/leader_cache.h"

namespace bedrock::router {

/// One member as GET /v1/cluster shows it.
struct MemberView {
  NodeId id;
  bool voter = true;
  std::string raft;
  std::string client;
  std::string http;
  proto::Role state = proto::Role::kUnreachable;
  LogIndex match_index;
  LogIndex applied_index;
  bool storage_up = false;
  /// What it holds differs from the other replicas', as seen at this entry: it is out of use until
  /// it is rebuilt. 0: nothing is known to be wrong.
  LogIndex diverged_at;
  std::string software;
};

struct ClusterView {
  NodeId leader;  ///< None: unknown.
  Term term;
  LogIndex commit_index;
  /// Replicas differ at this entry, and no majority says which one is right; 0: they don't.
  LogIndex replicas_differ_at;
  std::vector<MemberView> members;  ///< By id.
};

using NeedsNews = TypedBool<struct NeedsNewsTag>;

/// What the router last heard from each node's raftd and storaged, and from it: who takes part, who
/// leads, which daemon to ask, what the cluster looks like.
///
/// It begins with the nodes of the flags and follows the membership: what a leader says of it
/// counts, whole, until a later leader speaks. Where that leader is silent, or others have heard of
/// a later one, what they say only adds: they may lag behind. A node that does not take part (this
/// one, too) is asked for nothing. Where flags and membership name different endpoints, the flags'
/// count.
///
/// Pure; one thread.
class NodeTable {
 public:
  static constexpr std::size_t kNodesMax = 256;  ///< Far beyond a membership's own bound.

  explicit NodeTable(const CoreOptions& options);

  void OnRaftStatus(const proto::RaftStatus& status, std::uint64_t now_ms);
  void OnStorageStatus(NodeId node, const proto::StorageStatus& status, std::uint64_t now_ms);
  void OnRefused(NodeId from, const proto::ProposeRefused& refused, std::uint64_t now_ms);
  /// Any frame of a daemon, whatever it said.
  void OnHeard(NodeId node, Daemon daemon, std::uint64_t now_ms);
  /// It did not answer, or could not do what it was asked: others come first for a while.
  void OnFailed(NodeId node, Daemon daemon, std::uint64_t now_ms);

  /// `from`'s raftd said that `leader` leads `term`.
  void OnLeaderNamed(NodeId from, NodeId leader, Term term, std::uint64_t now_ms);

  LeaderCache::Leader leader(std::uint64_t now_ms) const { return leader_.leader(now_ms); }
  /// What the leader last said of itself and the members; null where it is unknown or silent.
  /// Valid until the next call that is not const.
  const proto::RaftStatus* LeaderStatus(std::uint64_t now_ms) const;
  bool Contains(NodeId id) const;
  std::size_t size() const { return nodes_.size(); }
  /// All nodes with their endpoints, by id.
  std::vector<MemberSeed> Members() const;
  /// Grows whenever Members() gives something else.
  std::uint64_t generation() const { return generation_; }
  /// Whom to ask: this node's own daemon, else the leader's, else any, of those that seem well; and
  /// rather not `last`, who was asked before (none: nobody was). For a question that needs news,
  /// a storaged whose raftd is gone (nothing feeds it), or that is far behind, comes after the
  /// others.
  NodeId Choose(Daemon daemon, std::uint64_t now_ms, NodeId last,
                NeedsNews news = NeedsNews::kNo) const;
  /// So many nodes say that their disks are full that the others can commit nothing.
  bool DisksAreFull(std::uint64_t now_ms) const;
  ClusterView View(std::uint64_t now_ms) const;
  /// What this node's own storaged said of itself last; null where it takes no part.
  const proto::StorageStatus* OwnStorage() const;

 private:
  struct Peer {
    std::uint64_t heard_ms = 0;  // 0: never
    std::uint64_t avoid_until_ms = 0;
  };
  struct Node {
    NodeId id;
    MemberSeed seed;
    Peer raftd;
    Peer storaged;
    proto::RaftStatus raft;
    proto::StorageStatus storage{.applied = {},
                                 .durable_applied = {},
                                 .health = proto::ErrorCode::kStorageUnavailable,
                                 .detail = {},
                                 .software = {}};
    const Peer& peer(Daemon daemon) const { return daemon == Daemon::kRaftd ? raftd : storaged; }
    Peer& peer(Daemon daemon) { return daemon == Daemon::kRaftd ? raftd : storaged; }
  };

  Node* Find(NodeId id);
  const Node* Find(NodeId id) const;
  /// Takes over who takes part, from a status that tells it.
  void FollowMembers(const proto::RaftStatus& status, std::uint64_t now_ms);
  void Take(const proto::MemberStatus& row);
  bool Silent(const Peer& peer, std::uint64_t now_ms) const;
  /// Whether it failed a moment ago or has been silent.
  bool Gone(const Peer& peer, std::uint64_t now_ms) const;
  MemberView ViewOf(const Node& node, std::uint64_t now_ms) const;

  NodeId self_;
  std::uint64_t silence_ms_;
  std::uint64_t avoid_ms_;
  std::uint64_t lag_entries_max_;
  const std::vector<MemberSeed> flags_;
  LeaderCache leader_;
  std::vector<Node> nodes_;  // by id
  // The leader whose word on the members was taken last, and its term.
  NodeId teller_;
  Term told_term_;
  std::uint64_t generation_ = 1;
};

}  // namespace bedrock::router
