#include "routerd/core/cluster/node_table.h"

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
      lag_entries_max_(options.lag_entries_max),
      flags_(options.members),
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

const NodeTable::Node* NodeTable::Find(NodeId id) const {
  for (const Node& node : nodes_) {
    if (node.id == id) return &node;
  }
  return nullptr;
}

bool NodeTable::Contains(NodeId id) const { return Find(id) != nullptr; }

std::vector<MemberSeed> NodeTable::Members() const {
  std::vector<MemberSeed> members;
  members.reserve(nodes_.size());
  for (const Node& node : nodes_) members.push_back(node.seed);
  return members;
}

void NodeTable::OnRaftStatus(const proto::RaftStatus& status, std::uint64_t now_ms) {
  Node* node = Find(status.node);
  if (node == nullptr) return;
  node->raftd.heard_ms = now_ms;
  node->raft = status;
  leader_.OnStatus(status, now_ms);
  FollowMembers(status, now_ms);
}

void NodeTable::FollowMembers(const proto::RaftStatus& status, std::uint64_t now_ms) {
  const auto& rows = status.members;
  const auto lists = [&rows](NodeId id) {
    return std::any_of(rows.begin(), rows.end(), [id](const auto& row) { return row.id == id; });
  };
  // A leader is a member until the next one has dropped it.
  const bool leads = status.role == proto::Role::kLeader && lists(status.node);
  if (leads && status.term >= told_term_) {
    told_term_ = status.term;
    teller_ = status.node;
    if (std::erase_if(nodes_, [&](const Node& node) { return !lists(node.id); }) > 0) {
      ++generation_;
    }
  } else {
    const Node* teller = Find(teller_);
    const bool told = teller != nullptr && !Silent(teller->raftd, now_ms);
    if (told && status.term <= told_term_) return;
  }
  for (const proto::MemberStatus& row : rows) Take(row);
}

void NodeTable::Take(const proto::MemberStatus& row) {
  if (!row.id) return;
  MemberSeed seed{row.id, row.raft, row.storage, row.client, row.http};
  for (const MemberSeed& flag : flags_) {
    if (flag.id == row.id) seed = flag;
  }
  const auto at = std::lower_bound(nodes_.begin(), nodes_.end(), row.id,
                                   [](const Node& node, NodeId id) { return node.id < id; });
  if (at == nodes_.end() || at->id != row.id) {
    // One that nobody can reach is of no use before its endpoints are known.
    const bool unreachable = seed.raft.empty() && seed.storage.empty() && seed.http.empty();
    if (unreachable || nodes_.size() >= kNodesMax) return;
    Node node;
    node.id = row.id;
    node.seed = std::move(seed);
    nodes_.insert(at, std::move(node));
    ++generation_;
  } else if (const bool says_more = !row.raft.empty(); says_more && at->seed != seed) {
    at->seed = std::move(seed);
    ++generation_;
  }
}

const proto::RaftStatus* NodeTable::LeaderStatus(std::uint64_t now_ms) const {
  const LeaderCache::Leader leader = leader_.leader(now_ms);
  const Node* node = leader.node ? Find(leader.node) : nullptr;
  if (node == nullptr || Silent(node->raftd, now_ms)) return nullptr;
  const bool leads = node->raft.role == proto::Role::kLeader && node->raft.term == leader.term;
  return leads ? &node->raft : nullptr;
}

void NodeTable::OnLeaderNamed(NodeId from, NodeId leader, Term term, std::uint64_t now_ms) {
  if (Find(from) != nullptr && leader) leader_.OnRefused(from, leader, term, now_ms);
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

bool NodeTable::DisksAreFull(std::uint64_t now_ms) const {
  std::size_t voters = 0;
  std::size_t full = 0;
  for (const Node& node : nodes_) {
    const auto& rows = node.raft.members;
    const bool learner = std::any_of(
        rows.begin(), rows.end(), [&](const auto& row) { return row.id == node.id && !row.voter; });
    if (learner) continue;
    ++voters;
    const bool says_so = node.raft.storage_health == proto::ErrorCode::kStorageFull;
    if (says_so && !Silent(node.raftd, now_ms)) ++full;
  }
  return full > 0 && 2 * full >= voters;
}

NodeId NodeTable::Choose(Daemon daemon, std::uint64_t now_ms, NodeId last, NeedsNews news) const {
  const NodeId leader = leader_.leader(now_ms).node;
  const proto::RaftStatus* status = news ? LeaderStatus(now_ms) : nullptr;
  const std::uint64_t committed = status == nullptr ? 0 : status->commit.value();
  const auto rank = [&](const Node& node) {
    const Peer& peer = node.peer(daemon);
    // Each reason outweighs all below it: failing, silent, unhealthy, just asked, not fed, far
    // away.
    int bad = 0;
    if (now_ms < peer.avoid_until_ms) bad += 48;
    if (Silent(peer, now_ms)) bad += 24;
    if (daemon == Daemon::kStoraged && peer.heard_ms != 0 && !Reads(node.storage.health)) bad += 12;
    if (node.id == last) bad += 6;
    const bool lags = node.storage.applied.value() + lag_entries_max_ < committed;
    if (news && (lags || Gone(node.raftd, now_ms))) bad += 3;
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
    view.diverged_at = node.storage.diverged_at;
    if (view.software.empty()) view.software = node.storage.software;
  } else if (!Silent(node.raftd, now_ms)) {
    view.applied_index = node.raft.applied;
  }
  return view;
}

const proto::StorageStatus* NodeTable::OwnStorage() const {
  const Node* node = Find(self_);
  return node == nullptr ? nullptr : &node->storage;
}

ClusterView NodeTable::View(std::uint64_t now_ms) const {
  ClusterView cluster;
  cluster.leader = leader_.leader(now_ms).node;
  cluster.term = leader_.leader(now_ms).term;
  if (const proto::RaftStatus* leader = LeaderStatus(now_ms)) {
    cluster.replicas_differ_at = leader->checks_differ;
  }
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
      const auto view = std::find_if(cluster.members.begin(), cluster.members.end(),
                                     [&](const MemberView& m) { return m.id == status.id; });
      if (view == cluster.members.end()) continue;  // gone, as others know
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
  for (MemberView& member : cluster.members) {
    // A learner follows; of itself it may not know yet that it does not vote.
    const bool follows = member.state == proto::Role::kFollower;
    if (!member.voter && follows) member.state = proto::Role::kLearner;
  }
  return cluster;
}

}  // namespace bedrock::router
