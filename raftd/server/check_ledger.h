#pragma once

#include <cstddef>
#include <map>
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
///                                       noted: with two voters it stays so for ever
///   kUnknown                            is compared with nothing
///
/// All is about committed entries, so it is of no importance in which term a replica told it.
///
/// A pure value; one thread. Remembers the newest kEntriesMax entries with checks, of members
/// alone.
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
  /// All that is decided and was not given yet, by entry and member. Forgets those who are no
  /// members.
  std::vector<Finding> Judge(const Membership& membership);
  void Clear();

  /// The newest entry at which a quorum agreed; 0: none.
  LogIndex agreed() const { return agreed_; }
  /// The newest entry at which replicas differ and no quorum says who is right, if it is newer than
  /// agreed(); else 0.
  LogIndex differing() const { return differing_; }

 private:
  struct Said {
    StateCheck check;
    bool judged = false;
  };
  using Entry = std::map<NodeId, Said>;

  std::map<LogIndex, Entry> entries_;
  LogIndex agreed_;
  LogIndex differing_;
};

}  // namespace bedrock::raft
