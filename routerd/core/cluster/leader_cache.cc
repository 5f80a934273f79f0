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
  if (!leader) return LearnOfNone(from, term, now_ms);
  if (term < led_.term) return;
  // What others say of a term before the claimed one they may have said before the claim.
  const bool fresh = leader == from || term >= claimed_ || now_ms > claimed_ms_ + silence_ms_;
  if (hidden_ && !fresh) return;
  if (term > led_.term) {
    led_ = {leader, term};
    deposed_ = false;
  } else if (from == led_.node && leader != from) {
    led_.node = NodeId();
    deposed_ = true;
    return;
  } else if (!led_.node && (!deposed_ || leader == from)) {
    // Links keep their order, so a node's own word about itself is its newest.
    led_.node = leader;
    deposed_ = false;
  }
  if (leader != led_.node) return;
  hidden_ = false;
  confirmed_ms_ = now_ms;
}

void LeaderCache::LearnOfNone(NodeId from, Term term, std::uint64_t now_ms) {
  if (term < led_.term) return;
  if (from == led_.node) {
    led_.node = NodeId();
    deposed_ = true;
  }
  if (term == led_.term || term <= claimed_) return;
  claimed_ = term;
  claimed_ms_ = now_ms;
  hidden_ = true;
}

LeaderCache::Leader LeaderCache::leader(std::uint64_t now_ms) const {
  if (hidden_) return {NodeId(), claimed_};
  if (now_ms > confirmed_ms_ + silence_ms_) return {NodeId(), led_.term};
  return led_;
}

}  // namespace bedrock::router
