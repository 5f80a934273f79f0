#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/base/ids.h"
#include "proto/raft_messages.h"
#include "raftd/core/types.h"

namespace bedrock::raft {

/// What the replicas found at the checks of the state, side by side: who agrees with a majority of
/// the voters, and who doesn't. Both sets of voters have to agree while the membership is joint.
///
///   a quorum has one hash at an entry   those who have it agree with it; who has another one, or
///                                       met damage, is wrong: voters and learners alike
///   no hash has one (yet)               nobody is judged; where replicas differ meanwhile, that is
///                                       noted
///   no hash can get one any more,       it is a split: with two voters that differ, it stays one
///   whatever the others say             for ever
///   kUnknown                            is compared with nothing, and may still become something
///
/// A difference that was noted lasts, whatever later checks give, since each looks at one slice of
/// the state: that those which begin the next pass agree says nothing of the slice that differed.
/// It is over
///
///   - once a quorum has one hash at this entry: the last voter spoke, or one that was rebuilt
///     takes back what it said,
///   - or at a later entry whose hash covers this one (Cover): it chains all that was found since
///     its pass began, and at the end of a pass that is all of the state.
///
/// All is about committed entries, so it is of no importance in which term a replica told it.
///
/// A pure value; one thread. Remembers the newest kEntriesMax entries with checks, of members
/// alone; of older ones, that replicas differed there.
class CheckLedger {
 public:
  static constexpr std::size_t kEntriesMax = 64;

  struct Finding {
    NodeId member;
    StateCheck check;  ///< The member's.
    StateVerdict::Kind verdict = StateVerdict::Kind::kAgreed;

    friend bool operator==(const Finding&, const Finding&) = default;
  };

  /// `member` found this. What it says again has a finding again.
  void Add(NodeId member, const StateCheck& check);
  /// Whoever has this hash at this entry found the same at the checks from entry `since` on; 0:
  /// holds the same in all of the state. Ignored of an entry of which nobody has told anything.
  void Cover(const StateCheck& check, LogIndex since);
  /// All that is decided and was not given yet, by entry and member. Forgets those who are no
  /// members.
  std::vector<Finding> Judge(const Membership& membership);
  void Clear();

  /// The newest entry at which a quorum agreed; 0: none.
  LogIndex agreed() const { return agreed_; }
  /// The newest entry at which replicas differed and no quorum said who is right, if that is not
  /// over; else 0.
  LogIndex differing() const { return differing_; }
  /// One of these is a split, as far as it is remembered.
  bool split() const { return split_; }

 private:
  struct Said {
    StateCheck check;
    bool judged = false;
  };
  enum class Standing : std::uint8_t { kOpen, kDiffers, kSplit, kSettled };
  struct Entry {
    std::map<NodeId, Said> said;
    std::optional<StateCheck> covering;
    LogIndex covers_since;
    Standing standing = Standing::kOpen;
  };
  /// The entries at which replicas differ and that are forgotten: none but within these.
  struct Forgotten {
    LogIndex first;
    LogIndex last;  ///< 0: none.
  };

  void Forget();
  void Settle(LogIndex since, LogIndex last);
  void NoteDifferences();
  static bool Has(const Entry& entry, NodeId member, std::uint64_t hash);
  static std::optional<std::uint64_t> RightOf(const Entry& entry, const Membership& membership);
  static Standing StandingOf(const Entry& entry, const Membership& membership);
  static void JudgeEntry(Entry& entry, std::uint64_t right, std::vector<Finding>& findings);

  std::map<LogIndex, Entry> entries_;
  Forgotten forgotten_;
  LogIndex settled_;  // a quorum agreed on all of the state there
  LogIndex agreed_;
  LogIndex differing_;
  bool split_ = false;
};

}  // namespace bedrock::raft
