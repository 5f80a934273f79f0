#include "raftd/server/router_desk.h"

#include <algorithm>
#include <span>
#include <utility>

#include "proto/command.h"

namespace bedrock::raft {

namespace {

proto::ProposeRefused MakeRefusal(const Raft& core, proto::Error error) {
  const View view = core.GetView();
  return {.error = std::move(error), .leader = view.leader, .term = view.term};
}

constexpr const char* kDiskFull = "the leader's disk is full";

bool OnlyFreesRoom(const Bytes& encoded) {
  const auto command = proto::DecodeCommand(encoded.view());
  return command.ok() && proto::FreesRoom(*command);
}

}  // namespace

void RouterDesk::OnPropose(const std::string& from, RequestId request, std::uint32_t timeout_ms,
                           const proto::Propose& propose, std::uint64_t now_ms) {
  const Waiting waiting{from, request};
  if (propose.command.size() > proto::kCommandBytesMax) {
    proto::Error error{.code = proto::ErrorCode::kTransactionTooLarge,
                       .detail = "the command is too large",
                       .limit = proto::kCommandBytesMax,
                       .actual = propose.command.size()};
    frames_.ToCaller(from, request, MakeRefusal(core_, std::move(error)));
  } else if (propose.command.empty()) {
    Refuse(waiting, proto::ErrorCode::kInvalidArgument, "the command is empty");
  } else if (proposals_.size() >= ledger_.room()) {
    Refuse(waiting, proto::ErrorCode::kOverloaded, "too many writes wait to be applied");
  } else {
    proposals_.push_back({.from = waiting,
                          .received_ms = now_ms,
                          .timeout_ms = timeout_ms,
                          .command = propose.command});
  }
}

void RouterDesk::OnReadIndexQuery(const std::string& from, RequestId request) {
  if (reads_pending_ >= limits_.reads_pending_max) {
    proto::Error error{.code = proto::ErrorCode::kOverloaded,
                       .detail = "too many reads wait for a read index"};
    frames_.ToCaller(from, request, proto::ReadIndexAnswer{std::move(error), LogIndex()});
    return;
  }
  ++reads_pending_;
  readers_.push_back({from, request});
}

void RouterDesk::Heard(const std::string& from, std::uint64_t now_ms) {
  if (routers_.size() >= limits_.routers_max && !routers_.contains(from)) {
    std::erase_if(routers_, [&](const auto& router) {
      return now_ms - router.second > limits_.router_recent_ms;
    });
    if (routers_.size() >= limits_.routers_max) return;
  }
  routers_[from] = now_ms;
}

void RouterDesk::HandOver(const Situation& situation) {
  if (!proposals_.empty()) {
    DropExpired(situation.now_ms);
    ProposeAll(situation);
  }
  if (!readers_.empty()) {
    last_ticket_ = last_ticket_.Next();
    reads_.emplace(last_ticket_, std::exchange(readers_, {}));
    core_.Read(last_ticket_);
  }
}

void RouterDesk::DropExpired(std::uint64_t now_ms) {
  std::erase_if(proposals_, [&](const Proposal& proposal) {
    if (proposal.timeout_ms == 0 || now_ms - proposal.received_ms < proposal.timeout_ms) {
      return false;
    }
    Refuse(proposal.from, proto::ErrorCode::kDeadlineExceeded, "the deadline passed unproposed");
    return true;
  });
}

void RouterDesk::ProposeAll(const Situation& situation) {
  std::vector<Bytes> commands = Commands();
  // The core takes all or none. Where it is too busy for all, the first ones still get what room
  // there is.
  std::size_t first = 0;
  std::size_t chunk = commands.size();
  FreesRoom frees_room = FreesRoom::kNo;
  while (first < commands.size()) {
    chunk = std::min(chunk, commands.size() - first);
    const auto next = std::span<const Bytes>(commands).subspan(first, chunk);
    const Proposed proposed = core_.Propose(next, situation.wall_ms, frees_room);
    if (!proposed.refused) {
      NoteWritten(proposed, next);
      for (std::size_t i = 0; i < chunk; ++i) {
        Waiting& from = proposals_[first + i].from;
        ledger_.Add(proposed.first + i, proposed.term,
                    {.router = std::move(from.router), .request = from.request});
      }
      first += chunk;
      moving_since_ms_.reset();
    } else if (*proposed.refused == Refused::kBusy && chunk > 1) {
      chunk /= 2;
    } else if (*proposed.refused == Refused::kDiskFull && !frees_room) {
      RefuseWhatTakesRoom();
      moving_since_ms_.reset();
      commands = Commands();
      frees_room = FreesRoom::kYes;
    } else if (MayWait(*proposed.refused, situation.now_ms)) {
      break;
    } else {
      RefuseRest(first, *proposed.refused, situation);
      first = commands.size();
    }
  }
  proposals_.erase(proposals_.begin(), proposals_.begin() + static_cast<std::ptrdiff_t>(first));
}

void RouterDesk::NoteWritten(const Proposed& proposed, std::span<const Bytes> commands) {
  for (std::size_t i = commands.size(); i-- > 0;) {
    if (proto::IsWatermark(commands[i].view())) continue;
    written_ = {proposed.term, proposed.first + i};
    return;
  }
}

bool RouterDesk::MayWait(Refused reason, std::uint64_t now_ms) {
  const bool unsettled =
      reason == Refused::kMoving ||
      (reason == Refused::kNotLeader && moving_since_ms_ && !core_.GetView().leader);
  if (!unsettled) {
    moving_since_ms_.reset();
    return false;
  }
  if (!moving_since_ms_) moving_since_ms_ = now_ms;
  return now_ms - *moving_since_ms_ < limits_.hand_over_ms;
}

std::vector<Bytes> RouterDesk::Commands() const {
  std::vector<Bytes> commands;
  commands.reserve(proposals_.size());
  for (const Proposal& proposal : proposals_) commands.push_back(proposal.command);
  return commands;
}

void RouterDesk::RefuseWhatTakesRoom() {
  std::erase_if(proposals_, [this](const Proposal& proposal) {
    if (OnlyFreesRoom(proposal.command)) return false;
    Refuse(proposal.from, proto::ErrorCode::kStorageFull, kDiskFull);
    return true;
  });
}

void RouterDesk::RefuseRest(std::size_t first, Refused reason, const Situation& situation) {
  proto::Error error;
  if (reason == Refused::kBusy) {
    error = {.code = proto::ErrorCode::kOverloaded,
             .detail = "too many writes wait to be replicated"};
  } else if (reason == Refused::kDiskFull) {
    error = {.code = proto::ErrorCode::kStorageFull, .detail = kDiskFull};
  } else if (reason == Refused::kMoving) {
    error = {.code = proto::ErrorCode::kOverloaded, .detail = "leadership is being handed over"};
  } else if (situation.storage_health == proto::ErrorCode::kStorageFull &&
             !core_.GetView().leader) {
    // Likely why nobody leads: a node whose disk is full steps down.
    error = {.code = proto::ErrorCode::kStorageFull, .detail = "this node's disk is full"};
  } else {
    error = {.code = proto::ErrorCode::kNotLeader, .detail = "this node does not lead"};
  }
  const proto::Message refusal = MakeRefusal(core_, std::move(error));
  for (std::size_t i = first; i < proposals_.size(); ++i) {
    frames_.ToCaller(proposals_[i].from.router, proposals_[i].from.request, refusal);
  }
}

void RouterDesk::Refuse(const Waiting& to, proto::ErrorCode code, const std::string& detail) {
  proto::Error error{.code = code, .detail = detail};
  frames_.ToCaller(to.router, to.request, MakeRefusal(core_, std::move(error)));
}

void RouterDesk::OnReadReady(const ReadReady& ready) {
  const auto found = reads_.find(ready.ticket);
  if (found == reads_.end()) return;
  for (const Waiting& reader : found->second) {
    frames_.ToCaller(reader.router, reader.request,
                     proto::ReadIndexAnswer{proto::Error(), ready.index, ready.leased});
  }
  reads_pending_ -= found->second.size();
  reads_.erase(found);
}

void RouterDesk::OnReadFailed(Ticket ticket) {
  const auto found = reads_.find(ticket);
  if (found == reads_.end()) return;
  const proto::Error error{.code = proto::ErrorCode::kNoLeader,
                           .detail = "no leader is known, or it just changed"};
  for (const Waiting& reader : found->second) {
    frames_.ToCaller(reader.router, reader.request, proto::ReadIndexAnswer{error, LogIndex()});
  }
  reads_pending_ -= found->second.size();
  reads_.erase(found);
}

void RouterDesk::OnCommitted(LogIndex last) {
  const std::vector<proto::ReplyTo> lost =
      ledger_.Committed(last, [this](LogIndex index) { return core_.TermAt(index); });
  for (const proto::ReplyTo& reply_to : lost) {
    Refuse({reply_to.router, reply_to.request}, proto::ErrorCode::kNotLeader,
           "another leader's entry was committed in its place");
  }
}

void RouterDesk::PushStatus(const proto::RaftStatus& status, std::uint64_t now_ms) {
  std::erase_if(routers_, [&](const auto& router) {
    return now_ms - router.second > limits_.router_recent_ms;
  });
  for (const auto& [router, heard_ms] : routers_) frames_.ToCaller(router, RequestId(), status);
}

}  // namespace bedrock::raft
