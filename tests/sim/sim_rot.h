#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/ids.h"
#include "common/env/memory_file_system.h"
#include "common/env/random.h"

namespace bedrock::sim {

// What becomes of a Raft log's files without anybody having written them: bytes that rot, ends that
// are lost, files that are gone. It knows the layout (raftd/log/segment_format.h), so that it hits
// what counts, and nothing of what recovery makes of it.

/// Where bytes have rotted.
struct Rotted {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
  bool closed = false;  ///< Not in the segment that is written.
  LogIndex last;        ///< No entry of the segment is higher.
  /// It surely changed what the log says; else it may have hit what says nothing.
  bool surely = false;
};

/// The bytes that may rot: never those that only a crash together with rot would lose, since
/// nothing tells such a loss from a write that a crash has torn (raftd/log/README.md, "What is left
/// to chance").
enum class RotIn : std::uint8_t {
  kClosedSegments,  ///< All of them are proved by the segment that follows.
  kAllSegments,     ///< And, in the one that is written, batches that a later one proves. REQUIRES:
                    ///< everything that was written is synced.
};

/// Changes a bit, a sector or a part of a page of one batch, or puts another page of the file
/// there, as a misdirected write does. None: there is no batch that may rot.
std::optional<Rotted> RotBatch(MemoryFileSystem& files, const std::string& directory, RotIn where,
                               Random& random);

/// Changes a bit of one slot of the vote file. False: one can't be read anyway.
bool RotVoteSlot(MemoryFileSystem& files, const std::string& directory, Random& random);
/// A slot of the vote file can't be read.
bool IsVoteSlotLost(MemoryFileSystem& files, const std::string& directory);

/// The end of the log is gone: its newest segment, or the end of that one, often with a cut, so
/// that what that took back stands there again (raftd/log/README.md, "What is left to chance"); but
/// none without which the log does not start. False: there is nothing that could go. REQUIRES:
/// nobody has the log open.
bool LoseTail(MemoryFileSystem& files, const std::string& directory, Random& random);

/// The last entry of which the log's own records tell that it was committed, or dropped as applied;
/// whatever its vote file says. REQUIRES: none of them has rotted.
LogIndex CommittedByRecords(MemoryFileSystem& files, const std::string& directory);

/// Takes away what a log can't do without: the vote, who takes part, a header, all segments. Gives
/// what; empty: no log was ever begun. REQUIRES: nobody has the log open.
std::string RuinLog(MemoryFileSystem& files, const std::string& directory, Random& random);

}  // namespace bedrock::sim
