#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "bedrock/snapshot.h"
#include "bedrock/status.h"
#include "bedrock/version.h"
#include "storaged/embedded/commit_pipeline.h"
#include "storaged/engine/engine.h"

namespace bedrock::embedded {

/// What a transaction has read, and at which versions: what has to be so still when it commits. One
/// thread.
class ReadSet {
 public:
  /// Keys and ranges that one transaction may read.
  static constexpr std::size_t kReadsMax = 1'000'000;

  /// What a read of a key saw.
  struct KeyRead {
    Version at;     ///< The state that was read.
    Version found;  ///< Of the value; 0: the key was absent.
  };
  /// A range, as far as it was really walked over, at `at`. The end is open, empty: unbounded.
  struct RangeRead {
    std::string begin;
    std::string end;
    Snapshot at;
  };

  /// conflict: the key was read before and has changed since. busy: kReadsMax.
  Status Add(std::string_view key, const KeyRead& read);
  /// [begin, end) was walked over in the state `at`. Grows `*grows`, the range of the same walk so
  /// far, where the two touch, and else sets it to a new one; null: the walk begins. It stays where
  /// it is. busy: kReadsMax.
  Status AddWalked(std::string_view begin, std::string_view end, const Snapshot& at,
                   RangeRead** grows);

  /// conflict, naming the key or the range, where something was changed since it was read. For
  /// where commits go on meanwhile: what held when the reads ended and holds at the call held at
  /// every moment between.
  Status Check(const engine::Engine& engine) const;
  /// The same, against commits that will be made before as well. The engine is asked only of what
  /// may have changed.
  Status Check(const engine::Engine& engine, const Certifier::Commits& commits) const;

 private:
  Status CheckRoom() const;

  std::map<std::string, KeyRead, std::less<>> keys_;
  std::deque<RangeRead> ranges_;
};

}  // namespace bedrock::embedded
