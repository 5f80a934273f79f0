#pragma once

#include <string>

#include "common/env/random.h"
#include "proto/frame.h"

namespace bedrock::proto {

/// Messages with every field drawn from `random`: empty, small and large values, every kind. Equal
/// seeds give equal messages.
class ArbitraryMessages {
 public:
  explicit ArbitraryMessages(Random& random) : random_(random) {}

  std::uint64_t Number() {
    // Every width of a msgpack integer, and its ends.
    const std::uint64_t bits = random_.Below(65);
    if (bits == 0) return 0;
    if (random_.Chance(1, 4)) return ~0ULL >> (64 - bits);
    return random_.Next() >> (64 - bits);
  }
  std::uint32_t SmallNumber() { return static_cast<std::uint32_t>(Number()); }
  bool Flip() { return random_.Chance(1, 2); }
  std::string Text() {
    static constexpr std::size_t kSizes[] = {0, 1, 31, 32, 255, 256, 65'535, 65'536};
    const std::size_t size =
        random_.Chance(1, 8) ? kSizes[random_.Below(std::size(kSizes))] : random_.Below(40);
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>(random_.Below(256));
    return text;
  }
  Bytes Blob() { return Bytes(Text()); }
  template <typename Id>
  Id AnId() {
    return Id(Number());
  }
  template <typename E>
  E Enum(E last) {
    return static_cast<E>(random_.Below(static_cast<std::uint64_t>(last) + 1));
  }
  ErrorCode Code() { return Enum(ErrorCode::kDiverged); }
  Error AnError() {
    Error error;
    error.code = Code();
    if (error.ok()) return error;
    error.detail = Text();
    error.outcome = Enum(Outcome::kUnknown);
    error.limit = Number();
    error.actual = Number();
    error.key = Text();
    if (Flip()) error.blocked_by = Text();
    if (Flip()) error.blocked_by_ms = Number();
    return error;
  }
  raft::Entry Entry(LogIndex index) {
    return {index, AnId<Term>(), Enum(raft::EntryKind::kMembership), Number(), Blob()};
  }
  raft::AppendRequest Append() {
    raft::AppendRequest append{AnId<Term>(),
                               LogIndex(random_.Next() >> 1),
                               AnId<Term>(),
                               AnId<LogIndex>(),
                               Number(),
                               AnId<LogIndex>(),
                               {}};
    const std::uint64_t count = random_.Below(20);
    for (std::uint64_t i = 1; i <= count; ++i) {
      append.entries.push_back(Entry(append.prev_index + i));
    }
    return append;
  }
  proto::Apply AnApply() {
    proto::Apply apply;
    for (std::uint64_t i = random_.Below(20); i > 0; --i) {
      apply.items.push_back({Entry(AnId<LogIndex>()), {Text(), AnId<RequestId>()}});
    }
    return apply;
  }
  proto::RaftStatus Status() {
    proto::RaftStatus status{
        AnId<NodeId>(),   Enum(Role::kUnreachable), AnId<NodeId>(), AnId<Term>(), AnId<LogIndex>(),
        AnId<LogIndex>(), AnId<LogIndex>(),         Code(),         Text(),       {}};
    for (std::uint64_t i = random_.Below(9); i > 0; --i) {
      status.members.push_back({AnId<NodeId>(), Flip(), Text(), Text(), Text(), Text(),
                                Enum(Role::kUnreachable), AnId<LogIndex>(),
                                Flip() ? AnId<LogIndex>() : LogIndex()});
    }
    const std::uint64_t later = random_.Below(3);
    if (later > 0) status.checks_agreed = AnId<LogIndex>();
    if (later > 1) status.checks_differ = AnId<LogIndex>();
    return status;
  }
  raft::StateCheck ACheck() {
    return {AnId<LogIndex>(), Enum(raft::StateCheck::Kind::kDamaged), Number()};
  }
  std::vector<raft::StateCheck> Checks() {
    std::vector<raft::StateCheck> checks;
    for (std::uint64_t i = random_.Below(raft::kStateChecksMax + 1); i > 0; --i) {
      checks.push_back(ACheck());
    }
    return checks;
  }
  OperationResult AnOperationResult() {
    OperationResult result{Flip(), Text(), AnId<Version>(), {}, Number(), Flip(), Text()};
    for (std::uint64_t i = random_.Below(4); i > 0; --i) {
      result.items.push_back({Text(), Text(), AnId<Version>()});
    }
    return result;
  }
  CommandResult AResult() {
    CommandResult result{Code(), AnId<Version>(), AnId<Version>(), SmallNumber()};
    // Each in turn is the last one that is there.
    const std::uint64_t later = random_.Below(5);
    if (later > 0) result.ran_otherwise = Flip();
    for (std::uint64_t i = later > 1 ? random_.Below(4) : 0; i > 0; --i) {
      result.results.push_back(AnOperationResult());
    }
    if (later > 2) result.key = Text();
    if (later > 3) result.failed_operation = SmallNumber();
    return result;
  }
  TransactionName AName() { return {AnId<BootId>(), Number()}; }
  proto::Lock ALock() {
    return {AName(),
            Number(),
            Number(),
            AnId<Term>(),
            Enum(LockMode::kExclusive),
            {Blob(), Blob(), Flip()},
            Blob()};
  }
  TransactionOptions Options() {
    return {Enum(TransactionMode::kPessimistic), Flip(), SmallNumber(), SmallNumber(),
            SmallNumber()};
  }

  proto::ApplyProgress Progress() {
    proto::ApplyProgress progress{AnId<LogIndex>(), AnId<LogIndex>(), Code()};
    // Each in turn is the last one that is there.
    const std::uint64_t later = random_.Below(5);
    if (later > 0) progress.applied_term = AnId<Term>();
    if (later > 1) progress.membership_index = AnId<LogIndex>();
    if (later > 2) progress.membership = Blob();
    if (later > 3) progress.state = StateReport{Checks(), Blob(), Number(), AnId<LogIndex>()};
    return progress;
  }
  proto::SnapshotManifest Manifest() {
    proto::SnapshotManifest manifest{
        AnError(), AnId<SnapshotId>(), AnId<LogIndex>(), AnId<Term>(), {}};
    for (std::uint64_t i = random_.Below(9); i > 0; --i) {
      manifest.files.push_back({Text(), Number(), Number(), Number()});
    }
    return manifest;
  }
  proto::StorageStatus Storage() {
    proto::StorageStatus status{AnId<LogIndex>(), AnId<LogIndex>(), Code(), Text(), Text()};
    status.history_from = AnId<Version>();
    const std::uint64_t later = random_.Below(6);
    if (later > 0) status.locks = Number();
    if (later > 1) status.installing = AnId<LogIndex>();
    if (later > 1) status.installing_bytes_done = Number();
    if (later > 1) status.installing_bytes_total = Number();
    if (later > 2) status.snapshots_kept = Number();
    if (later > 3) status.checked = AnId<LogIndex>();
    if (later > 3) status.check_passes = Number();
    if (later > 4) status.diverged_at = AnId<LogIndex>();
    return status;
  }
  /// The last kStateKinds of Message, in their order.
  Message MakeState(std::size_t which) {
    switch (which) {
      case 0:
        return raft::StateChecks{AnId<Term>(), Checks()};
      case 1:
        return raft::StateVerdict{AnId<Term>(), Enum(raft::StateVerdict::Kind::kDiverged),
                                  ACheck()};
      default:
        return Quarantine{ACheck()};
    }
  }
  /// The kSnapshotKinds before them.
  Message MakeSnapshot(std::size_t which) {
    switch (which) {
      case 0:
        return FetchSnapshot{AnId<NodeId>(), Text(), AnId<LogIndex>()};
      case 1:
        return FetchProgress{AnError(), AnId<LogIndex>(), Number(), Number()};
      case 2:
        return SnapshotOpen{AnId<LogIndex>(), AnId<SnapshotId>()};
      case 3:
        return Manifest();
      case 4:
        return SnapshotRead{AnId<SnapshotId>(), SmallNumber(), Number(), SmallNumber()};
      case 5:
        return SnapshotChunk{AnError(), AnId<SnapshotId>(), SmallNumber(), Number(), Blob(),
                             Number()};
      default:
        return SnapshotClose{AnId<SnapshotId>()};
    }
  }

  static constexpr std::size_t kKinds = std::variant_size_v<Message> - 1;
  static constexpr std::size_t kSnapshotKinds = 7;
  static constexpr std::size_t kStateKinds = 3;

  /// Of the kind at position 1 + `which` of Message.
  Message Make(std::size_t which) {
    using raft::PreVote;
    switch (which) {
      case 0:
        return Refusal{AnError()};
      case 1:
        return raft::VoteRequest{PreVote(Flip()), AnId<Term>(), AnId<LogIndex>(), AnId<Term>(),
                                 raft::HandOver(Flip())};
      case 2:
        return raft::VoteReply{PreVote(Flip()), AnId<Term>(), Flip()};
      case 3:
        return Append();
      case 4:
        return raft::AppendReply{AnId<Term>(), Flip(),   AnId<LogIndex>(), AnId<LogIndex>(),
                                 AnId<Term>(), Number(), SmallNumber()};
      case 5:
        return raft::Heartbeat{AnId<Term>(), AnId<LogIndex>(), Number(), AnId<LogIndex>()};
      case 6:
        return raft::HeartbeatReply{AnId<Term>(), Number(), SmallNumber()};
      case 7:
        return raft::ReadIndexRequest{AnId<Term>(), Number()};
      case 8:
        return raft::ReadIndexReply{AnId<Term>(), Number(), Flip(), AnId<LogIndex>(), Flip()};
      case 9:
        return raft::TimeoutNow{AnId<Term>(), AnId<LogIndex>()};
      case 10:
        return raft::SnapshotOffer{AnId<Term>(), AnId<LogIndex>()};
      case 11:
        return raft::SnapshotOfferReply{AnId<Term>(), AnId<LogIndex>()};
      case 12:
        return raft::LogClaim{Number()};
      case 13:
        return raft::LogVerdict{Number(), Enum(raft::LogVerdict::Kind::kNoMember), Flip()};
      case 14:
        return Propose{Blob()};
      case 15:
        return ProposeRefused{AnError(), AnId<NodeId>(), AnId<Term>()};
      case 16:
        return ReadIndexQuery{};
      case 17:
        return ReadIndexAnswer{AnError(), AnId<LogIndex>(), Flip()};
      case 18:
        return RaftStatusQuery{};
      case 19:
        return Status();
      case 20:
        return TransferLeadership{AnId<NodeId>()};
      case 21:
        return TransferLeadershipReply{AnError(), AnId<NodeId>(), AnId<Term>()};
      case 22:
        return ChangeMembers{Enum(ChangeMembers::Kind::kRemove),
                             AnId<NodeId>(),
                             Flip(),
                             Text(),
                             Text(),
                             Text(),
                             Text()};
      case 23:
        return ChangeMembersReply{AnError(), AnId<NodeId>(), AnId<LogIndex>()};
      case 24:
        return AnApply();
      case 25:
        return Progress();
      case 26:
        return Get{Blob(), AnId<Version>(), Flip() ? AnId<Version>() : Version()};
      case 27:
        return GetReply{AnError(), Flip(), Blob(), AnId<Version>(), AnId<Version>()};
      case 28:
        return CommandReply{AResult()};
      case 29:
        return StorageStatusQuery{};
      case 30:
        return Storage();
      case 31:
        return Query{Blob(), AnId<Version>(), AnId<Version>()};
      case 32:
        return QueryReply{AnError(), AResult(), AnId<Version>()};
      case 33:
        return ALock();
      case 34:
        return LockReply{AnError(), AResult(), AnId<Version>()};
      case 35:
        return Unlock{AName()};
      case 36:
        return ClientGet{Blob(), Enum(Consistency::kStale), AnId<Version>(),
                         Flip() ? AnId<Version>() : Version()};
      case 37:
        return ClientGetReply{AnError(), Blob(), AnId<Version>(), AnId<Version>()};
      case 38:
        return ClientWrite{Blob()};
      case 39:
        return ClientWriteReply{AnError(), AnId<Version>(), AnId<Version>(),
                                Flip() ? AResult() : CommandResult()};
      case 40:
        return ClientQuery{Blob(), Enum(Consistency::kStale), AnId<Version>(), AnId<Version>()};
      case 41:
        return ClientQueryReply{AnError(), AResult(), AnId<Version>()};
      case 42:
        return ClientTransaction{Enum(ClientTransaction::Action::kRollback), Text(), Options(),
                                 Blob(), Flip()};
      case 43:
        return ClientTransactionReply{AnError(), Text(), AnId<Version>(), AnId<Version>(),
                                      AResult()};
      default:
        if (which + kStateKinds >= kKinds) return MakeState(which + kStateKinds - kKinds);
        return MakeSnapshot(which + kSnapshotKinds + kStateKinds - kKinds);
    }
  }
  Packet APacket(std::size_t which) { return {AnId<RequestId>(), SmallNumber(), Make(which)}; }
  FrameHeader Header() {
    return {kProtocolVersion, AnId<ClusterId>(), AnId<GroupId>(), AnId<NodeId>(), AnId<BootId>()};
  }

 private:
  Random& random_;
};

}  // namespace bedrock::proto
