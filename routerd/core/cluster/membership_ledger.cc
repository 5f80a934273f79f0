#include "routerd/core/cluster/membership_ledger.h"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "routerd/core/base/backoff.h"

namespace bedrock::router {
namespace {

using proto::Error;
using proto::ErrorCode;
using proto::Outcome;
using Kind = proto::ChangeMembers::Kind;

const proto::MemberStatus* RowOf(const proto::RaftStatus& status, NodeId id) {
  const auto row =
      std::find_if(status.members.begin(), status.members.end(),
                   [id](const proto::MemberStatus& member) { return member.id == id; });
  return row == status.members.end() ? nullptr : &*row;
}

/// Whether the refusal is about the raftd that gave it, or about this moment: asked again,
/// elsewhere or later, the answer may be another.
bool IsPassing(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotLeader:
    case ErrorCode::kNoLeader:
    case ErrorCode::kOverloaded:  // another change, or a transfer, is under way
    case ErrorCode::kStorageUnavailable:
    case ErrorCode::kShuttingDown:
      return true;
    default:
      return false;
  }
}

/// What a change that is under way will have done.
std::string Goal(const proto::ChangeMembers& wish) {
  std::string name = FormatNodeId(wish.node);
  switch (wish.kind) {
    case Kind::kAdd:
      return name + " becomes a member";
    case Kind::kPromote:
      return name + " becomes a voter as soon as it has caught up";
    case Kind::kDemote:
      return name + " becomes a learner";
    case Kind::kRemove:
      return name + " leaves";
  }
  return name;
}

}  // namespace

void MembershipLedger::Begin(MembershipRequest request, std::uint64_t now_ms, Effects* effects) {
  Change change;
  change.request = std::move(request);
  if (changes_.size() >= kChangesMax) {
    Completion completion;
    completion.ticket = change.request.ticket;
    completion.is_write = true;
    completion.error =
        MakeError(ErrorCode::kOverloaded, "too many changes of the membership are in flight");
    completion.error.limit = kChangesMax;
    effects->completions.push_back(std::move(completion));
    return;
  }
  const SlotHandle handle = changes_.Insert(std::move(change));
  Step(handle, changes_.Find(handle), now_ms, effects);
}

void MembershipLedger::Step(SlotHandle handle, Change* change, std::uint64_t now_ms,
                            Effects* effects) {
  if (change->decided && IsOver(*change->wish(), now_ms)) {
    Completion completion;
    completion.version = Version(change->index.value());
    completion.served_by = change->answered_by;
    return Finish(handle, std::move(completion), now_ms, effects);
  }
  if (now_ms >= change->request.deadline_ms) {
    return Fail(handle, WhyExpired(*change, now_ms), now_ms, effects);
  }
  if (change->decided) return;
  const LeaderCache::Leader leader = nodes_.leader(now_ms);
  const bool moved = change->sent && leader.node && leader != change->target;
  if (!moved && now_ms < change->wake_ms) return;
  if (change->sent) change->in_doubt = true;
  change->sent = false;
  if (leader.node) Send(handle, change, leader, now_ms, effects);
}

void MembershipLedger::Send(SlotHandle handle, Change* change, const LeaderCache::Leader& leader,
                            std::uint64_t now_ms, Effects* effects) {
  change->sent = true;
  change->target = leader;
  change->wake_ms =
      now_ms + Doubling(options_.write_attempt_ms, 4 * options_.write_attempt_ms, change->attempts);
  ++change->attempts;
  router::Send send;
  send.node = leader.node;
  send.daemon = Daemon::kRaftd;
  send.request = MakeRequestId({RequestKind::kMembership, handle, change->attempts});
  send.timeout_ms = static_cast<std::uint32_t>(change->request.deadline_ms - now_ms);
  if (const proto::ChangeMembers* wish = change->wish()) {
    send.message = *wish;
  } else {
    send.message = std::get<proto::TransferLeadership>(change->request.wish);
  }
  effects->sends.push_back(std::move(send));
}

void MembershipLedger::Retry(Change* change, const Error& error, std::uint64_t now_ms) const {
  change->sent = false;
  change->refusal = error;
  change->wake_ms =
      now_ms + Doubling(options_.retry_ms_min, options_.retry_ms_max, change->attempts);
}

MembershipLedger::Change* MembershipLedger::Answered(NodeId from, const RequestName& name) {
  Change* change = changes_.Find(name.handle);
  if (change == nullptr || !change->sent || change->target.node != from ||
      name.attempt != change->attempts % kAttemptsMax) {
    return nullptr;
  }
  return change;
}

void MembershipLedger::OnReply(NodeId from, const RequestName& name,
                               const proto::ChangeMembersReply& reply, std::uint64_t now_ms,
                               Effects* effects) {
  if (!reply.error.ok()) {
    Change* change = Answered(from, name);
    if (change != nullptr && change->wish() != nullptr) {
      OnError(name.handle, change, reply.error, now_ms, effects);
    }
    return;
  }
  // Any attempt's success is the request's.
  Change* change = changes_.Find(name.handle);
  if (change == nullptr || change->wish() == nullptr || change->decided) return;
  change->decided = true;
  change->sent = false;
  change->answered_by = from;
  change->index = reply.index;
  Step(name.handle, change, now_ms, effects);
}

void MembershipLedger::OnReply(NodeId from, const RequestName& name,
                               const proto::TransferLeadershipReply& reply, std::uint64_t now_ms,
                               Effects* effects) {
  if (from != reply.leader) nodes_.OnLeaderNamed(from, reply.leader, reply.term, now_ms);
  Change* change = Answered(from, name);
  if (change == nullptr || change->wish() != nullptr) return;
  if (!reply.error.ok()) return OnError(name.handle, change, reply.error, now_ms, effects);
  Completion completion;
  completion.served_by = from;
  completion.leader = reply.leader;
  completion.term = reply.term;
  Finish(name.handle, std::move(completion), now_ms, effects);
}

void MembershipLedger::OnRefused(NodeId from, const RequestName& name, const Error& error,
                                 std::uint64_t now_ms, Effects* effects) {
  if (Change* change = Answered(from, name)) OnError(name.handle, change, error, now_ms, effects);
}

void MembershipLedger::OnError(SlotHandle handle, Change* change, const Error& error,
                               std::uint64_t now_ms, Effects* effects) {
  const proto::ChangeMembers* wish = change->wish();
  if (error.outcome == Outcome::kUnknown) change->in_doubt = true;
  const bool may_be_ours = wish != nullptr && wish->kind == Kind::kAdd && change->in_doubt;
  if (error.code == ErrorCode::kMemberExists && may_be_ours) {
    const std::optional<bool> there = IsThere(*wish, now_ms);
    if (!there) return Retry(change, error, now_ms);
    if (*there) {
      Completion completion;
      completion.served_by = change->target.node;
      return Finish(handle, std::move(completion), now_ms, effects);
    }
  }
  // What an earlier attempt began may be what is in this one's way.
  const bool own_way = error.code == ErrorCode::kUnsafeMembershipChange && change->in_doubt;
  const bool begun = error.code == ErrorCode::kDeadlineExceeded && wish != nullptr;
  if (IsPassing(error.code) || own_way || begun) return Retry(change, error, now_ms);
  Error final_error = error;
  if (change->in_doubt) final_error.outcome = Outcome::kUnknown;
  if (wish == nullptr && error.code == ErrorCode::kInvalidArgument) {
    const NodeId to = std::get<proto::TransferLeadership>(change->request.wish).to;
    const proto::RaftStatus* leader = nodes_.LeaderStatus(now_ms);
    if (leader != nullptr && RowOf(*leader, to) == nullptr) {
      final_error.code = ErrorCode::kMemberNotFound;
      final_error.detail = FormatNodeId(to) + " is not a member";
    }
  }
  Fail(handle, std::move(final_error), now_ms, effects);
}

void MembershipLedger::OnUnsent(const RequestName& name, std::uint64_t now_ms) {
  Change* change = changes_.Find(name.handle);
  if (change == nullptr || !change->sent || name.attempt != change->attempts % kAttemptsMax) return;
  Retry(change, Error(), now_ms);
}

void MembershipLedger::Advance(std::uint64_t now_ms, Effects* effects) {
  if (changes_.size() == 0) return;
  std::vector<SlotHandle> handles;
  changes_.ForEach([&handles](SlotHandle handle, Change&) { handles.push_back(handle); });
  for (const SlotHandle handle : handles) Step(handle, changes_.Find(handle), now_ms, effects);
}

bool MembershipLedger::IsOver(const proto::ChangeMembers& wish, std::uint64_t now_ms) const {
  if (wish.kind == Kind::kAdd) return true;
  const proto::RaftStatus* leader = nodes_.LeaderStatus(now_ms);
  if (leader == nullptr) return false;
  const proto::MemberStatus* row = RowOf(*leader, wish.node);
  switch (wish.kind) {
    case Kind::kPromote:
      return row != nullptr && row->voter;
    case Kind::kDemote:
      return row == nullptr || !row->voter;
    default:
      return row == nullptr;
  }
}

std::optional<bool> MembershipLedger::IsThere(const proto::ChangeMembers& wish,
                                              std::uint64_t now_ms) const {
  const proto::RaftStatus* leader = nodes_.LeaderStatus(now_ms);
  if (leader == nullptr) return std::nullopt;
  const proto::MemberStatus* row = RowOf(*leader, wish.node);
  return row != nullptr && row->raft == wish.raft && row->storage == wish.storage &&
         row->client == wish.client && row->http == wish.http;
}

Error MembershipLedger::WhyExpired(const Change& change, std::uint64_t now_ms) const {
  if (change.decided) {
    return MakeError(ErrorCode::kDeadlineExceeded,
                     "under way and not over yet: " + Goal(*change.wish()) +
                         "; the membership of the cluster tells when",
                     Outcome::kUnknown);
  }
  if (change.sent || change.in_doubt) {
    return MakeError(ErrorCode::kDeadlineExceeded,
                     "the leader was asked, and no answer came in time", Outcome::kUnknown);
  }
  if (!nodes_.leader(now_ms).node) {
    return MakeError(ErrorCode::kNoLeader, "no leader was found in time");
  }
  if (change.attempts > 0 && change.refusal.ok()) {
    return MakeError(ErrorCode::kNoLeader, "the last known leader can't be reached");
  }
  const std::string detail = "refused: " + change.refusal.detail;
  switch (change.refusal.code) {
    case ErrorCode::kOverloaded:
      return MakeError(ErrorCode::kUnsafeMembershipChange, detail);
    case ErrorCode::kNotLeader:
    case ErrorCode::kNoLeader:
      return MakeError(ErrorCode::kNoLeader, detail);
    case ErrorCode::kStorageUnavailable:
    case ErrorCode::kShuttingDown:
      return MakeError(change.refusal.code, detail);
    default:
      return MakeError(ErrorCode::kDeadlineExceeded, "the leader could not be asked in time");
  }
}

void MembershipLedger::Fail(SlotHandle handle, Error error, std::uint64_t now_ms,
                            Effects* effects) {
  Completion completion;
  completion.error = std::move(error);
  Finish(handle, std::move(completion), now_ms, effects);
}

void MembershipLedger::Finish(SlotHandle handle, Completion completion, std::uint64_t now_ms,
                              Effects* effects) {
  completion.ticket = changes_.Find(handle)->request.ticket;
  completion.is_write = true;
  if (!completion.leader) completion.leader = nodes_.leader(now_ms).node;
  changes_.Erase(handle);
  effects->completions.push_back(std::move(completion));
}

}  // namespace bedrock::router
