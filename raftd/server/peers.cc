#include "raftd/server/peers.h"

#include <algorithm>
#include <utility>

#include "common/logging/log.h"
#include "raftd/core/quorum.h"

namespace bedrock::raft {

config::Member Peers::Describe(const Membership& membership, NodeId id) const {
  for (const MemberAddress& address : membership.addresses) {
    if (address.id != id) continue;
    const Result<config::Member> member = config::ParseMember(address.text);
    if (member.ok() && member->id == id) return *member;
  }
  const config::Member* named = node_.Find(id);
  return named == nullptr ? config::Member{.id = id} : *named;
}

void Peers::Follow(const Membership& membership) {
  removed_ = membership.removed;
  known_.clear();
  // One that waits to be taken in, waits for one of these.
  if (membership.voters.empty()) known_ = node_.members;
  for (const NodeId id : AllMembers(membership)) known_.push_back(Describe(membership, id));

  std::map<NodeId, std::string> links;
  for (const config::Member& member : known_) {
    if (member.id == node_.node) continue;
    if (member.raft.empty()) {
      log::Error("a member has no address: name it in a --member flag", {{"member", member.id}});
    } else {
      links[member.id] = member.raft;
    }
  }
  for (const auto& [id, endpoint] : links_) {
    if (!links.contains(id)) {
      transport_.SetPeer(id, "");
      frames_.Forget(id);
      boots_.erase(id);
    }
  }
  for (const auto& [id, endpoint] : links) {
    const auto before = links_.find(id);
    if (before == links_.end() || before->second != endpoint) transport_.SetPeer(id, endpoint);
    strangers_.erase(id);
  }
  links_ = std::move(links);
}

bool Peers::WasRemoved(NodeId peer) const {
  return std::binary_search(removed_.begin(), removed_.end(), peer);
}

Peers::Hearing Peers::Hear(NodeId peer, BootId boot, std::string_view routing_id) {
  if (!IsRoutingIdOf(routing_id, "raftd", peer)) return Hearing::kRefused;
  const Hearing hearing = HearOverLink(peer, boot);
  if (hearing == Hearing::kRefused || links_.contains(peer)) return hearing;
  // Whoever is forgotten and still there speaks again.
  if (strangers_.size() >= kStrangersMax && !strangers_.contains(peer)) strangers_.clear();
  strangers_[peer] = routing_id;
  return hearing;
}

Peers::Hearing Peers::HearOverLink(NodeId peer, BootId boot) {
  if (!peer || peer == node_.node || WasRemoved(peer)) return Hearing::kRefused;
  if (!links_.contains(peer)) return Hearing::kHeard;
  BootId& known = boots_[peer];
  const bool restarted = known && known != boot;
  known = boot;
  return restarted ? Hearing::kRestarted : Hearing::kHeard;
}

void Peers::Send(NodeId to, const proto::Message& message) {
  if (links_.contains(to)) {
    frames_.ToPeer(to, message);
  } else if (const auto stranger = strangers_.find(to); stranger != strangers_.end()) {
    frames_.ToCaller(stranger->second, RequestId(), message);
  }
}

}  // namespace bedrock::raft
