#include "raftd/core/membership.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/check.h"
#include "common/codec/coding.h"
#include "raftd/core/quorum.h"

namespace bedrock::raft {

namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::uint8_t kFormatWithLogs = 2;

using Ids = std::vector<NodeId>;

bool Has(const Ids& sorted, NodeId id) {
  return std::binary_search(sorted.begin(), sorted.end(), id);
}

void Insert(Ids& sorted, NodeId id) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), id);
  if (at == sorted.end() || *at != id) sorted.insert(at, id);
}

void Erase(Ids& sorted, NodeId id) { std::erase(sorted, id); }

void PutIds(std::string& out, const Ids& ids) {
  PutVarint(out, ids.size());
  for (const NodeId id : ids) PutVarint(out, id.value());
}

/// Strictly ascending and without 0, at most `max` of them.
bool TakeIds(ByteReader& in, std::size_t max, Ids& ids) {
  const auto count = in.Varint();
  if (!count || *count > max) return false;
  for (std::uint64_t i = 0; i < *count; ++i) {
    const auto id = in.Varint();
    if (!id || NodeId(*id) <= (ids.empty() ? NodeId() : ids.back())) return false;
    ids.emplace_back(*id);
  }
  return true;
}

bool TakeAddresses(ByteReader& in, std::vector<MemberAddress>& addresses) {
  const auto count = in.Varint();
  if (!count || *count > kMembersMax) return false;
  for (std::uint64_t i = 0; i < *count; ++i) {
    const auto id = in.Varint();
    const auto text = in.LengthPrefixed();
    if (!id || !text || text->size() > kAddressBytesMax) return false;
    if (NodeId(*id) <= (addresses.empty() ? NodeId() : addresses.back().id)) return false;
    addresses.push_back({NodeId(*id), std::string(*text)});
  }
  return true;
}

bool TakeLogs(ByteReader& in, std::vector<MemberLog>& logs) {
  const auto count = in.Varint();
  if (!count || *count == 0 || *count > kMembersMax) return false;
  for (std::uint64_t i = 0; i < *count; ++i) {
    const auto id = in.Varint();
    const auto log = in.Fixed<std::uint64_t>();
    if (!id || !log || *log == 0) return false;
    if (NodeId(*id) <= (logs.empty() ? NodeId() : logs.back().id)) return false;
    logs.push_back({NodeId(*id), LogNumber(*log)});
  }
  return true;
}

bool IsPartOf(const Ids& part, const Ids& whole) {
  return std::includes(whole.begin(), whole.end(), part.begin(), part.end());
}

bool AreDisjoint(const Ids& a, const Ids& b) {
  return std::none_of(a.begin(), a.end(), [&b](NodeId id) { return Has(b, id); });
}

/// A cluster with no voters is one that a node has not heard of yet: nothing else is in it then.
bool CouldBe(const Membership& m) {
  const Ids all = AllMembers(m);
  const bool addressed = std::all_of(m.addresses.begin(), m.addresses.end(),
                                     [&all](const auto& a) { return Has(all, a.id); }) &&
                         std::all_of(m.logs.begin(), m.logs.end(),
                                     [&all](const auto& log) { return Has(all, log.id); });
  // Who stops to vote is a learner until the next configuration is committed.
  const bool stays = std::all_of(m.outgoing.begin(), m.outgoing.end(), [&m](NodeId id) {
    return Has(m.voters, id) || Has(m.learners, id);
  });
  return !m.voters.empty() && all.size() <= kMembersMax && addressed && stays &&
         AreDisjoint(m.voters, m.learners) && IsPartOf(m.promoting, m.learners) &&
         IsPartOf(m.retiring, m.learners) && AreDisjoint(m.promoting, m.retiring) &&
         AreDisjoint(all, m.removed);
}

/// Applies a delta's parts one after the other.
class DeltaApplier {
 public:
  DeltaApplier(const Membership& now, const std::function<bool(NodeId)>& caught_up)
      : now_(now), next_(now), caught_up_(caught_up) {}

  Reconfiguring Add(const NewMember& member) {
    if (!member.id || member.address.size() > kAddressBytesMax) return Reconfiguring::kInvalid;
    if (Has(now_.removed, member.id)) return Reconfiguring::kWasMember;
    if (IsMember(next_, member.id)) return Reconfiguring::kMemberExists;
    Insert(next_.learners, member.id);
    if (member.promote) Insert(next_.promoting, member.id);
    if (!member.address.empty()) {
      const auto at = std::find_if(next_.addresses.begin(), next_.addresses.end(),
                                   [&](const auto& a) { return a.id > member.id; });
      next_.addresses.insert(at, {member.id, member.address});
    }
    return Reconfiguring::kStarted;
  }

  Reconfiguring ToVoter(NodeId id) {
    if (!IsMember(now_, id)) return Reconfiguring::kNoMember;
    if (Has(next_.voters, id)) return Touch(id);
    if (caught_up_(id)) {
      Erase(next_.learners, id);
      Erase(next_.promoting, id);
      Insert(next_.voters, id);
    } else {
      Insert(next_.promoting, id);
    }
    return Touch(id);
  }

  Reconfiguring ToLearner(NodeId id) {
    if (!IsMember(now_, id)) return Reconfiguring::kNoMember;
    if (Has(next_.voters, id)) {
      Erase(next_.voters, id);
      Insert(next_.learners, id);
    }
    Erase(next_.promoting, id);
    return Touch(id);
  }

  Reconfiguring Remove(NodeId id) {
    if (!IsMember(now_, id)) {
      return Has(now_.removed, id) ? Reconfiguring::kStarted : Reconfiguring::kNoMember;
    }
    const bool voter = Has(next_.voters, id);
    const Reconfiguring result = ToLearner(id);
    Insert(next_.retiring, id);
    if (!voter) next_ = DropOne(std::move(next_), id);
    return result;
  }

  Reconfiguring Note(const MemberLog& log) {
    if (!IsMember(next_, log.id)) return Reconfiguring::kNoMember;
    if (!log.log) return Reconfiguring::kInvalid;
    const auto at = std::find_if(next_.logs.begin(), next_.logs.end(),
                                 [&](const auto& known) { return known.id >= log.id; });
    if (at != next_.logs.end() && at->id == log.id) {
      return *at == log ? Reconfiguring::kStarted : Reconfiguring::kMemberExists;
    }
    next_.logs.insert(at, log);
    return Reconfiguring::kStarted;
  }

  std::variant<Membership, Reconfiguring> Take() {
    if (next_ == now_) return Reconfiguring::kNothing;
    if (next_.voters != now_.voters) next_.outgoing = now_.voters;
    if (next_.removed.size() + next_.retiring.size() > kRemovedMax || !CouldBe(next_)) {
      return Reconfiguring::kInvalid;
    }
    return std::move(next_);
  }

  static Membership DropOne(Membership membership, NodeId id) {
    Erase(membership.learners, id);
    Erase(membership.retiring, id);
    Erase(membership.promoting, id);
    std::erase_if(membership.addresses, [id](const auto& a) { return a.id == id; });
    std::erase_if(membership.logs, [id](const auto& log) { return log.id == id; });
    Insert(membership.removed, id);
    return membership;
  }

 private:
  /// Nobody is asked to become two things.
  Reconfiguring Touch(NodeId id) {
    if (Has(touched_, id)) return Reconfiguring::kInvalid;
    Insert(touched_, id);
    return Reconfiguring::kStarted;
  }

  const Membership& now_;
  Membership next_;
  const std::function<bool(NodeId)>& caught_up_;
  Ids touched_;
};

}  // namespace

std::string EncodeMembership(const Membership& membership) {
  std::string out(1, static_cast<char>(membership.logs.empty() ? kFormat : kFormatWithLogs));
  for (const Ids* ids : {&membership.voters, &membership.outgoing, &membership.learners,
                         &membership.promoting, &membership.retiring, &membership.removed}) {
    PutIds(out, *ids);
  }
  PutVarint(out, membership.addresses.size());
  for (const MemberAddress& address : membership.addresses) {
    PutVarint(out, address.id.value());
    PutLengthPrefixed(out, address.text);
  }
  if (membership.logs.empty()) return out;
  PutVarint(out, membership.logs.size());
  for (const MemberLog& log : membership.logs) {
    PutVarint(out, log.id.value());
    PutFixed(out, log.log.value());
  }
  return out;
}

std::optional<Membership> DecodeMembership(std::string_view bytes) {
  ByteReader in(bytes);
  const auto format = in.Fixed<std::uint8_t>();
  if (!format || (*format != kFormat && *format != kFormatWithLogs)) return std::nullopt;
  Membership membership;
  for (Ids* ids : {&membership.voters, &membership.outgoing, &membership.learners,
                   &membership.promoting, &membership.retiring}) {
    if (!TakeIds(in, kMembersMax, *ids)) return std::nullopt;
  }
  const bool whole = TakeIds(in, kRemovedMax, membership.removed) &&
                     TakeAddresses(in, membership.addresses) &&
                     (*format == kFormat || TakeLogs(in, membership.logs)) && in.AtEnd();
  if (!whole || !CouldBe(membership)) return std::nullopt;
  // One form for each, so that equal configurations are equal bytes.
  if (EncodeMembership(membership) != bytes) return std::nullopt;
  return membership;
}

Membership DecodeCheckedMembership(std::string_view bytes) {
  std::optional<Membership> membership = DecodeMembership(bytes);
  CHECK_MSG(membership, "an entry holds no configuration that could be");
  return *std::move(membership);
}

std::variant<Membership, Reconfiguring> ApplyDelta(const Membership& now, const Delta& delta,
                                                   const std::function<bool(NodeId)>& caught_up) {
  CHECK(IsSettled(now));
  DeltaApplier applier(now, caught_up);
  Reconfiguring result = Reconfiguring::kStarted;
  const auto each = [&result](const auto& wishes, const auto& apply) {
    for (const auto& wish : wishes) {
      if (result == Reconfiguring::kStarted) result = apply(wish);
    }
  };
  each(delta.promote, [&](NodeId id) { return applier.ToVoter(id); });
  each(delta.demote, [&](NodeId id) { return applier.ToLearner(id); });
  each(delta.remove, [&](NodeId id) { return applier.Remove(id); });
  each(delta.add, [&](const NewMember& member) { return applier.Add(member); });
  each(delta.logs, [&](const MemberLog& log) { return applier.Note(log); });
  if (result != Reconfiguring::kStarted) return result;
  return applier.Take();
}

Membership LeaveJoint(Membership membership) {
  CHECK(IsJoint(membership));
  membership.outgoing.clear();
  return membership;
}

Membership DropRetired(Membership membership) {
  for (const NodeId id : Ids(membership.retiring)) {
    membership = DeltaApplier::DropOne(std::move(membership), id);
  }
  return membership;
}

Membership Promote(Membership membership, const std::vector<NodeId>& learners) {
  CHECK(IsSettled(membership));
  membership.outgoing = membership.voters;
  for (const NodeId id : learners) {
    CHECK(Has(membership.learners, id));
    Erase(membership.learners, id);
    Erase(membership.promoting, id);
    Insert(membership.voters, id);
  }
  return membership;
}

MembershipLog::MembershipLog(Membership base, LogIndex base_index,
                             std::vector<MembershipChange> changes) {
  at_.push_back({base_index, std::move(base)});
  for (MembershipChange& change : changes) Append(change.index, std::move(change.membership));
}

const Membership* MembershipLog::before() const {
  return at_.size() < 2 ? nullptr : &at_[at_.size() - 2].membership;
}

const MembershipChange& MembershipLog::UpTo(LogIndex index) const {
  const auto above = std::find_if(std::next(at_.begin()), at_.end(),
                                  [index](const auto& change) { return change.index > index; });
  return *std::prev(above);
}

void MembershipLog::Append(LogIndex index, Membership membership) {
  // A log that lost entries is given anew what the file on its disk remembers.
  if (index <= at_.front().index) return;
  CHECK(index > at_.back().index);
  at_.push_back({index, std::move(membership)});
}

void MembershipLog::CutFrom(LogIndex from) {
  while (at_.size() > 1 && at_.back().index >= from) at_.pop_back();
}

void MembershipLog::Compact(LogIndex index) {
  // The first may be above already: the log on disk remembers it before the entry goes.
  const auto above = std::find_if(std::next(at_.begin()), at_.end(),
                                  [index](const auto& change) { return change.index > index; });
  at_.erase(at_.begin(), std::prev(above));
}

void MembershipLog::Reset(MembershipChange base) {
  at_.clear();
  at_.push_back(std::move(base));
}

}  // namespace bedrock::raft
