#include "tests/sim/cluster/sim_client.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <variant>

#include "proto/codec.h"

namespace bedrock::sim {

using Kind = ClusterTrace::Kind;
using proto::ErrorCode;

namespace {

constexpr std::uint64_t kAttemptsMax = 6;
constexpr std::uint64_t kCommitAttemptsMax = 4;
constexpr TimeUs kRetryUsMean = 5'000;
constexpr TimeUs kNobodyThereUs = 2'000;

/// Where a commit is answered so, it has ended so, whatever became of earlier questions.
bool EndsTransaction(ErrorCode code) {
  return code == ErrorCode::kTransactionConflict || code == ErrorCode::kDeadlock ||
         code == ErrorCode::kTransactionExpired || code == ErrorCode::kVersionCompacted;
}

}  // namespace

SimClient::SimClient(std::uint64_t number, const ClusterWorld& world, Histories& histories,
                     Random random)
    : address_{NodeId(number), Program::kClient},
      world_(world),
      histories_(histories),
      random_(random),
      session_(random_.Next() | 1) {
  for (std::uint64_t i = 1; i <= world.options.nodes; ++i) routers_.emplace_back(i);
  world_.network.Add(address_, this);
  world_.network.Attach(address_, "client/" + std::to_string(number));
}

void SimClient::Start() { Next(); }

void SimClient::Next() {
  const TimeUs think = DrawExponential(random_, world_.options.think_us_mean);
  world_.scheduler.After(think, [this] {
    if (stopped_ || world_.checkers.failed()) return;
    busy_ = true;
    floor_ = world_.checkers.settled();
    begun_ = histories_.Now();
    world_.trace.Add(world_.scheduler.now(), Kind::kBegin, address_, ++operations_);
    Work();
  });
}

void SimClient::Done() {
  busy_ = false;
  world_.trace.Add(world_.scheduler.now(), Kind::kFinish, address_, operations_);
  Next();
}

void SimClient::Fail(std::string_view invariant, const std::string& seen) {
  world_.checkers.Fail(invariant, name() + ": " + seen);
}

void SimClient::Ask(const proto::Message& message, Door door, OnHeard on_heard) {
  last_request_ = last_request_.Next();
  pending_ = Pending{last_request_, std::move(on_heard)};
  const std::uint64_t timeout_ms = world_.options.timeout_ms;
  proto::FrameWriter writer({.cluster = kSimCluster});
  writer.Add(last_request_, static_cast<std::uint32_t>(timeout_ms), message);
  const NodeId router = routers_[random_.Below(routers_.size())];
  const bool sent =
      world_.network.Send({.from = address_,
                           .to = {router, Program::kRouterd},
                           .door = door,
                           .sender = "client/" + std::to_string(address_.node.value()),
                           .frame = Bytes(writer.Finish())});
  // Some lose patience before the router does, some hear it say so.
  const TimeUs patience = sent ? timeout_ms * random_.Between(300, 1'300) : kNobodyThereUs;
  world_.scheduler.After(patience, [this, request = last_request_, sent] {
    Answer(request, {.sent = sent, .message = std::nullopt});
  });
}

void SimClient::Answer(RequestId request, const Heard& heard) {
  if (!pending_ || pending_->request != request || world_.checkers.failed()) return;
  const OnHeard on_heard = std::move(pending_->on_heard);
  pending_.reset();
  on_heard(heard);
}

void SimClient::OnParcel(const Parcel& parcel) {
  auto frame = proto::DecodeFrame(parcel.frame);
  if (!frame.ok()) return Fail("what is sent can be read", FormatAddress(parcel.from));
  for (proto::Packet& packet : frame->packets) {
    if (const auto* refusal = std::get_if<proto::Refusal>(&packet.message)) {
      return Fail("a router takes what it is asked", refusal->error.detail);
    }
    Answer(packet.request, {.sent = true, .message = std::move(packet.message)});
  }
}

// ---- Writes

SimClient::Way SimClient::DrawWay() { return static_cast<Way>(random_.Below(3)); }

void SimClient::Write(proto::Command command, Way way,
                      std::function<void(const Written&)> on_written) {
  key_.clear();
  if (way == Way::kSession) {
    command.session = session_;
    command.sequence = ++sequence_;
    command.low_water = sequence_;
  } else if (way == Way::kKey) {
    key_ = name() + "-" + std::to_string(++sequence_);
    command.idempotency.key = key_;
  }
  write_ = {.encoded = Bytes(proto::EncodeCommand(command)),
            .way = way,
            .writes = proto::Writes(command) || way != Way::kPlain,
            .attempts_left = way == Way::kPlain ? 1 : random_.Between(1, kAttemptsMax),
            .open = false,
            .floor = floor_,
            .on_written = std::move(on_written)};
  TryWrite();
}

void SimClient::TryWrite() {
  --write_.attempts_left;
  Ask(proto::ClientWrite{write_.encoded}, DoorOf(write_.way),
      [this](const Heard& heard) { OnWriteAnswer(heard); });
}

void SimClient::OnWriteAnswer(const Heard& heard) {
  Written written;
  const auto* reply = heard.As<proto::ClientWriteReply>();
  if (reply == nullptr) {
    write_.open = write_.open || heard.sent;
    written.fate = write_.open ? Written::Fate::kUnknown : Written::Fate::kNone;
    return RetryWrite(written);
  }
  written.code = reply->error.code;
  written.version = reply->version;
  written.result = reply->result;
  if (reply->error.ok()) {
    written.fate = Written::Fate::kDone;
    return FinishWrite(written);
  }
  if (reply->version && reply->error.code != ErrorCode::kStaleSequence) {
    written.fate = Written::Fate::kRefused;
    return FinishWrite(written);
  }
  write_.open = write_.open || reply->error.outcome == proto::Outcome::kUnknown;
  written.fate = write_.open ? Written::Fate::kUnknown : Written::Fate::kNone;
  RetryWrite(written);
}

void SimClient::RetryWrite(const Written& otherwise) {
  if (write_.attempts_left == 0) return FinishWrite(otherwise);
  ++world_.stats.resent;
  world_.scheduler.After(DrawExponential(random_, kRetryUsMean), [this] {
    if (!world_.checkers.failed()) TryWrite();
  });
}

void SimClient::FinishWrite(const Written& written) {
  const bool answered =
      written.fate == Written::Fate::kDone || written.fate == Written::Fate::kRefused;
  if (answered && write_.writes) {
    world_.checkers.OnCommitted(name(), write_.floor, written.version);
  } else if (answered) {
    world_.checkers.OnRead(name(), write_.floor, written.version);
  }
  if (written.fate == Written::Fate::kDone) ++world_.stats.writes;
  if (written.fate == Written::Fate::kUnknown) ++world_.stats.unknown;
  if (written.code == ErrorCode::kTransactionConflict) ++world_.stats.conflicts;
  write_.on_written(written);
  if (answered && write_.way != Way::kPlain && random_.Chance(1, 5)) return AskAgain(written);
  Done();
}

/// The same id once more, perhaps long after, through another router: the same answer.
void SimClient::AskAgain(const Written& first) {
  if (write_.way == Way::kKey && IsOdd()) return AskForAnother(first);
  ++world_.stats.resent;
  Ask(proto::ClientWrite{write_.encoded}, DoorOf(write_.way), [this, first](const Heard& heard) {
    const auto* reply = heard.As<proto::ClientWriteReply>();
    const bool answered = reply != nullptr && reply->version;
    const bool same = answered && reply->version == first.version &&
                      reply->error.code == first.code && reply->result == first.result;
    if (answered && !same && !world_.checkers.reference().has_forgotten()) {
      Fail("a command that is sent again gets the same answer",
           "version " + std::to_string(first.version.value()) + ", then " +
               std::to_string(reply->version.value()));
    }
    Done();
  });
}

/// Another request under the key of one that was answered: it is neither that one nor done.
void SimClient::AskForAnother(const Written& first) {
  ++world_.stats.keys_reused;
  proto::Command other;
  const std::string key = "o" + name();
  other.idempotency.key = key_;
  other.operations = {{.kind = proto::Operation::Kind::kPut, .key = key, .value = "another"}};
  Ask(proto::ClientWrite{Bytes(proto::EncodeCommand(other))}, Door::kHttp,
      [this, first](const Heard& heard) {
        const auto* reply = heard.As<proto::ClientWriteReply>();
        const bool done =
            reply != nullptr && (reply->error.ok() || reply->version == first.version);
        if (done && !world_.checkers.reference().has_forgotten()) {
          Fail("an Idempotency-Key belongs to one request",
               "version " + std::to_string(first.version.value()) + ", another one's " +
                   std::to_string(reply->version.value()));
        }
        Done();
      });
}

std::string SimClient::TextOf(std::uint64_t value) const {
  std::string text = std::to_string(value) + ".";
  const std::uint64_t bytes = value * 0x9E3779B97F4A7C15ULL % (world_.options.value_bytes_max + 1);
  text.resize(std::max<std::size_t>(text.size(), bytes), static_cast<char>('a' + value % 26));
  return text;
}

std::uint64_t SimClient::ValueOf(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// ---- Interactive transactions

void SimClient::Begin(proto::TransactionMode mode, std::function<void(bool)> on_begun) {
  transaction_.clear();
  proto::ClientTransaction begin;
  begin.options.mode = mode;
  begin.options.timeout_ms = static_cast<std::uint32_t>(4 * world_.options.timeout_ms);
  begin.options.lock_timeout_ms = static_cast<std::uint32_t>(world_.options.timeout_ms / 2 + 1);
  Ask(begin, Door::kListener, [this, on_begun = std::move(on_begun)](const Heard& heard) {
    const auto* reply = heard.As<proto::ClientTransactionReply>();
    const bool begun = reply != nullptr && reply->error.ok();
    if (begun) {
      transaction_ = reply->id;
      transaction_read_ = reply->read_version;
    }
    on_begun(begun);
  });
}

void SimClient::Execute(const proto::Command& step, bool for_update,
                        std::function<void(const proto::ClientTransactionReply*)> on_done) {
  proto::ClientTransaction execute;
  execute.action = proto::ClientTransaction::Action::kExecute;
  execute.id = transaction_;
  execute.command = Bytes(proto::EncodeCommand(step));
  execute.for_update = for_update;
  Ask(execute, Door::kListener, [this, on_done = std::move(on_done)](const Heard& heard) {
    const auto* reply = heard.As<proto::ClientTransactionReply>();
    if (reply != nullptr && reply->error.code == ErrorCode::kTransactionConflict) {
      ++world_.stats.conflicts;
    }
    const bool done = reply != nullptr && reply->error.ok();
    if (done && reply->read_version < transaction_read_) {
      Fail("a transaction reads nothing older than it has read before",
           reply->id + " at " + std::to_string(reply->read_version.value()) + " after " +
               std::to_string(transaction_read_.value()));
    }
    if (done) transaction_read_ = reply->read_version;
    on_done(done ? reply : nullptr);
  });
}

void SimClient::Commit(bool writes, std::function<void(Written)> on_done) {
  TryCommit(writes, random_.Between(1, kCommitAttemptsMax), false, std::move(on_done));
}

void SimClient::TryCommit(bool writes, std::uint64_t attempts_left, bool open,
                          std::function<void(Written)> on_done) {
  proto::ClientTransaction commit;
  commit.action = proto::ClientTransaction::Action::kCommit;
  commit.id = transaction_;
  Ask(commit, Door::kListener,
      [this, writes, left = attempts_left - 1, open,
       on_done = std::move(on_done)](const Heard& heard) {
        const auto* reply = heard.As<proto::ClientTransactionReply>();
        Written written;
        bool maybe = open;
        if (reply == nullptr) {
          maybe = maybe || heard.sent;
        } else if (reply->error.ok()) {
          written.fate = Written::Fate::kDone;
          written.version = reply->version;
          ++world_.stats.transactions;
          if (writes) {
            world_.checkers.OnCommitted(name(), floor_, written.version);
          } else {
            world_.checkers.OnRead(name(), floor_, written.version);
          }
          return on_done(written);
        } else {
          written.code = reply->error.code;
          if (written.code == ErrorCode::kTransactionConflict) ++world_.stats.conflicts;
          const bool none = reply->error.outcome == proto::Outcome::kNone;
          if (none && EndsTransaction(written.code)) maybe = false;
          if (none && !maybe) {
            written.fate = Written::Fate::kNone;
            return on_done(written);
          }
          maybe = true;
        }
        if (left > 0) {
          world_.scheduler.After(DrawExponential(random_, kRetryUsMean),
                                 [this, writes, left, maybe, on_done] {
                                   if (world_.checkers.failed()) return;
                                   TryCommit(writes, left, maybe, on_done);
                                 });
          return;
        }
        written.fate = maybe ? Written::Fate::kUnknown : Written::Fate::kNone;
        if (maybe) ++world_.stats.unknown;
        on_done(written);
      });
}

void SimClient::Rollback() {
  if (transaction_.empty()) return Done();
  proto::ClientTransaction rollback;
  rollback.action = proto::ClientTransaction::Action::kRollback;
  rollback.id = transaction_;
  Ask(rollback, Door::kListener, [this](const Heard&) { Done(); });
}

}  // namespace bedrock::sim
