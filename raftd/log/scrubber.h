#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "bedrock/result.h"
#include "common/env/file_system.h"
#include "raftd/log/raft_log.h"

namespace bedrock::raft {

/// Reads the segments that are not written any more, a piece at a time and again and again, so that
/// rot is found while other nodes still hold what it hit, and not years later at a restart.
///
/// A pure value over files; one thread, the log's, so that no segment goes while it is read. Keeps
/// a few MiB at most, unless a single batch is larger.
class Scrubber {
 public:
  /// `known`: segments whose damage recovery has told.
  Scrubber(FileSystem& file_system, std::string directory, std::set<std::uint64_t> known)
      : file_system_(file_system), directory_(std::move(directory)), known_(std::move(known)) {}

  /// Reads about `bytes_max` more, at least a batch, of segments [first, written), where `written`
  /// is the one that is written. As RaftLog::Scrub.
  Result<Scrubbed> Step(std::uint64_t first, std::uint64_t written, std::size_t bytes_max);

 private:
  Status Open();
  Result<Scrubbed> Check(std::size_t bytes_max);
  Scrubbed Damaged(std::uint64_t segment, std::uint64_t offset, bool recoverable);
  Scrubbed Next();
  Result<std::string> ReadPage(std::uint64_t segment);

  FileSystem& file_system_;
  std::string directory_;
  std::set<std::uint64_t> known_;
  std::uint64_t segment_ = 0;  // 0: the next step begins anew
  std::uint64_t written_ = 0;
  std::unique_ptr<File> file_;  // of segment_, once it is open
  std::uint64_t offset_ = 0;
  std::uint64_t end_ = 0;  // where its last batch ends
  std::uint64_t seq_ = 0;  // of the last batch that was read
};

}  // namespace bedrock::raft
