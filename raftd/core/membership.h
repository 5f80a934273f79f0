#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "raftd/core/types.h"

namespace bedrock::raft {

// How a cluster's membership changes: by joint consensus (thesis 4.3), each configuration an entry
// of the log that counts from the moment it is appended. Pure functions and one pure value.
//
//                 promote, demote, remove a voter
//   settled ─────────────────────────────────────────► joint ── committed ──► settled
//      ▲  │  add or drop a learner, mark it                        (LeaveJoint)   │
//      └──┘                                                                       │
//      ◄──────────────────── committed: who retires is dropped (DropRetired) ─────┘
//
// A voter that leaves becomes a learner first, in the joint configuration, and is dropped only when
// the one after that is committed: until then whoever leads may still need its vote (R48).

/// The encoded form, in entries and in the file `members`:
///
///   u8 format (1, or 2 where logs follow), then lists, each a varint count and its elements:
///   voters, outgoing, learners, promoting, retiring, removed: varint id, strictly ascending
///   addresses: varint id, varint length, bytes; strictly ascending by id
///   logs: varint id, fixed64 number (not 0); strictly ascending by id; in format 2, not empty
///
/// promoting and retiring are disjoint parts of the learners; addresses and logs are of members.
std::string EncodeMembership(const Membership& membership);
/// None where the bytes are not the encoding of a configuration that could be.
std::optional<Membership> DecodeMembership(std::string_view bytes);
/// REQUIRES: it is one: whoever took these bytes in has looked.
Membership DecodeCheckedMembership(std::string_view bytes);

/// Beyond this no node is taken in. A configuration travels with every change of it.
inline constexpr std::size_t kMembersMax = 64;
/// Nodes that ever left; an id is not used again.
inline constexpr std::size_t kRemovedMax = 4096;
inline constexpr std::size_t kAddressBytesMax = 2048;

using AutoPromote = TypedBool<struct AutoPromoteTag>;

struct NewMember {
  NodeId id;
  AutoPromote promote = AutoPromote::kYes;  ///< Becomes a voter by itself once it has caught up.
  std::string address;                      ///< Opaque; at most kAddressBytesMax.
};

/// What somebody wants changed, all at once.
struct Delta {
  std::vector<NewMember> add;   ///< Become learners.
  std::vector<NodeId> promote;  ///< Learners that become voters, once they have caught up.
  std::vector<NodeId> demote;  ///< Voters that become learners; learners are not promoted any more.
  std::vector<NodeId> remove;
  std::vector<MemberLog> logs;  ///< The logs of members that had none noted; never changed again.
};

/// What became of a wish to change the membership.
enum class Reconfiguring : std::uint8_t {
  kStarted,
  kNothing,  ///< It is so already, or is becoming so.
  kNotLeader,
  kMoving,  ///< Leadership is being handed over.
  kBusy,    ///< The change before is not over, or nothing of this term is committed yet (R38).
  kMemberExists,
  kWasMember,  ///< Ids are never used again.
  kNoMember,
  kInvalid,      ///< Contradicts itself, is too large, or leaves no voter.
  kLosesQuorum,  ///< The voters that answer now would be no quorum.
};

/// The configuration that `delta` makes of `now`, or why it can't be. Joint where the voters
/// change. `caught_up(learner)`: may be a voter at once; others are only marked. REQUIRES: `now` is
/// settled.
std::variant<Membership, Reconfiguring> ApplyDelta(const Membership& now, const Delta& delta,
                                                   const std::function<bool(NodeId)>& caught_up);

inline bool IsJoint(const Membership& membership) { return !membership.outgoing.empty(); }
/// Neither joint nor with somebody on the way out.
inline bool IsSettled(const Membership& membership) {
  return !IsJoint(membership) && membership.retiring.empty();
}
/// REQUIRES: joint.
Membership LeaveJoint(Membership membership);
/// Without those that retire; their ids are remembered.
Membership DropRetired(Membership membership);
/// Joint, with these learners as voters. REQUIRES: settled; each is a learner.
Membership Promote(Membership membership, const std::vector<NodeId>& learners);

/// The configurations of a node's log: the last is in effect, committed or not, and a cut brings
/// back the one before (R39).
class MembershipLog {
 public:
  /// `base` is in effect behind entry `prev_index`, `changes` come after it.
  MembershipLog(Membership base, LogIndex base_index, std::vector<MembershipChange> changes);

  const Membership& now() const { return at_.back().membership; }
  /// Of the entry that holds now(); 0, or at most the log's base, where no entry does any more.
  LogIndex index() const { return at_.back().index; }
  /// The one before now(); null where that is not known any more.
  const Membership* before() const;
  /// The newest at or below `index`, or the first that is known.
  const MembershipChange& UpTo(LogIndex index) const;

  /// REQUIRES: index is above the last one, or the first one is that new already.
  void Append(LogIndex index, Membership membership);
  /// Entries from `from` on are gone.
  void CutFrom(LogIndex from);
  /// Entries up to `index` are compacted; they were committed.
  void Compact(LogIndex index);
  /// All entries are gone; `base` is in effect.
  void Reset(MembershipChange base);

 private:
  std::vector<MembershipChange> at_;  // ascending; never empty
};

}  // namespace bedrock::raft
