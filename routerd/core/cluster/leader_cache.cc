#include "routerd/core/cluster/leader_cache.h"

namespace bedrock::router {

void LeaderCache::OnStatus(const proto::RaftStatus& status, std::uint64_t now_ms) {
  const bool leads = status.role == proto::Role::kLeader;
  // A node that does not lead cannot name itself, whatever it says.
  const NodeId named =
      leads ? status.node : (status.leader == status.node ? NodeId() : status.leader);
  Learn(status.node, named, status.term, now_ms);
}

void LeaderCache::OnRefused(NodeId from, NodeId hint, Term term, std::uint64_t now_ms) {
  Learn(from, hint == from ? NodeId() : hint, term, now_ms);
}

void LeaderCache::Learn(NodeId from, NodeId leader, Term term, std::uint64_t now_ms) {
  if (term < leader_.term) return;
  if (term > leader_.term) {
    leader_ = {leader, term};
    deposed_ = false;
    confirmed_ms_ = now_ms;
    return;
  }
  if (from == leader_.node && leader != from) {
    leader_.node = NodeId();
    deposed_ = true;
    return;
  }
  if (!leader) return;
  // Links keep their order, so a node's own word about itself is its newest.
  if (!leader_.node && (!deposed_ || leader == from)) {
    leader_.node = leader;
    deposed_ = false;
  }
  if (leader == leader_.node) confirmed_ms_ = now_ms;
}

LeaderCache::Leader LeaderCache::leader(std::uint64_t now_ms) const {
  if (now_ms > confirmed_ms_ + silence_ms_) return {NodeId(), leader_.term};
  return leader_;
}

}  // namespace bedrock::router
