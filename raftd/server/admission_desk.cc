#include "raftd/server/admission_desk.h"

#include <algorithm>
#include <utility>

#include "common/logging/log.h"
#include "raftd/core/membership.h"
#include "raftd/core/quorum.h"

namespace bedrock::raft {

AdmissionDesk::AdmissionDesk(const Own& own, Raft& core, Peers& peers)
    : own_(own), core_(core), peers_(peers), admitted_(!own.is_new) {}

bool AdmissionDesk::MembershipIsCommitted() const {
  const View view = core_.GetView();
  return admitted_ && view.membership_index <= view.commit && !core_.membership().voters.empty();
}

std::optional<LogNumber> AdmissionDesk::NotedLog(NodeId node) const {
  for (const MemberLog& noted : core_.membership().logs) {
    if (noted.id == node) return noted.log;
  }
  return std::nullopt;
}

// ---- What others ask

LogVerdict AdmissionDesk::Removed(const LogClaim& claim) {
  return {.log = claim.log, .kind = LogVerdict::Kind::kRemoved, .empty = false};
}

bool AdmissionDesk::IsRemovedForGood(NodeId node) const {
  return MembershipIsCommitted() && peers_.WasRemoved(node);
}

LogVerdict AdmissionDesk::Judge(NodeId from, const LogClaim& claim) const {
  using Kind = LogVerdict::Kind;
  LogVerdict verdict{.log = claim.log, .kind = Kind::kOpen, .empty = !core_.GetView().last_index};
  // What is not committed may be gone again, and a new log's configuration is only what flags say.
  if (!MembershipIsCommitted()) return verdict;
  if (!IsMember(core_.membership(), from)) {
    verdict.kind = Kind::kNoMember;
  } else if (const std::optional<LogNumber> noted = NotedLog(from)) {
    verdict.kind = *noted == LogNumber(claim.log) ? Kind::kNoted : Kind::kOther;
  }
  return verdict;
}

void AdmissionDesk::OnClaim(NodeId from, const LogClaim& claim, std::uint64_t now_ms) {
  const LogVerdict verdict = Judge(from, claim);
  peers_.Send(from, verdict);
  const bool leads = core_.GetView().role == Role::kLeader;
  if (verdict.kind != LogVerdict::Kind::kOpen || !leads || !claim.log) return;
  if (!IsMember(core_.membership(), from)) return;
  claims_[from] = LogNumber(claim.log);
  if (!claims_since_ms_) claims_since_ms_ = now_ms;
}

void AdmissionDesk::NoteLogs(std::uint64_t now_ms) {
  if (core_.GetView().role != Role::kLeader) {
    claims_.clear();
    claims_since_ms_.reset();
    return;
  }
  if (!NotedLog(own_.node) && IsMember(core_.membership(), own_.node)) {
    claims_[own_.node] = own_.log;
    if (!claims_since_ms_) claims_since_ms_ = now_ms;
  }
  if (!claims_since_ms_ || now_ms - *claims_since_ms_ < kGatherMs) return;
  Delta delta;
  for (const auto& [node, log] : claims_) {
    if (IsMember(core_.membership(), node) && !NotedLog(node)) delta.logs.push_back({node, log});
  }
  // Until the change before is over.
  if (!delta.logs.empty() && core_.Reconfigure(delta) == Reconfiguring::kBusy) return;
  claims_.clear();
  claims_since_ms_.reset();
}

// ---- What this node asks

void AdmissionDesk::Admit(const char* why) {
  if (admitted_ || refused_) return;
  admitted_ = true;
  log::Info("this node takes part", {{"because", why}, {"log", FormatHex(own_.log.value())}});
}

void AdmissionDesk::Refuse(std::string why) {
  if (refused_) return;
  admitted_ = false;
  refused_ = std::move(why);
}

void AdmissionDesk::OnVerdict(NodeId from, const LogVerdict& verdict) {
  using Kind = LogVerdict::Kind;
  if (LogNumber(verdict.log) != own_.log) return;
  switch (verdict.kind) {
    case Kind::kRemoved:
      Refuse(
          "this node was removed from the cluster, and ids are not used again: wipe its data "
          "and add it under a new id");
      return;
    case Kind::kOther:
      Refuse(
          "another log has taken part under this id, and what it had promised is gone with it: "
          "remove this node from the cluster, wipe its data and add it under a new id");
      return;
    case Kind::kNoted:
      Admit("the cluster knows its log");
      return;
    case Kind::kOpen:
    case Kind::kNoMember:
      break;
  }
  if (admitted_) return;
  if (verdict.empty) {
    empty_.insert(from);
  } else {
    empty_.erase(from);
  }
  const bool waits = !verdict.empty && verdict.kind != std::exchange(told_, verdict.kind);
  if (waits && verdict.kind == Kind::kNoMember) {
    log::Info("waiting to be taken into the cluster", {{"told_by", from}});
  } else if (waits) {
    log::Info("waiting for a leader to admit this node's new log", {{"told_by", from}});
  }
}

void AdmissionDesk::OnEarlyMessage(NodeId from, std::uint64_t now_ms) {
  if (admitted_ || refused_) return;
  const auto known = answered_early_ms_.find(from);
  if (known != answered_early_ms_.end() && now_ms - known->second < kAskMs) return;
  if (answered_early_ms_.size() >= Peers::kStrangersMax) answered_early_ms_.clear();
  answered_early_ms_[from] = now_ms;
  peers_.Send(from, LogClaim{.log = own_.log.value()});
}

void AdmissionDesk::OnStorage(LogIndex applied) {
  if (admitted_) return;
  storage_empty_ = !applied;
  if (!applied) return;
  Refuse(
      "storaged has applied entries and the log is new: the log was wiped, and what it had "
      "promised is gone with it: remove this node from the cluster, wipe all its data and add "
      "it under a new id");
}

void AdmissionDesk::Tick(std::uint64_t now_ms) {
  if (refused_) return;
  if (admitted_) {
    NoteLogs(now_ms);
    Remind(now_ms);
    SayOnceNoted();
    return;
  }
  if (!asking_since_ms_) asking_since_ms_ = now_ms;
  if (MayFound(now_ms)) {
    Admit("its cluster is founded");
  } else if (!asked_at_ms_ || now_ms - *asked_at_ms_ >= kAskMs) {
    AskAll(now_ms);
  }
}

/// From then on a wiped disk is told.
void AdmissionDesk::SayOnceNoted() {
  if (noted_ || NotedLog(own_.node) != own_.log || !MembershipIsCommitted()) return;
  noted_ = true;
  log::Info("the cluster knows this node's log", {{"log", FormatHex(own_.log.value())}});
}

bool AdmissionDesk::MayFound(std::uint64_t now_ms) const {
  if (!own_.founder || !storage_empty_) return false;
  const std::vector<NodeId>& founders = core_.membership().voters;
  const auto is_empty = [this](NodeId id) { return id == own_.node || empty_.contains(id); };
  if (std::all_of(founders.begin(), founders.end(), is_empty)) return true;
  return now_ms - *asking_since_ms_ >= kFoundingMs && HasQuorum(core_.membership(), is_empty);
}

void AdmissionDesk::AskAll(std::uint64_t now_ms) {
  asked_at_ms_ = now_ms;
  for (const auto& [peer, endpoint] : peers_.links()) {
    peers_.Send(peer, LogClaim{.log = own_.log.value()});
  }
}

/// Until its log is noted a member says to the leader which it is. One that hears of no leader asks
/// around: it may have been removed.
void AdmissionDesk::Remind(std::uint64_t now_ms) {
  const View view = core_.GetView();
  const bool unknown =
      view.leader != own_.node && !NotedLog(own_.node) && IsMember(core_.membership(), own_.node);
  if ((view.leader && !unknown) || now_ms - reminded_at_ms_ < kRemindMs) return;
  reminded_at_ms_ = now_ms;
  if (view.leader) {
    peers_.Send(view.leader, LogClaim{.log = own_.log.value()});
  } else {
    AskAll(now_ms);
  }
}

}  // namespace bedrock::raft
