#include "routerd/core/node_table.h"

#include <algorithm>

namespace bedrock::router {
namespace {

bool Reads(proto::ErrorCode health) {
  return health == proto::ErrorCode::kOk || health == proto::ErrorCode::kStorageFull;
}

/// The endpoints and the kind of a member, from whichever status knows them.
void Describe(const proto::MemberStatus& status, MemberView* view) {
  view->voter = status.voter;
  if (!status.raft.empty()) view->raft = status.raft;
  if (!status.client.empty()) view->client = status.client;
  if (!status.http.empty()) view->http = status.http;
}

}  // namespace

NodeTable::NodeTable(const CoreOptions& options)
    : self_(options.self),
      silence_ms_(options.silence_ms),
      avoid_ms_(options.avoid_ms),
      leader_(options.silence_ms) {
  for (const MemberSeed& seed : options.members) {
    nodes_.emplace_back();
    nodes_.back().id = seed.id;
    nodes_.back().seed = seed;
  }
  std::sort(nodes_.begin(), nodes_.end(), [](const Node& a, const Node& b) { return a.id < b.id; });
}

NodeTable::Node* NodeTable::Find(NodeId id) {
  for (Node& node : nodes_) {
    if (node.id == id) return &node;
  }
  return nullptr;
}

void NodeTable::OnRaftStatus(const proto::RaftStatus& status, std::uint64_t now_ms) {
  Node* node = Find(status.node);
  if (node == nullptr) return;
  node->raftd.heard_ms = now_ms;
  node->raft = status;
  leader_.OnStatus(status, now_ms);
}

void NodeTable::OnStorageStatus(NodeId id, const proto::StorageStatus& status,
                                std::uint64_t now_ms) {
  Node* node = Find(id);
  if (node == nullptr) return;
  node->storaged.heard_ms = now_ms;
  node->storage = status;
}

void NodeTable::OnRefused(NodeId from, const proto::ProposeRefused& refused, std::uint64_t now_ms) {
  if (Find(from) == nullptr || refused.error.code != proto::ErrorCode::kNotLeader) return;
  leader_.OnRefused(from, refused.leader, refused.term, now_ms);
}

void NodeTable::OnHeard(NodeId id, Daemon daemon, std::uint64_t now_ms) {
  if (Node* node = Find(id)) node->peer(daemon).heard_ms = now_ms;
}

void NodeTable::OnFailed(NodeId id, Daemon daemon, std::uint64_t now_ms) {
  if (Node* node = Find(id)) node->peer(daemon).avoid_until_ms = now_ms + avoid_ms_;
}

bool NodeTable::Silent(const Peer& peer, std::uint64_t now_ms) const {
  return peer.heard_ms == 0 || now_ms > peer.heard_ms + silence_ms_;
}

bool NodeTable::Gone(const Peer& peer, std::uint64_t now_ms) const {
  return now_ms < peer.avoid_until_ms || Silent(peer, now_ms);
}

NodeId NodeTable::Choose(Daemon daemon, std::uint64_t now_ms, NodeId last, NeedsNews news) const {
  const NodeId leader = leader_.leader(now_ms).node;
  const auto rank = [&](const Node& node) {
    const Peer& peer = node.peer(daemon);
    // Each reason outweighs all below it: failing, silent, unhealthy, just asked, not fed, far
    // away.
    int bad = 0;
    if (now_ms < peer.avoid_until_ms) bad += 48;
    if (Silent(peer, now_ms)) bad += 24;
    if (daemon == Daemon::kStoraged && peer.heard_ms != 0 && !Reads(node.storage.health)) bad += 12;
    if (node.id == last) bad += 6;
    if (news && Gone(node.raftd, now_ms)) bad += 3;
    if (node.id == self_) return bad;
    return node.id == leader ? bad + 1 : bad + 2;
  };
  const auto best =
      std::min_element(nodes_.begin(), nodes_.end(),
                       [&](const Node& a, const Node& b) { return rank(a) < rank(b); });
  return best == nodes_.end() ? NodeId() : best->id;
}

MemberView NodeTable::ViewOf(const Node& node, std::uint64_t now_ms) const {
  MemberView view;
  view.id = node.id;
  view.raft = node.seed.raft;
  view.client = node.seed.client;
  view.http = node.seed.http;
  if (!Silent(node.raftd, now_ms)) {
    view.state = node.raft.role;
    view.software = node.raft.software;
  }
  if (!Silent(node.storaged, now_ms)) {
    view.applied_index = node.storage.applied;
    view.storage_up = Reads(node.storage.health);
    if (view.software.empty()) view.software = node.storage.software;
  } else if (!Silent(node.raftd, now_ms)) {
    view.applied_index = node.raft.applied;
  }
  return view;
}

ClusterView NodeTable::View(std::uint64_t now_ms) const {
  ClusterView cluster;
  cluster.leader = leader_.leader(now_ms).node;
  cluster.term = leader_.leader(now_ms).term;
  for (const Node& node : nodes_) {
    MemberView member = ViewOf(node, now_ms);
    // What it last said of itself before a later term began: nobody leads both.
    if (member.state == proto::Role::kLeader && node.raft.term < cluster.term) {
      member.state = proto::Role::kFollower;
    }
    cluster.members.push_back(std::move(member));
  }
  // Everyone's description first, the leader's last: its word counts most.
  const auto describe = [&cluster](const Node& teller, bool leads) {
    cluster.commit_index = std::max(cluster.commit_index, teller.raft.commit);
    for (const proto::MemberStatus& status : teller.raft.members) {
      auto view = std::find_if(cluster.members.begin(), cluster.members.end(),
                               [&](const MemberView& m) { return m.id == status.id; });
      if (view == cluster.members.end()) {
        view = cluster.members.insert(view, MemberView());
        view->id = status.id;
      }
      Describe(status, &*view);
      if (leads) view->match_index = status.match_index;
    }
  };
  for (const Node& node : nodes_) {
    if (node.id != cluster.leader) describe(node, false);
  }
  for (const Node& node : nodes_) {
    if (node.id == cluster.leader) describe(node, node.raft.role == proto::Role::kLeader);
  }
  std::sort(cluster.members.begin(), cluster.members.end(),
            [](const MemberView& a, const MemberView& b) { return a.id < b.id; });
  return cluster;
}

}  // namespace bedrock::router
