#include "raftd/server/transfer_desk.h"

#include <utility>

namespace bedrock::raft {

namespace {

proto::Error Refusal(Transferring result, NodeId to, const View& view) {
  using proto::ErrorCode;
  const std::string target = to ? FormatNodeId(to) : "any other voter";
  switch (result) {
    case Transferring::kStarted:
      return {};
    case Transferring::kNotLeader:
      return {.code = ErrorCode::kNotLeader, .detail = "this node does not lead"};
    case Transferring::kNotVoter:
      return {.code = ErrorCode::kInvalidArgument, .detail = target + " is not a voter"};
    case Transferring::kUnreachable:
      return {.code = ErrorCode::kUnsafeMembershipChange,
              .detail = target + " does not answer, or lags too far behind"};
    case Transferring::kBusy:
      return {.code = ErrorCode::kOverloaded,
              .detail = "leadership is being handed to " + FormatNodeId(view.handing_over_to)};
  }
  return {};
}

}  // namespace

void TransferDesk::OnTransfer(const std::string& from, RequestId request,
                              const proto::TransferLeadership& transfer, std::uint64_t now_ms) {
  if (waiting_.size() >= kWaitingMax) {
    Answer(from, request,
           {.code = proto::ErrorCode::kOverloaded, .detail = "too many transfers wait"});
    return;
  }
  const Transferring result = core_.Transfer(transfer.to);
  const View view = core_.GetView();
  if (result != Transferring::kStarted || !view.handing_over_to) {
    Answer(from, request, Refusal(result, transfer.to, view));
    return;
  }
  waiting_.push_back({.router = from,
                      .request = request,
                      .to = view.handing_over_to,
                      .term = view.term,
                      .deadline_ms = now_ms + kPatienceMs});
}

void TransferDesk::Settle(std::uint64_t now_ms) {
  std::erase_if(waiting_, [&](const Waiting& waiting) {
    std::optional<proto::Error> error = Outcome(waiting, now_ms);
    if (error) Answer(waiting.router, waiting.request, *std::move(error));
    return error.has_value();
  });
}

std::optional<proto::Error> TransferDesk::Outcome(const Waiting& waiting,
                                                  std::uint64_t now_ms) const {
  const View view = core_.GetView();
  if (view.term == waiting.term && view.handing_over_to == waiting.to) return std::nullopt;
  if (!view.leader) {
    if (now_ms < waiting.deadline_ms) return std::nullopt;
    return proto::Error{.code = proto::ErrorCode::kNoLeader, .detail = "nobody leads since"};
  }
  if (view.leader == waiting.to) return proto::Error();
  return proto::Error{.code = proto::ErrorCode::kDeadlineExceeded,
                      .detail = FormatNodeId(waiting.to) + " did not take over in time: " +
                                FormatNodeId(view.leader) + " leads"};
}

void TransferDesk::Answer(const std::string& router, RequestId request, proto::Error error) {
  const View view = core_.GetView();
  frames_.ToCaller(router, request,
                   proto::TransferLeadershipReply{
                       .error = std::move(error), .leader = view.leader, .term = view.term});
}

}  // namespace bedrock::raft
