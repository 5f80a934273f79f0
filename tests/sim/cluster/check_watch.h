#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "proto/raft_messages.h"
#include "raftd/core/types.h"

namespace bedrock::sim {

/// All that the checks of the state ever gave on any replica, by which it judges what leaders say
/// of replicas that differ. Each answer is empty, or says what is wrong. A value; one thread.
class CheckWatch {
 public:
  /// An entry was applied for the first time by anybody.
  std::string OnEntry(const raft::Entry& entry);
  /// A replica found this.
  std::string OnFound(NodeId node, const raft::StateCheck& check);
  /// A replica did something else with an entry than the others, so the check after it gives
  /// something else as well; unless what it did is gone by then.
  void OnOtherEffect(NodeId node, LogIndex index) { did_otherwise_[node] = index; }
  void OnRightAgain(NodeId node) { did_otherwise_.erase(node); }
  /// It goes on from this entry, by the log.
  void OnRecovered(NodeId node, LogIndex index);
  /// One that is right did. The same on all of them, and on no other.
  std::string OnRight(const raft::StateCheck& check);
  /// The next slice begins here, as one that is right says; empty: all of the state was looked at.
  std::string OnNext(LogIndex index, std::string_view next);

  /// A leader says that replicas differ at this entry.
  std::string OnDiffering(LogIndex index) const;
  /// It said that they do at entry `differed`, and says so no more, with `agreed` the newest entry
  /// at which it knows a quorum to agree. True only where one did, at that entry or at a later one
  /// whose hash holds what was found there: in the same pass, or at the end of one.
  std::string OnOver(LogIndex differed, LogIndex agreed, const raft::Membership& members) const;
  /// It says that replicas differ at `differing` though it knows that a quorum agreed at `agreed`,
  /// and its own replica found `own` there, with all of the state looked at.
  std::string OnHeld(LogIndex differing, LogIndex agreed, const raft::StateCheck& own) const;

  /// A pass that began after the last write has come to its end.
  bool LookedAtAll() const;
  /// Passes that were begun so far.
  std::uint64_t passes() const { return pass_; }
  /// Entries that may have changed the state.
  std::uint64_t writes() const { return writes_; }

 private:
  struct Check {
    std::uint64_t pass = 0;
    std::string from;
    std::optional<std::string> next;
    std::optional<raft::StateCheck> right;
    std::map<NodeId, std::vector<raft::StateCheck>> found;  ///< Whatever each ever gave.
    std::vector<raft::StateCheck> wrong;                    ///< Of who did something else before.
  };

  static std::string Overlooked(const Check& check);
  bool AgreedAt(const Check& check, const raft::Membership& members) const;
  std::string FollowsOn(std::map<LogIndex, Check>::const_iterator check) const;

  std::map<LogIndex, Check> checks_;
  std::map<NodeId, LogIndex> did_otherwise_;  ///< And where, until the next check.
  std::uint64_t pass_ = 0;
  LogIndex written_;  ///< The last entry that may have changed the state.
  std::uint64_t writes_ = 0;
};

}  // namespace bedrock::sim
