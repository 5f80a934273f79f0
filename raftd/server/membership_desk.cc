#include "raftd/server/membership_desk.h"

#include <utility>

#include "bedrock/result.h"
#include "common/base/status_macros.h"
#include "common/config/node_config.h"

namespace bedrock::raft {

namespace {

proto::Error Refusal(Reconfiguring result, NodeId node) {
  using proto::ErrorCode;
  const std::string name = FormatNodeId(node);
  switch (result) {
    case Reconfiguring::kStarted:
    case Reconfiguring::kNothing:
      return {};
    case Reconfiguring::kNotLeader:
      return {.code = ErrorCode::kNotLeader, .detail = "this node does not lead"};
    case Reconfiguring::kMoving:
      return {.code = ErrorCode::kUnsafeMembershipChange,
              .detail = "leadership is being handed over: try again"};
    case Reconfiguring::kBusy:
      return {.code = ErrorCode::kUnsafeMembershipChange,
              .detail = "the change before is not over: try again"};
    case Reconfiguring::kMemberExists:
      return {.code = ErrorCode::kMemberExists, .detail = name + " is a member"};
    case Reconfiguring::kWasMember:
      return {.code = ErrorCode::kMemberExists,
              .detail = name + " was a member once: ids are not used again, choose another"};
    case Reconfiguring::kNoMember:
      return {.code = ErrorCode::kMemberNotFound, .detail = name + " is not a member"};
    case Reconfiguring::kInvalid:
      return {.code = ErrorCode::kInvalidArgument,
              .detail = "it would leave no voter, or too many members"};
    case Reconfiguring::kLosesQuorum:
      return {.code = ErrorCode::kUnsafeMembershipChange,
              .detail = "the voters that would be left and answer now are no majority"};
  }
  return {};
}

/// invalid_argument where a new node's endpoints are none, or another member's.
Result<NewMember> NewMemberOf(const proto::ChangeMembers& change, const Membership& now) {
  const config::Member member{.id = change.node,
                              .raft = change.raft,
                              .storage = change.storage,
                              .client = change.client,
                              .http = change.http};
  std::string line = config::FormatMember(member);
  ASSIGN_OR_RETURN(const config::Member understood, config::ParseMember(line));
  if (understood != member) return Status::InvalidArgument("an endpoint is none: " + line);
  for (const MemberAddress& address : now.addresses) {
    const Result<config::Member> other = config::ParseMember(address.text);
    if (!other.ok() || other->id == member.id) continue;
    if (other->raft == member.raft || other->storage == member.storage ||
        other->client == member.client || other->http == member.http) {
      return Status::InvalidArgument(FormatNodeId(other->id) + " has one of these endpoints");
    }
  }
  return NewMember{
      .id = change.node, .promote = AutoPromote(change.promote), .address = std::move(line)};
}

Result<Delta> DeltaOf(const proto::ChangeMembers& change, const Membership& now) {
  using Kind = proto::ChangeMembers::Kind;
  Delta delta;
  switch (change.kind) {
    case Kind::kAdd: {
      ASSIGN_OR_RETURN(NewMember member, NewMemberOf(change, now));
      delta.add.push_back(std::move(member));
      break;
    }
    case Kind::kPromote:
      delta.promote.push_back(change.node);
      break;
    case Kind::kDemote:
      delta.demote.push_back(change.node);
      break;
    case Kind::kRemove:
      delta.remove.push_back(change.node);
      break;
  }
  return delta;
}

}  // namespace

void MembershipDesk::OnChange(const std::string& from, RequestId request,
                              const proto::ChangeMembers& change, std::uint64_t now_ms) {
  if (waiting_.size() >= kWaitingMax) {
    Answer(from, request, LogIndex(),
           {.code = proto::ErrorCode::kOverloaded, .detail = "too many changes wait"});
    return;
  }
  Result<Delta> delta = DeltaOf(change, core_.membership());
  if (!delta.ok()) {
    Answer(from, request, LogIndex(),
           {.code = proto::ErrorCode::kInvalidArgument,
            .detail = std::string(delta.status().message())});
    return;
  }
  waiting_.push_back({.router = from,
                      .request = request,
                      .node = change.node,
                      .delta = std::move(delta).value(),
                      .started = {},
                      .deadline_ms = now_ms + kTurnMs});
  Settle(now_ms);
}

void MembershipDesk::Settle(std::uint64_t now_ms) {
  // In order: who came first is tried first.
  std::erase_if(waiting_, [&](Waiting& waiting) {
    std::optional<proto::Error> error = Step(waiting, now_ms);
    if (!error) return false;
    const LogIndex index =
        waiting.started ? waiting.started->index : core_.GetView().membership_index;
    Answer(waiting.router, waiting.request, index, *std::move(error));
    return true;
  });
}

std::optional<proto::Error> MembershipDesk::Step(Waiting& waiting, std::uint64_t now_ms) {
  const bool late = now_ms >= waiting.deadline_ms;
  if (waiting.started) return Outcome(*waiting.started, late);
  const Reconfiguring result = core_.Reconfigure(waiting.delta);
  if (result == Reconfiguring::kStarted) {
    const View view = core_.GetView();
    waiting.started = {.index = view.membership_index, .term = view.term};
    waiting.deadline_ms = now_ms + kPatienceMs;
    return std::nullopt;
  }
  const bool turn_comes = result == Reconfiguring::kBusy || result == Reconfiguring::kMoving;
  if (turn_comes && !late) return std::nullopt;
  return Refusal(result, waiting.node);
}

std::optional<proto::Error> MembershipDesk::Outcome(const Started& started, bool late) const {
  const View view = core_.GetView();
  if (view.commit >= started.index) {
    const std::optional<Term> term = core_.TermAt(started.index);
    // What a leader has appended stays while it leads, compacted or not.
    const bool leads_on = view.role == Role::kLeader && view.term == started.term;
    if (leads_on || term == started.term) return proto::Error();
    if (term) {
      return proto::Error{.code = proto::ErrorCode::kNotLeader,
                          .detail = "another leader's entry was committed in its place"};
    }
    late = true;
  }
  if (!late) return std::nullopt;
  return proto::Error{
      .code = proto::ErrorCode::kDeadlineExceeded,
      .detail = "the change was begun, and it is not known whether it was committed",
      .outcome = proto::Outcome::kUnknown};
}

void MembershipDesk::Answer(const std::string& router, RequestId request, LogIndex index,
                            proto::Error error) {
  frames_.ToCaller(
      router, request,
      proto::ChangeMembersReply{
          .error = std::move(error), .leader = core_.GetView().leader, .index = index});
}

}  // namespace bedrock::raft
