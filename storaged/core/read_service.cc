#include "storaged/core/read_service.h"

#include <algorithm>
#include <utility>

#include "proto/command.h"

namespace bedrock::storage {
namespace {

using proto::ErrorCode;

proto::Error CheckKey(std::string_view key) {
  if (key.empty()) return MakeError(ErrorCode::kInvalidArgument, "a key has at least one byte");
  if (key.size() <= proto::kKeyBytesMax) return {};
  proto::Error error = MakeError(ErrorCode::kKeyTooLarge, "the key is too large");
  error.limit = proto::kKeyBytesMax;
  error.actual = key.size();
  return error;
}

proto::Error CheckSubject(const WaitingRead& read) {
  return read.kind == WaitingRead::Kind::kGet ? CheckKey(read.subject.view()) : proto::Error();
}

/// What a result holds, for the bound of a run.
std::size_t SizeOf(const proto::CommandResult& result) {
  std::size_t bytes = 0;
  for (const auto& operation : result.results) {
    // What a count walked over is not in it.
    bytes += operation.value.size() + operation.count * sizeof(Version);
    for (const auto& item : operation.items) {
      bytes += sizeof(item) + item.key.size() + item.value.size();
    }
  }
  return bytes;
}

proto::Error TooOld(Version history_from) {
  return MakeError(ErrorCode::kVersionCompacted,
                   "history is kept from version " + std::to_string(history_from.value()) + " on");
}

}  // namespace

std::uint64_t ReadService::DeadlineOf(std::uint32_t timeout_ms, std::uint64_t now_ms) {
  const std::uint64_t wait = timeout_ms == 0 ? kReadWaitMsMax : timeout_ms;
  return now_ms + std::min(wait, kReadWaitMsMax);
}

void ReadService::Receive(WaitingRead read, std::vector<Outgoing>& out) {
  const std::size_t bytes = read.subject.size();
  if (proto::Error error = CheckSubject(read); !error.ok()) {
    AnswerError(read, std::move(error), out);
  } else if (stopped_ && stopped_->code == ErrorCode::kShuttingDown) {
    AnswerError(read, *stopped_, out);
  } else if (refused_) {
    AnswerError(read, *refused_, out);
  } else if (arrived_.size() >= kArrivedReadsMax ||
             arrived_bytes_ + bytes > kArrivedReadsBytesMax) {
    AnswerError(read, MakeError(ErrorCode::kOverloaded, "too many reads at once"), out);
  } else {
    arrived_bytes_ += bytes;
    arrived_.push_back(std::move(read));
  }
}

void ReadService::Stop(proto::Error error) { stopped_ = std::move(error); }

void ReadService::RefuseAll(proto::Error error) { refused_ = std::move(error); }

void ReadService::End(const proto::Error& error, std::vector<Outgoing>& out) {
  while (const auto read = waiting_.TakeAny()) AnswerError(*read, error, out);
  for (const WaitingRead& read : arrived_) AnswerError(read, error, out);
  arrived_.clear();
  arrived_bytes_ = 0;
}

void ReadService::Run(std::uint64_t now_ms, std::vector<Outgoing>& out) {
  if (refused_) End(*refused_, out);
  AnswerWaiting(now_ms, out);
  AnswerArrived(out);
  read_bytes_ = 0;
}

bool ReadService::HasMore() const {
  return !arrived_.empty() || waiting_.HasReady(machine_.newest());
}

void ReadService::AnswerWaiting(std::uint64_t now_ms, std::vector<Outgoing>& out) {
  const Version applied = machine_.newest();
  while (MayRead() && waiting_.HasReady(applied)) Answer(*waiting_.TakeReady(applied), out);
  while (const auto read = waiting_.TakeExpired(now_ms)) {
    AnswerError(*read,
                MakeError(ErrorCode::kDeadlineExceeded, "version " +
                                                            std::to_string(read->needed().value()) +
                                                            " was not applied here in time"),
                out);
  }
  if (!stopped_) return;
  while (const auto read = waiting_.TakeAny()) AnswerError(*read, *stopped_, out);
}

void ReadService::AnswerArrived(std::vector<Outgoing>& out) {
  const Version applied = machine_.newest();
  while (MayRead() && !arrived_.empty()) {
    const WaitingRead read = std::move(arrived_.front());
    arrived_.pop_front();
    arrived_bytes_ -= read.subject.size();
    if (read.needed() <= applied) {
      Answer(read, out);
    } else if (stopped_) {
      AnswerError(read, *stopped_, out);
    } else if (!waiting_.Add(read)) {
      AnswerError(read, MakeError(ErrorCode::kOverloaded, "too many reads wait here"), out);
    }
  }
}

void ReadService::Answer(const WaitingRead& read, std::vector<Outgoing>& out) {
  const Version at = read.at ? read.at : machine_.newest();
  if (at < machine_.history_from()) {
    AnswerError(read, TooOld(machine_.history_from()), out);
  } else if (read.kind == WaitingRead::Kind::kGet) {
    out.push_back({read.from, read.request, Get(read, at)});
  } else {
    out.push_back({read.from, read.request, Query(read.subject.view(), at)});
  }
}

proto::GetReply ReadService::Get(const WaitingRead& read, Version at) {
  proto::GetReply reply;
  reply.read_version = at;
  auto found = machine_.Get(read.subject.view(), at);
  if (!found.ok()) {
    reply.error = ReadError(found.status());
  } else if (found->found) {
    reply.found = true;
    reply.version = found->version;
    read_bytes_ += found->value.size();
    reply.value = Bytes(std::move(found->value));
  }
  return reply;
}

proto::QueryReply ReadService::QueryNewest(std::string_view command) {
  return Query(command, machine_.newest());
}

proto::QueryReply ReadService::Query(std::string_view encoded, Version at) {
  proto::QueryReply reply;
  reply.read_version = at;
  const auto command = proto::DecodeCommand(encoded);
  if (!command.ok()) {
    const ErrorCode code = command.status().IsUnavailable() ? ErrorCode::kUnsupportedProtocol
                                                            : ErrorCode::kInvalidArgument;
    reply.error = MakeError(code, command.status().message());
    return reply;
  }
  reply.error = proto::CheckQuery(*command, proto::kValueBytesMax);
  if (!reply.error.ok()) return reply;
  auto result = machine_.Query(*command, at);
  if (!result.ok()) {
    reply.error = ReadError(result.status());
    return reply;
  }
  reply.result = std::move(result).value();
  read_bytes_ += SizeOf(reply.result);
  return reply;
}

void ReadService::AnswerError(const WaitingRead& read, proto::Error error,
                              std::vector<Outgoing>& out) const {
  if (read.kind == WaitingRead::Kind::kGet) {
    proto::GetReply reply;
    reply.error = std::move(error);
    reply.read_version = machine_.newest();
    out.push_back({read.from, read.request, std::move(reply)});
  } else {
    proto::QueryReply reply;
    reply.error = std::move(error);
    reply.read_version = machine_.newest();
    out.push_back({read.from, read.request, std::move(reply)});
  }
}

proto::Error ReadService::ReadError(const Status& status) {
  // Below what this replica's files still hold, though not below the watermark: they were written
  // by a version that kept no history.
  if (status.IsInvalidArgument()) {
    return MakeError(ErrorCode::kVersionCompacted, status.message());
  }
  if (!status.IsCorruption()) return MakeError(ErrorCode::kStorageUnavailable, status.ToString());
  Note(status);
  return MakeError(ErrorCode::kCorruption, status.message());
}

void ReadService::Note(const Status& status) {
  if (!status.IsCorruption()) return;
  ++corrupt_reads_;
  last_corruption_ = status.message();
}

}  // namespace bedrock::storage
