#include "raftd/log/membership_history.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "common/base/status_macros.h"
#include "raftd/core/membership.h"
#include "raftd/log/membership_file.h"

namespace bedrock::raft {

MembershipHistory::MembershipHistory(FileSystem& files, const LogOptions& options)
    : files_(files), options_(options), path_(JoinPath(options.directory, "members")) {}

Status MembershipHistory::Write(const MembershipChange& base) {
  return WriteMembershipFile(files_, path_, options_.cluster, options_.node, base);
}

Status MembershipHistory::Recover(const Membership& initial, const RecoveredSegments& found) {
  const LogIndex prev_index = found.index.prev_index();
  ASSIGN_OR_RETURN(const bool known, files_.Exists(path_));
  if (!known) {
    // A log that has all its entries holds all changes of what it began with.
    if (prev_index) {
      return Status::Corruption(path_ +
                                " is missing, so this node doesn't know who takes part: wipe its "
                                "data and add it again under a new id");
    }
    RETURN_IF_ERROR(Write({LogIndex(), initial}));
  }
  ASSIGN_OR_RETURN(base_, ReadMembershipFile(files_, path_, options_.cluster, options_.node));
  // The file is replaced after a reset: a crash may have come between.
  if (found.reset_membership && found.reset_membership->first > base_.index) {
    std::optional<Membership> membership = DecodeMembership(found.reset_membership->second);
    if (!membership) return Status::Corruption("a reset holds no configuration that could be");
    base_ = {found.reset_membership->first, *std::move(membership)};
    RETURN_IF_ERROR(Write(base_));
  }
  if (base_.index < found.reset_membership_index) {
    return Status::Corruption(options_.directory +
                              ": who takes part since a snapshot was installed can't be read any "
                              "more; wipe this node's data and add it again under a new id");
  }
  for (const auto& [index, bytes] : found.memberships) {
    if (index <= base_.index || index <= prev_index) continue;
    std::optional<Membership> membership = DecodeMembership(bytes);
    if (!membership) {
      return Status::Corruption("entry " + std::to_string(index.value()) +
                                " holds no configuration that could be");
    }
    changes_.push_back({index, *std::move(membership)});
  }
  return Status::Ok();
}

void MembershipHistory::Append(const Entry& entry) {
  if (entry.kind != EntryKind::kMembership) return;
  changes_.push_back({entry.index, DecodeCheckedMembership(entry.payload.view())});
}

void MembershipHistory::Cut(LogIndex from) {
  while (!changes_.empty() && changes_.back().index >= from) changes_.pop_back();
}

void MembershipHistory::Reset(const MembershipChange& base) {
  changes_.clear();
  if (base.index) changes_.push_back(base);
}

Status MembershipHistory::Forget(LogIndex dropped) {
  const auto above =
      std::find_if(changes_.begin(), changes_.end(),
                   [dropped](const MembershipChange& change) { return change.index > dropped; });
  if (above == changes_.begin()) return Status::Ok();
  RETURN_IF_ERROR(Write(*std::prev(above)));
  changes_.erase(changes_.begin(), above);
  return Status::Ok();
}

}  // namespace bedrock::raft
