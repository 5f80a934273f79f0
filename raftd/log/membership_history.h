#pragma once

#include <string>
#include <vector>

#include "bedrock/status.h"
#include "common/base/ids.h"
#include "common/env/file_system.h"
#include "raftd/core/types.h"
#include "raftd/log/raft_log.h"
#include "raftd/log/recovery.h"

namespace bedrock::raft {

/// Who takes part, over the life of a log (R39): the configurations among its entries, and the file
/// `members` (membership_file.h) for the newest one that may stand before them.
///
/// Owned by a RaftLog, which tells it what becomes of its entries. One thread.
class MembershipHistory {
 public:
  MembershipHistory(FileSystem& files, const LogOptions& options);

  /// Replaces the file. Until it returns ok, the old one or the new one is there.
  Status Write(const MembershipChange& base);
  /// Takes what the file says and what recovery `found`, and makes good what a crash left undone.
  /// `initial` is what a log begins with that has neither lost nor dropped anything. corruption:
  /// who takes part can't be told.
  Status Recover(const Membership& initial, const RecoveredSegments& found);
  /// As Recover found it: what stood before the log's entries.
  const MembershipChange& base() const { return base_; }
  /// Those of the entries that are held, ascending.
  const std::vector<MembershipChange>& changes() const { return changes_; }

  void Append(const Entry& entry);
  /// Entries from `from` on are gone.
  void Cut(LogIndex from);
  /// A snapshot has taken the place of all entries.
  void Reset(const MembershipChange& base);
  /// Before entries up to `dropped` go: keeps the newest configuration among them in the file.
  Status Forget(LogIndex dropped);

 private:
  FileSystem& files_;
  const LogOptions options_;
  const std::string path_;
  MembershipChange base_;
  std::vector<MembershipChange> changes_;
};

}  // namespace bedrock::raft
