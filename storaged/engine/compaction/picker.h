#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/options.h"
#include "common/base/ids.h"
#include "storaged/engine/compaction/key_ranges.h"
#include "storaged/engine/compaction/level_shape.h"
#include "storaged/engine/manifest/version_edit.h"

namespace bedrock::engine {

/// A piece of work on the tree: these tables become others, all within one output level. A value;
/// holds no tables.
struct CompactionPlan {
  enum class Reason : std::uint8_t {
    kLevel0,      ///< Level 0 has too many files.
    kSize,        ///< A level is above its target.
    kTombstones,  ///< Many tombstones stand over what they delete.
    kGarbage,     ///< The watermark has moved past much of a table.
    kBlobs,       ///< A blob file holds little that is referred to.
    kReads,       ///< Walks have read more for level 0 than merging it takes.
    kManual,
  };
  struct Input {
    std::uint32_t level = 0;
    FileNumber number;
    friend bool operator==(const Input&, const Input&) = default;
  };
  /// A table of the level below the outputs: an output that overlaps many of them is dear to
  /// compact later, so outputs end where these begin.
  struct Grandparent {
    std::string smallest;
    std::uint64_t bytes = 0;
  };

  Reason reason = Reason::kLevel0;
  /// The tables are only hung up elsewhere: nothing is read or written.
  bool move = false;
  std::uint32_t output_level = 0;
  std::vector<Input> inputs;  ///< By level; on level 0 from oldest to newest, else by key.
  std::uint64_t input_bytes = 0;
  bedrock::Compression compression = bedrock::Compression::kNone;
  std::uint64_t table_bytes = 0;  ///< At about this size an output ends; UINT64_MAX: never.

  /// The least range over all inputs. No two plans that run at once write overlapping ranges of a
  /// level.
  std::string begin;
  std::string end;
  UpperBound::Kind end_kind = UpperBound::Kind::kIncluded;

  /// What older tables than the inputs, not merged here, may have: VersionFilter asks.
  KeyRanges below;
  std::vector<Grandparent> grandparents;  ///< Within the range, by key.
  /// Values that stand in these blob files are written anew, so that the files can go.
  std::vector<FileNumber> relocate_from;

  KeyRange range() const { return {begin, {end, end_kind}}; }
};

/// "level 0", "size", "tombstones", "garbage", "blobs", "reads", "manual".
std::string_view ReasonName(CompactionPlan::Reason reason);

/// A wish to have a range in the last level, without what no reader needs. Goes on until PickManual
/// finds nothing to do; what is written meanwhile does not prolong it.
struct ManualCompaction {
  std::string begin;
  std::string end;  ///< Open; empty: none.
  /// The newest version and the next file number when it was asked for.
  Version newest;
  FileNumber next_file;
};

/// How much of a blob file is still referred to.
struct BlobFileUse {
  FileNumber number;
  std::uint64_t bytes = 0;  ///< All that was written into it.
  std::uint64_t live_bytes = 0;
};

/// What a choice depends on. Borrows everything.
struct PickerInput {
  const Levels* levels = nullptr;
  CompactionOptions options;
  /// What the job's filter will be given: tables are only compacted for what that lets go.
  Version watermark;
  std::optional<Version> oldest_pin;
  std::span<const CompactionPlan> running;
  const std::set<FileNumber>* quarantined = nullptr;  ///< Never inputs; null: none.
  /// Without those that can't be read: nothing could be relocated out of them.
  std::span<const BlobFileUse> blobs;
  const ManualCompaction* manual = nullptr;  ///< Null: none.
  /// What walks had to read of level 0, since it was last brought down, that they would not have
  /// had to once it was merged.
  std::uint64_t level0_read_bytes = 0;
  /// Behind which key each level goes on, so that equal choices take turns; see Advance.
  const std::array<std::string, kLevelsMax>* cursors = nullptr;
};

/// What to do next; nothing where all is in shape, or what is not can't be helped now. Pure: equal
/// inputs give equal plans. Every plan keeps the tree's order (levels from 1 on are disjoint; of a
/// key, what a deeper level has is older), and carrying out plan after plan ends.
///
/// In order of urgency: level 0 where writers begin to wait; a manual compaction; whichever of
/// level 0 and the levels is furthest above its target; a level 0 that costs readers more than a
/// merge; tables full of tombstones; tables full of what the watermark let go; blob files full of
/// what nobody refers to.
std::optional<CompactionPlan> Pick(const PickerInput& input);

/// Whether tables are left that `manual` is about. While it is true and Pick has no plan for it,
/// what is left is busy or quarantined.
bool HasWork(const PickerInput& input, const ManualCompaction& manual);

/// Notes in `cursors` that `plan` was carried out.
void Advance(const Levels& levels, const CompactionPlan& plan,
             std::array<std::string, kLevelsMax>& cursors);

/// A range of user keys that owns its bounds; [begin, end), an empty end for none.
struct OwnedRange {
  std::string begin;
  std::string end;
  friend bool operator==(const OwnedRange&, const OwnedRange&) = default;
};

/// Parts all keys into at most `n` ranges with about equally many bytes of the inputs, cut where
/// inputs begin, for jobs that run side by side. One range where a plan can't be parted: level 0
/// holds only tables over all of a job's keys.
std::vector<OwnedRange> SplitRanges(const Levels& levels, const CompactionPlan& plan,
                                    std::size_t n);

}  // namespace bedrock::engine
