#include "routerd/messaging/client_front.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace bedrock::router {
namespace {

using proto::Error;
using proto::ErrorCode;

Error CheckKey(const Bytes& key) {
  if (key.empty()) return MakeError(ErrorCode::kInvalidArgument, "the key is empty");
  if (key.size() <= proto::kKeyBytesMax) return {};
  Error error = MakeError(ErrorCode::kKeyTooLarge, "the key is too long");
  error.limit = proto::kKeyBytesMax;
  error.actual = key.size();
  return error;
}

proto::MemberStatus StatusOfMember(const MemberView& view) {
  proto::MemberStatus status;
  status.id = view.id;
  status.voter = view.voter;
  status.raft = view.raft;
  status.client = view.client;
  status.http = view.http;
  status.role = view.state;
  status.match_index = view.match_index;
  return status;
}

}  // namespace

ClientFront::ClientFront(const ClientFrontOptions& options, Gateway& gateway, Clock& clock,
                         SendFrame send)
    : options_(options),
      gateway_(gateway),
      clock_(clock),
      frames_({.cluster = options.cluster, .node = options.node, .boot = options.boot},
              std::move(send)) {}

void ClientFront::OnFrame(std::string_view from, const Bytes& frame) {
  const std::string client(from);
  const auto refuse_all = [&](ErrorCode code, std::string_view detail) {
    Reply(client, RequestId(), proto::Refusal{MakeError(code, detail)});
  };
  const auto decoded = proto::DecodeFrame(frame);
  if (!decoded.ok()) {
    return refuse_all(ErrorCode::kInvalidArgument, decoded.status().message());
  }
  if (decoded->header.protocol != proto::kProtocolVersion) {
    return refuse_all(ErrorCode::kUnsupportedProtocol, "this node speaks protocol version " +
                                                           std::to_string(proto::kProtocolVersion));
  }
  const ClusterId cluster = decoded->header.cluster;
  for (const proto::Packet& packet : decoded->packets) {
    if (cluster && cluster != options_.cluster) {
      Reply(client, packet.request,
            proto::Refusal{
                MakeError(ErrorCode::kWrongCluster,
                          "this node belongs to cluster " + FormatClusterId(options_.cluster))});
    } else {
      OnPacket({client, packet, decoded->header.node, frame.size()});
    }
  }
}

void ClientFront::OnPacket(const Arrival& arrival) {
  const proto::Packet& packet = arrival.packet;
  if (const auto* get = std::get_if<proto::ClientGet>(&packet.message)) {
    Get(arrival, *get);
  } else if (const auto* write = std::get_if<proto::ClientWrite>(&packet.message)) {
    Write(arrival, *write);
  } else if (const auto* query = std::get_if<proto::ClientQuery>(&packet.message)) {
    Query(arrival, *query);
  } else if (const auto* step = std::get_if<proto::ClientTransaction>(&packet.message)) {
    Transact(arrival, *step);
  } else if (const auto* change = std::get_if<proto::ChangeMembers>(&packet.message)) {
    ChangeMembers(arrival, *change);
  } else if (const auto* transfer = std::get_if<proto::TransferLeadership>(&packet.message)) {
    Transfer(arrival, *transfer);
  } else if (std::holds_alternative<proto::RaftStatusQuery>(packet.message)) {
    Reply(arrival.client, packet.request, Status());
  } else if (!std::holds_alternative<proto::Refusal>(packet.message)) {
    // A Refusal is never answered: two that refuse each other would never end.
    const bool unknown = std::holds_alternative<proto::UnknownKind>(packet.message);
    Reply(arrival.client, packet.request,
          proto::Refusal{
              MakeError(unknown ? ErrorCode::kUnsupportedProtocol : ErrorCode::kInvalidArgument,
                        "clients may send ClientGet, ClientQuery, ClientWrite, ClientTransaction, "
                        "ChangeMembers, TransferLeadership and RaftStatusQuery")});
  }
}

Error ClientFront::Admit() const {
  if (shutting_down_) {
    return MakeError(ErrorCode::kShuttingDown, "this node's router is shutting down");
  }
  if (pending_.size() < kPendingMax) return {};
  Error error = MakeError(ErrorCode::kOverloaded, "too many requests are pending on this node");
  error.limit = kPendingMax;
  return error;
}

std::uint64_t ClientFront::DeadlineOf(const proto::Packet& packet) const {
  const std::uint64_t timeout = packet.timeout_ms == 0
                                    ? kTimeoutMsDefault
                                    : std::min<std::uint64_t>(packet.timeout_ms, kTimeoutMsMax);
  return clock_.MonotonicMs() + timeout;
}

Ticket ClientFront::Expect(const Arrival& arrival, Kind kind) {
  return {Ticket::Front::kMessaging,
          pending_.Insert({arrival.client, arrival.packet.request, kind}).Pack()};
}

Bytes ClientFront::Keep(const Bytes& part, const Arrival& arrival) {
  // What waits must not keep a frame many times its size; what fills its frame need not be copied.
  return 2 * part.size() >= arrival.frame_bytes ? part : Bytes::Copy(part.view());
}

void ClientFront::Get(const Arrival& arrival, const proto::ClientGet& get) {
  Error error = CheckKey(get.key);
  if (error.ok()) error = Admit();
  if (!error.ok()) {
    proto::ClientGetReply reply;
    reply.error = std::move(error);
    return Reply(arrival.client, arrival.packet.request, reply);
  }
  ReadRequest read;
  read.ticket = Expect(arrival, Kind::kGet);
  read.key = Bytes::Copy(get.key.view());  // a slice would keep the whole frame
  read.consistency = get.consistency;
  read.min_version = get.min_version;
  read.at = get.at;
  read.deadline_ms = DeadlineOf(arrival.packet);
  gateway_.Read(std::move(read));
}

void ClientFront::Query(const Arrival& arrival, const proto::ClientQuery& query) {
  Error error = Admit();
  auto command = proto::DecodeCommand(query.command.view());
  if (error.ok() && !command.ok()) {
    error = MakeError(ErrorCode::kInvalidArgument, command.status().message());
  }
  if (!error.ok()) {
    proto::ClientQueryReply reply;
    reply.error = std::move(error);
    return Reply(arrival.client, arrival.packet.request, reply);
  }
  QueryRequest request;
  request.ticket = Expect(arrival, Kind::kQuery);
  request.query = *std::move(command);
  request.consistency = query.consistency;
  request.min_version = query.min_version;
  request.at = query.at;
  request.deadline_ms = DeadlineOf(arrival.packet);
  gateway_.Query(std::move(request));
}

void ClientFront::Write(const Arrival& arrival, const proto::ClientWrite& write) {
  if (Error error = Admit(); !error.ok()) {
    proto::ClientWriteReply reply;
    reply.error = std::move(error);
    return Reply(arrival.client, arrival.packet.request, reply);
  }
  ClientCommand command;
  command.ticket = Expect(arrival, Kind::kWrite);
  command.command = Keep(write.command, arrival);
  command.deadline_ms = DeadlineOf(arrival.packet);
  gateway_.Write(command);
}

void ClientFront::Transact(const Arrival& arrival, const proto::ClientTransaction& step) {
  if (Error error = Admit(); !error.ok()) {
    proto::ClientTransactionReply reply;
    reply.error = std::move(error);
    // It may be sent again, after one that is still under way.
    if (step.action == proto::ClientTransaction::Action::kCommit) {
      reply.error.outcome = proto::Outcome::kUnknown;
    }
    reply.id = step.id;
    return Reply(arrival.client, arrival.packet.request, reply);
  }
  TransactionStep request;
  request.ticket = Expect(arrival, Kind::kTransaction);
  request.step = step;
  request.step.command = Keep(step.command, arrival);
  request.passed_on = static_cast<bool>(arrival.router);
  request.deadline_ms = DeadlineOf(arrival.packet);
  gateway_.Transact(std::move(request));
}

void ClientFront::ChangeMembers(const Arrival& arrival, const proto::ChangeMembers& change) {
  Error error = Admit();
  if (error.ok() && !change.node) error = MakeError(ErrorCode::kInvalidArgument, "names no node");
  if (!error.ok()) {
    return Reply(arrival.client, arrival.packet.request,
                 proto::ChangeMembersReply{.error = std::move(error)});
  }
  MembershipRequest request;
  request.ticket = Expect(arrival, Kind::kMembers);
  request.wish = change;
  request.deadline_ms = DeadlineOf(arrival.packet);
  gateway_.ChangeMembership(std::move(request));
}

void ClientFront::Transfer(const Arrival& arrival, const proto::TransferLeadership& transfer) {
  Error error = Admit();
  // Asked again, a transfer to any node would go on to the next.
  if (error.ok() && !transfer.to) error = MakeError(ErrorCode::kInvalidArgument, "names no node");
  if (!error.ok()) {
    return Reply(arrival.client, arrival.packet.request,
                 proto::TransferLeadershipReply{.error = std::move(error)});
  }
  MembershipRequest request;
  request.ticket = Expect(arrival, Kind::kTransfer);
  request.wish = transfer;
  request.deadline_ms = DeadlineOf(arrival.packet);
  gateway_.ChangeMembership(std::move(request));
}

void ClientFront::ReplyGet(const Pending& whom, Completion completion) {
  proto::ClientGetReply reply;
  reply.error = std::move(completion.error);
  if (reply.error.ok() && !completion.found) {
    reply.error = MakeError(ErrorCode::kKeyNotFound, "no such key");
  }
  reply.value = std::move(completion.value);
  reply.version = completion.version;
  reply.read_version = completion.read_version;
  Reply(whom.client, whom.request, reply);
}

void ClientFront::Complete(Completion completion) {
  const SlotHandle handle = SlotHandle::Unpack(completion.ticket.id);
  Pending* pending = pending_.Find(handle);
  if (pending == nullptr) return;
  const Pending whom = std::move(*pending);
  pending_.Erase(handle);
  switch (whom.kind) {
    case Kind::kGet:
      return ReplyGet(whom, std::move(completion));
    case Kind::kWrite:
      return Reply(whom.client, whom.request,
                   proto::ClientWriteReply{std::move(completion.error), completion.version,
                                           completion.current, std::move(completion.result)});
    case Kind::kQuery:
      return Reply(whom.client, whom.request,
                   proto::ClientQueryReply{std::move(completion.error),
                                           std::move(completion.result), completion.read_version});
    case Kind::kMembers:
      return Reply(whom.client, whom.request,
                   proto::ChangeMembersReply{.error = std::move(completion.error),
                                             .leader = completion.leader,
                                             .index = LogIndex(completion.version.value())});
    case Kind::kTransfer:
      return Reply(whom.client, whom.request,
                   proto::TransferLeadershipReply{.error = std::move(completion.error),
                                                  .leader = completion.leader,
                                                  .term = completion.term});
    case Kind::kTransaction:
      return Reply(whom.client, whom.request,
                   proto::ClientTransactionReply{
                       std::move(completion.error), std::move(completion.transaction),
                       completion.version, completion.read_version, std::move(completion.result)});
  }
}

proto::RaftStatus ClientFront::Status() const {
  const ClusterView view = gateway_.Cluster();
  proto::RaftStatus status;
  status.node = options_.node;
  status.leader = view.leader;
  status.term = view.term;
  status.commit = view.commit_index;
  status.software = options_.software;
  status.role = proto::Role::kUnreachable;
  for (const MemberView& member : view.members) {
    status.members.push_back(StatusOfMember(member));
    if (member.id != options_.node) continue;
    status.role = member.state;
    status.applied = member.applied_index;
    if (member.storage_up) status.storage_health = ErrorCode::kOk;
    if (member.diverged_at) status.storage_health = ErrorCode::kDiverged;
  }
  return status;
}

void ClientFront::Reply(const std::string& to, RequestId request, const proto::Message& message) {
  frames_.Add(to, request, message);
}

void ClientFront::Flush() { frames_.Flush(); }

}  // namespace bedrock::router
