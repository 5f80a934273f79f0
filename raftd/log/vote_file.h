#pragma once

#include <memory>
#include <string>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/env/file_system.h"
#include "raftd/log/segment_format.h"

namespace bedrock::raft {

/// The newer of two votes: the higher term, and in one term the one that names somebody. None where
/// they name two in one term.
std::optional<Vote> NewerVote(const Vote& a, const Vote& b);

/// The vote and the log's vital marks, twice, so that a write that tears one slot leaves the other.
/// One thread.
class VoteFile {
 public:
  /// Makes the file, durably: either it stands there whole or not at all.
  static Status Create(FileSystem& file_system, const std::string& path, VoteSlot content);
  /// not_found where there is none; corruption where no slot can be read.
  static Result<std::unique_ptr<VoteFile>> Open(FileSystem& file_system, const std::string& path);

  /// What the newest readable slot says.
  const VoteSlot& content() const { return content_; }
  /// The other slot can't be read: it may have been the newer one.
  bool slot_lost() const { return slot_lost_; }

  /// Writes `content` with the next seq into the older slot and syncs it. After an error the file
  /// must not be used any more.
  Status Write(VoteSlot content);

 private:
  VoteFile(std::unique_ptr<File> file, const VoteSlot& content, bool slot_lost)
      : file_(std::move(file)), content_(content), slot_lost_(slot_lost) {}

  std::unique_ptr<File> file_;
  VoteSlot content_;
  bool slot_lost_;
};

}  // namespace bedrock::raft
