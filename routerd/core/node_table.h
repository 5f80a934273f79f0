#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "proto/client_messages.h"
#include "proto/storage_messages.h"
#include "routerd/core/leader_cache.h"
#include "routerd/core/types.h"

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
  std::string software;
};

struct ClusterView {
  NodeId leader;  ///< None: unknown.
  Term term;
  LogIndex commit_index;
  std::vector<MemberView> members;  ///< By id.
};

using NeedsNews = TypedBool<struct NeedsNewsTag>;

/// What the router last heard from each node's raftd and storaged, and from it: who leads, which
/// daemon to ask, what the cluster looks like. Pure; one thread.
class NodeTable {
 public:
  explicit NodeTable(const CoreOptions& options);

  void OnRaftStatus(const proto::RaftStatus& status, std::uint64_t now_ms);
  void OnStorageStatus(NodeId node, const proto::StorageStatus& status, std::uint64_t now_ms);
  void OnRefused(NodeId from, const proto::ProposeRefused& refused, std::uint64_t now_ms);
  /// Any frame of a daemon, whatever it said.
  void OnHeard(NodeId node, Daemon daemon, std::uint64_t now_ms);
  /// It did not answer, or could not do what it was asked: others come first for a while.
  void OnFailed(NodeId node, Daemon daemon, std::uint64_t now_ms);

  LeaderCache::Leader leader(std::uint64_t now_ms) const { return leader_.leader(now_ms); }
  /// Whom to ask: this node's own daemon, else the leader's, else any, of those that seem well; and
  /// rather not `last`, who was asked before (none: nobody was). For a question that needs news,
  /// a storaged whose raftd is gone comes after the others: nothing feeds it.
  NodeId Choose(Daemon daemon, std::uint64_t now_ms, NodeId last,
                NeedsNews news = NeedsNews::kNo) const;
  ClusterView View(std::uint64_t now_ms) const;

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
  bool Silent(const Peer& peer, std::uint64_t now_ms) const;
  /// Whether it failed a moment ago or has been silent.
  bool Gone(const Peer& peer, std::uint64_t now_ms) const;
  MemberView ViewOf(const Node& node, std::uint64_t now_ms) const;

  NodeId self_;
  std::uint64_t silence_ms_;
  std::uint64_t avoid_ms_;
  LeaderCache leader_;
  std::vector<Node> nodes_;  // by id
};

}  // namespace bedrock::router
