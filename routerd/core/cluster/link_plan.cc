#include "routerd/core/cluster/link_plan.h"

#include <algorithm>
#include <string>

namespace bedrock::router {

void LinkPlan::Follow(const std::vector<MemberSeed>& members, std::uint64_t now_ms,
                      Effects* effects) {
  for (const MemberSeed& member : members) {
    const auto [at, is_new] = nodes_.try_emplace(member.id);
    Node& node = at->second;
    node.close_ms = 0;
    if (is_new && member.id == self_) {
      // Its own daemons need no address; another router of its own it does not have.
      for (const Daemon daemon : {Daemon::kRaftd, Daemon::kStoraged}) {
        effects->links.push_back({.node = self_, .daemon = daemon});
      }
    } else if (member.id != self_) {
      Change(member.id, node.seed, member, effects);
    }
    node.seed = member;
  }
  for (auto& [id, node] : nodes_) {
    const bool stays = std::any_of(members.begin(), members.end(),
                                   [id = id](const MemberSeed& member) { return member.id == id; });
    if (stays || node.close_ms != 0) continue;
    node.close_ms = now_ms + kLingerMs;
    next_close_ms_ = std::min(next_close_ms_, node.close_ms);
  }
}

void LinkPlan::Advance(std::uint64_t now_ms, Effects* effects) {
  if (now_ms < next_close_ms_) return;
  next_close_ms_ = UINT64_MAX;
  for (auto node = nodes_.begin(); node != nodes_.end();) {
    const std::uint64_t close_ms = node->second.close_ms;
    if (close_ms == 0 || now_ms < close_ms) {
      if (close_ms != 0) next_close_ms_ = std::min(next_close_ms_, close_ms);
      ++node;
      continue;
    }
    if (node->first == self_) {
      for (const Daemon daemon : {Daemon::kRaftd, Daemon::kStoraged}) {
        effects->links.push_back({.node = self_, .daemon = daemon, .open = false});
      }
    } else {
      Change(node->first, node->second.seed, MemberSeed(), effects);
    }
    node = nodes_.erase(node);
  }
}

void LinkPlan::Change(NodeId node, const MemberSeed& from, const MemberSeed& to,
                      Effects* effects) const {
  const auto change = [&](Daemon daemon, const std::string& old_address,
                          const std::string& address) {
    if (old_address == address) return;
    effects->links.push_back(
        {.node = node, .daemon = daemon, .open = !address.empty(), .address = address});
  };
  change(Daemon::kRaftd, from.raft, to.raft);
  change(Daemon::kStoraged, from.storage, to.storage);
  change(Daemon::kRouterd, from.client, to.client);
}

}  // namespace bedrock::router
