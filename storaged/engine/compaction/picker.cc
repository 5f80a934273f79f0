#include "storaged/engine/compaction/picker.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace bedrock::engine {

namespace {

using Table = const TableMetadata*;
using Tables = std::vector<Table>;
using Reason = CompactionPlan::Reason;

constexpr std::uint32_t kLastLevel = kLevelsMax - 1;
/// A plan is not made larger than this many tables' worth, where one input does not bring it there.
constexpr std::uint64_t kPlanTablesMax = 25;
/// A table is not moved over more of the level after next than this: merging it later would be
/// dear.
constexpr std::uint64_t kGrandparentTablesMax = 10;
/// Dense in tombstones: this part of the data blocks, or so many range tombstones that this part of
/// the entries would be theirs.
constexpr std::uint64_t kDensePart = 20;
/// Rewritten for garbage: this part of it would go.
constexpr std::uint64_t kGarbagePart = 4;
/// A table of this part of the usual size joins a neighbour that is rewritten.
constexpr std::uint64_t kSmallPart = 4;

/// [first, last) of a sorted level.
struct Span {
  std::size_t first = 0;
  std::size_t last = 0;
  bool empty() const { return first == last; }
  friend bool operator==(const Span&, const Span&) = default;
};

/// The tables of a sorted level that overlap `range`.
Span Overlapping(const std::vector<TableMetadata>& level, const KeyRange& range) {
  const auto first = std::partition_point(
      level.begin(), level.end(),
      [&](const TableMetadata& table) { return !table.range().end.Reaches(range.begin); });
  const auto last = std::partition_point(first, level.end(), [&](const TableMetadata& table) {
    return range.end.Reaches(table.smallest);
  });
  return {static_cast<std::size_t>(first - level.begin()),
          static_cast<std::size_t>(last - level.begin())};
}

std::uint64_t BytesOf(const std::vector<TableMetadata>& level, Span span) {
  std::uint64_t bytes = 0;
  for (std::size_t i = span.first; i < span.last; ++i) bytes += level[i].size;
  return bytes;
}

KeyRange HullOf(const Tables& tables) {
  KeyRange hull = tables.front()->range();
  for (const Table table : tables) hull = hull.Hull(table->range());
  return hull;
}

bool IsDense(const TableMetadata& table) {
  return (table.dense_blocks > 0 && table.dense_blocks * kDensePart >= table.data_blocks) ||
         (table.range_tombstones > 0 && table.range_tombstones * kDensePart >= table.entries);
}

class Picker {
 public:
  explicit Picker(const PickerInput& input)
      : input_(input),
        levels_(*input.levels),
        shape_(ShapeOf(levels_, input.options)),
        all_see_(input.oldest_pin ? std::min(input.watermark, *input.oldest_pin)
                                  : input.watermark) {
    for (const CompactionPlan& plan : input.running) {
      for (const CompactionPlan::Input& one : plan.inputs) busy_.insert(one.number);
    }
    for (const BlobFileUse& blob : input.blobs) {
      if (blob.live_bytes < blob.bytes / 2) hollow_blobs_.push_back(blob.number);
    }
    std::sort(hollow_blobs_.begin(), hollow_blobs_.end());
    level0_waits_ = FreeLevel0Files() >= input.options.level0_files_trigger &&
                    std::any_of(input.running.begin(), input.running.end(),
                                [this](const CompactionPlan& plan) { return Touches(plan); });
  }

  std::optional<CompactionPlan> Pick() const {
    std::optional<CompactionPlan> plan;
    if (levels_[0].size() >=
        std::max(input_.options.level0_files_stop / 2, input_.options.level0_files_trigger)) {
      plan = PickLevel0(Reason::kLevel0);
    }
    if (!plan && input_.manual != nullptr) plan = PickManual(*input_.manual);
    if (!plan) plan = PickByScore();
    if (!plan) plan = PickForReads();
    if (!plan) plan = PickTombstones();
    if (!plan) plan = PickGarbage();
    if (!plan) plan = PickBlobs();
    return plan;
  }

  bool HasWork(const ManualCompaction& manual) const {
    for (std::uint32_t level = 0; level < kLevelsMax; ++level) {
      for (const TableMetadata& table : levels_[level]) {
        if (IsMeant(manual, level, table)) return true;
      }
    }
    return false;
  }

 private:
  // What may be touched.

  bool IsAvailable(const TableMetadata& table) const {
    return !busy_.contains(table.number) &&
           (input_.quarantined == nullptr || !input_.quarantined->contains(table.number));
  }
  bool AreAvailable(std::uint32_t level, Span span) const {
    for (std::size_t i = span.first; i < span.last; ++i) {
      if (!IsAvailable(levels_[level][i])) return false;
    }
    return true;
  }
  /// Nothing that runs writes into this part of the level.
  bool IsFree(std::uint32_t level, const KeyRange& range) const {
    return std::none_of(input_.running.begin(), input_.running.end(),
                        [&](const CompactionPlan& plan) {
                          return plan.output_level == level && plan.range().Overlaps(range);
                        });
  }

  std::size_t FreeLevel0Files() const {
    return static_cast<std::size_t>(std::count_if(
        levels_[0].begin(), levels_[0].end(),
        [this](const TableMetadata& table) { return !busy_.contains(table.number); }));
  }
  bool IsLevel0Urgent() const {
    return levels_[0].size() >=
           std::max(input_.options.level0_files_stop / 2, input_.options.level0_files_trigger);
  }
  /// Whether a plan that runs reads or writes the base level.
  bool Touches(const CompactionPlan& plan) const {
    return plan.output_level == shape_.base ||
           std::any_of(plan.inputs.begin(), plan.inputs.end(),
                       [this](const auto& one) { return one.level == shape_.base; });
  }
  /// Level 0 needs all of the base at once, so what else there is to do with the base has to let it
  /// come free.
  bool GivesWay(std::uint32_t level) const { return level0_waits_ && level == shape_.base; }

  // What is to be gained.

  std::uint64_t Reclaimable(const TableMetadata& table) const {
    std::uint64_t bytes = 0;
    for (const TableMetadata::Garbage& garbage : table.garbage) {
      if (garbage.when <= all_see_) bytes += garbage.bytes;
    }
    return bytes;
  }
  bool IsOverDeeper(std::uint32_t level, const KeyRange& range) const {
    for (std::uint32_t deeper = level + 1; deeper < kLevelsMax; ++deeper) {
      if (!Overlapping(levels_[deeper], range).empty()) return true;
    }
    return false;
  }
  /// All of its tombstones vanish once it is rewritten where it is.
  bool HidesNothing(std::uint32_t level, const TableMetadata& table) const {
    return table.tombstones + table.range_tombstones > 0 && table.version_max <= all_see_ &&
           !IsOverDeeper(level, table.range());
  }
  bool CanMove(std::uint32_t level, const TableMetadata& table, std::uint32_t to) const {
    if (Reclaimable(table) > 0 || !Overlapping(levels_[to], table.range()).empty() ||
        CompressionOf(level, shape_, input_.options) != CompressionOf(to, shape_, input_.options)) {
      return false;
    }
    if (table.tombstones + table.range_tombstones > 0 && table.version_min <= all_see_ &&
        !IsOverDeeper(to, table.range())) {
      return false;  // merged alone, it loses tombstones
    }
    if (to == kLastLevel) return true;
    return BytesOf(levels_[to + 1], Overlapping(levels_[to + 1], table.range())) <=
           kGrandparentTablesMax * input_.options.table_bytes;
  }

  // Plans.

  CompactionPlan MakePlan(Reason reason, std::uint32_t level, const Tables& tables,
                          std::uint32_t output_level) const {
    CompactionPlan plan;
    plan.reason = reason;
    plan.output_level = output_level;
    KeyRange range = HullOf(tables);
    for (const Table table : tables) AddInput(plan, level, *table);
    if (level != output_level) {
      const Span below = Overlapping(levels_[output_level], range);
      for (std::size_t i = below.first; i < below.last; ++i) {
        AddInput(plan, output_level, levels_[output_level][i]);
        range = range.Hull(levels_[output_level][i].range());
      }
    }
    plan.begin = range.begin;
    plan.end = range.end.key;
    plan.end_kind = range.end.kind;
    plan.compression = CompressionOf(output_level, shape_, input_.options);
    plan.table_bytes = output_level == 0 ? UINT64_MAX : input_.options.table_bytes;
    plan.below = Below(output_level, range, tables);
    if (output_level > 0 && output_level < kLastLevel) {
      const Span grand = Overlapping(levels_[output_level + 1], range);
      for (std::size_t i = grand.first; i < grand.last; ++i) {
        const TableMetadata& table = levels_[output_level + 1][i];
        plan.grandparents.push_back({table.smallest, table.size});
      }
    }
    plan.relocate_from = hollow_blobs_;
    return plan;
  }

  static void AddInput(CompactionPlan& plan, std::uint32_t level, const TableMetadata& table) {
    plan.inputs.push_back({level, table.number});
    plan.input_bytes += table.size;
  }

  KeyRanges Below(std::uint32_t output_level, const KeyRange& range, const Tables& inputs) const {
    std::vector<KeyRange> ranges;
    for (std::uint32_t deeper = output_level + 1; deeper < kLevelsMax; ++deeper) {
      const Span span = Overlapping(levels_[deeper], range);
      for (std::size_t i = span.first; i < span.last; ++i) {
        ranges.push_back(levels_[deeper][i].range());
      }
    }
    if (output_level == 0) {
      for (const TableMetadata& table : levels_[0]) {
        if (table.version_max < inputs.front()->version_min) ranges.push_back(table.range());
      }
    }
    return KeyRanges(std::move(ranges));
  }

  /// Whether `tables` of a level can be merged into the next one, or into `output_level`.
  bool CanMerge(const Tables& tables, std::uint32_t output_level) const {
    KeyRange range = HullOf(tables);
    const Span below = Overlapping(levels_[output_level], range);
    if (!AreAvailable(output_level, below)) return false;
    if (!below.empty()) {
      range = range.Hull(levels_[output_level][below.first].range())
                  .Hull(levels_[output_level][below.last - 1].range());
    }
    return IsFree(output_level, range);
  }

  CompactionPlan MakeMove(Reason reason, std::uint32_t level, const Tables& tables,
                          std::uint32_t output_level) const {
    CompactionPlan plan = MakePlan(reason, level, tables, output_level);
    // What lies between the moved tables is no input of a move.
    std::erase_if(plan.inputs,
                  [&](const CompactionPlan::Input& one) { return one.level != level; });
    plan.input_bytes = 0;
    for (const Table table : tables) plan.input_bytes += table->size;
    plan.move = true;
    return plan;
  }

  // Level 0.

  std::optional<CompactionPlan> PickLevel0(Reason reason) const {
    const Tables chosen = Level0Inputs();
    if (chosen.empty()) return PickLevel0Merge(reason);
    Tables movable;
    for (const Table table : chosen) {
      const bool alone =
          std::none_of(levels_[0].begin(), levels_[0].end(), [&](const TableMetadata& other) {
            return &other != table && other.range().Overlaps(table->range());
          });
      if (alone && CanMove(0, *table, shape_.base)) movable.push_back(table);
    }
    if (!movable.empty()) return MakeMove(reason, 0, movable, shape_.base);
    return MakePlan(reason, 0, chosen, shape_.base);
  }

  /// All of level 0 that may go down: what overlaps an older table that has to stay stays, too.
  Tables Level0Inputs() const {
    Tables chosen;
    Tables staying;
    for (const TableMetadata& table : levels_[0]) {
      const bool under = std::any_of(staying.begin(), staying.end(), [&](Table other) {
        return other->range().Overlaps(table.range());
      });
      chosen.push_back(&table);
      if (!under && IsAvailable(table) && CanMerge(chosen, shape_.base)) continue;
      chosen.pop_back();
      staying.push_back(&table);
    }
    return chosen;
  }

  /// Where nothing of level 0 can go down (the way is quarantined, or busy while writers wait), its
  /// files are at least made fewer: the newest run of them for which that costs the fewest bytes a
  /// file.
  std::optional<CompactionPlan> PickLevel0Merge(Reason reason) const {
    if (level0_waits_ && !IsLevel0Urgent()) return std::nullopt;
    Tables run;
    std::uint64_t bytes = 0;
    std::uint64_t bytes_a_file = UINT64_MAX;
    for (auto table = levels_[0].rbegin(); table != levels_[0].rend(); ++table) {
      if (!IsAvailable(*table)) {
        if (run.size() >= 2) break;
        run.clear();
        bytes = 0;
        continue;
      }
      const std::uint64_t with_it = bytes + table->size;
      if (run.size() >= 2 && with_it / run.size() > bytes_a_file) break;
      if (!run.empty()) bytes_a_file = with_it / run.size();
      run.push_back(&*table);
      bytes = with_it;
    }
    if (run.size() < std::max(2u, input_.options.level0_files_trigger)) return std::nullopt;
    std::reverse(run.begin(), run.end());
    return MakePlan(reason, 0, run, 0);
  }

  /// Few files on level 0 may stay there for long, and each walk looks into all of them. Once the
  /// walks have read as much for that as a merge reads and writes, the merge is worth it: at worst
  /// nobody reads any more, and both together cost twice what either would have (the ski rental
  /// problem). Without walks it never comes to that.
  std::optional<CompactionPlan> PickForReads() const {
    const std::uint64_t paid = input_.level0_read_bytes / 2;
    if (paid == 0 || engine::BytesOf(levels_[0]) > paid || Level0Inputs().empty()) {
      return std::nullopt;
    }
    auto plan = PickLevel0(Reason::kReads);
    if (!plan->move && plan->input_bytes > paid) return std::nullopt;
    return plan;
  }

  // Levels.

  std::optional<CompactionPlan> PickByScore() const {
    struct Score {
      double score;
      std::uint32_t level;
    };
    std::vector<Score> scores;
    scores.push_back(
        {static_cast<double>(FreeLevel0Files()) / input_.options.level0_files_trigger, 0});
    for (std::uint32_t level = shape_.base; level < kLastLevel; ++level) {
      std::uint64_t bytes = 0;
      for (const TableMetadata& table : levels_[level]) {
        if (!busy_.contains(table.number)) bytes += table.size;
      }
      const auto target =
          static_cast<double>(std::max<std::uint64_t>(shape_.target_bytes[level], 1));
      // An idle tree has each level at its target, not above.
      if (bytes > shape_.target_bytes[level]) {
        scores.push_back({static_cast<double>(bytes) / target, level});
      }
    }
    std::stable_sort(scores.begin(), scores.end(),
                     [](const Score& a, const Score& b) { return a.score > b.score; });
    for (const Score& score : scores) {
      if (score.score < 1) break;
      auto plan = score.level == 0 ? PickLevel0(Reason::kLevel0) : PickLevel(score.level);
      if (plan) return plan;
    }
    return std::nullopt;
  }

  std::optional<CompactionPlan> PickLevel(std::uint32_t level) const {
    if (GivesWay(level)) return std::nullopt;
    if (const Tables movable = MovableOf(level); !movable.empty()) {
      return MakeMove(Reason::kSize, level, movable, level + 1);
    }
    const Table best = BestOf(level);
    if (best == nullptr) return std::nullopt;
    return MakePlan(Reason::kSize, level, Widened(level, *best), level + 1);
  }

  /// What can be moved down until the level is at its target.
  Tables MovableOf(std::uint32_t level) const {
    Tables movable;
    std::uint64_t bytes = engine::BytesOf(levels_[level]);
    ForEachInTurn(level, [&](const TableMetadata& table) {
      if (bytes <= shape_.target_bytes[level]) return;
      if (!IsAvailable(table) || !CanMove(level, table, level + 1) ||
          !IsFree(level + 1, table.range())) {
        return;
      }
      movable.push_back(&table);
      bytes -= table.size;
    });
    std::sort(movable.begin(), movable.end(),
              [](Table a, Table b) { return a->smallest < b->smallest; });
    // The range of a plan has no gaps: nothing else may be written between.
    while (!movable.empty() && !IsFree(level + 1, HullOf(movable))) movable.pop_back();
    return movable;
  }

  /// The table whose merge down rewrites least of the next level for its size; those that are dense
  /// in tombstones go before all others.
  Table BestOf(std::uint32_t level) const {
    Table best = nullptr;
    bool best_dense = false;
    double best_ratio = 0;
    ForEachInTurn(level, [&](const TableMetadata& table) {
      if (!IsAvailable(table) || !CanMerge({&table}, level + 1)) return;
      const Span below = Overlapping(levels_[level + 1], table.range());
      const double ratio = static_cast<double>(BytesOf(levels_[level + 1], below)) /
                           static_cast<double>(std::max<std::uint64_t>(table.size, 1));
      const bool dense = IsDense(table) && table.version_min <= all_see_;
      if (best != nullptr && (best_dense != dense ? best_dense : best_ratio <= ratio)) return;
      best = &table;
      best_dense = dense;
      best_ratio = ratio;
    });
    return best;
  }

  /// `table` and those neighbours that come for free: merging them, too, takes no more of the next
  /// level.
  Tables Widened(std::uint32_t level, const TableMetadata& table) const {
    const auto& tables = levels_[level];
    const auto index = static_cast<std::size_t>(&table - tables.data());
    Span chosen{index, index + 1};
    const Span below = Overlapping(levels_[level + 1], table.range());
    if (below.empty()) return {&table};
    std::uint64_t bytes = table.size + BytesOf(levels_[level + 1], below);
    const auto comes_free = [&](std::size_t i, Span with_it) {
      const KeyRange range = tables[with_it.first].range().Hull(tables[with_it.last - 1].range());
      return IsAvailable(tables[i]) &&
             bytes + tables[i].size <= kPlanTablesMax * input_.options.table_bytes &&
             Overlapping(levels_[level + 1], range) == below && IsFree(level + 1, range);
    };
    while (chosen.last < tables.size() &&
           comes_free(chosen.last, {chosen.first, chosen.last + 1})) {
      bytes += tables[chosen.last++].size;
    }
    while (chosen.first > 0 && comes_free(chosen.first - 1, {chosen.first - 1, chosen.last})) {
      bytes += tables[--chosen.first].size;
    }
    return TablesOf(level, chosen);
  }

  Tables TablesOf(std::uint32_t level, Span span) const {
    Tables tables;
    for (std::size_t i = span.first; i < span.last; ++i) tables.push_back(&levels_[level][i]);
    return tables;
  }

  /// Every table of a sorted level, those behind the cursor first.
  template <typename Visit>
  void ForEachInTurn(std::uint32_t level, const Visit& visit) const {
    const auto& tables = levels_[level];
    std::size_t start = 0;
    if (input_.cursors != nullptr && !(*input_.cursors)[level].empty()) {
      const std::string& cursor = (*input_.cursors)[level];
      start = static_cast<std::size_t>(std::partition_point(tables.begin(), tables.end(),
                                                            [&](const TableMetadata& table) {
                                                              return table.smallest <= cursor;
                                                            }) -
                                       tables.begin());
    }
    for (std::size_t i = 0; i < tables.size(); ++i) visit(tables[(start + i) % tables.size()]);
  }

  // Tombstones, garbage, blobs.

  std::optional<CompactionPlan> PickTombstones() const {
    for (std::uint32_t level = shape_.base; level < kLastLevel; ++level) {
      if (GivesWay(level)) continue;
      for (const TableMetadata& table : levels_[level]) {
        if (IsDense(table) && table.version_min <= all_see_ && IsAvailable(table) &&
            IsOverDeeper(level, table.range()) && CanMerge({&table}, level + 1)) {
          return MakePlan(Reason::kTombstones, level, Widened(level, table), level + 1);
        }
      }
    }
    return std::nullopt;
  }

  bool IsGarbage(std::uint32_t level, const TableMetadata& table) const {
    // The histogram counts tombstones, too, but those that hide something deeper outlive a rewrite
    // in their level: it would be done again and again for nothing.
    if (table.tombstones + table.range_tombstones > 0 && IsOverDeeper(level, table.range())) {
      return false;
    }
    const std::uint64_t bytes = Reclaimable(table);
    return (bytes > 0 && bytes * kGarbagePart >= table.raw_bytes) ||
           (IsDense(table) && HidesNothing(level, table));
  }

  std::optional<CompactionPlan> PickGarbage() const {
    // From the bottom up: most of the data are there, and nothing else comes by.
    for (std::uint32_t level = kLastLevel; level > 0; --level) {
      const auto wanted = [&](const TableMetadata& table) { return IsGarbage(level, table); };
      if (auto plan = PickRewrite(Reason::kGarbage, level, wanted)) return plan;
    }
    return std::nullopt;
  }

  std::optional<CompactionPlan> PickBlobs() const {
    if (hollow_blobs_.empty()) return std::nullopt;
    for (std::uint32_t level = kLastLevel; level > 0; --level) {
      const auto wanted = [&](const TableMetadata& table) {
        return std::any_of(table.blob_references.begin(), table.blob_references.end(),
                           [&](const TableMetadata::BlobReference& one) {
                             return std::binary_search(hollow_blobs_.begin(), hollow_blobs_.end(),
                                                       one.file);
                           });
      };
      if (auto plan = PickRewrite(Reason::kBlobs, level, wanted)) return plan;
    }
    return std::nullopt;
  }

  /// Rewrites tables in their own level: the first that is wanted, and behind it as long as they
  /// are wanted, too, or small.
  template <typename Wanted>
  std::optional<CompactionPlan> PickRewrite(Reason reason, std::uint32_t level,
                                            const Wanted& wanted) const {
    if (GivesWay(level)) return std::nullopt;
    const auto& tables = levels_[level];
    const std::uint64_t small = input_.options.table_bytes / kSmallPart;
    for (std::size_t i = 0; i < tables.size(); ++i) {
      if (!IsAvailable(tables[i]) || !wanted(tables[i]) || !IsFree(level, tables[i].range())) {
        continue;
      }
      Tables chosen = {&tables[i]};
      std::uint64_t bytes = tables[i].size;
      for (std::size_t next = i + 1; next < tables.size(); ++next) {
        bytes += tables[next].size;
        if (bytes > kPlanTablesMax * input_.options.table_bytes) break;
        if (!IsAvailable(tables[next]) || (!wanted(tables[next]) && tables[next].size > small)) {
          break;
        }
        chosen.push_back(&tables[next]);
        if (IsFree(level, HullOf(chosen))) continue;
        chosen.pop_back();
        break;
      }
      return MakePlan(reason, level, chosen, level);
    }
    return std::nullopt;
  }

  // Manual compactions.

  bool IsMeant(const ManualCompaction& manual, std::uint32_t level,
               const TableMetadata& table) const {
    const bool quarantined =
        input_.quarantined != nullptr && input_.quarantined->contains(table.number);
    if (quarantined || !HalfOpen(manual.begin, manual.end).Overlaps(table.range())) return false;
    if (level < kLastLevel) return table.version_min <= manual.newest;
    // In the last level it is over once it was written anew, whatever had to stay.
    return table.number < manual.next_file &&
           (Reclaimable(table) > 0 ||
            (table.tombstones + table.range_tombstones > 0 && table.version_min <= all_see_));
  }

  std::optional<CompactionPlan> PickManual(const ManualCompaction& manual) const {
    const auto is_meant = [&](std::uint32_t level) {
      return [&, level](const TableMetadata& table) { return IsMeant(manual, level, table); };
    };
    const Tables level0 = Level0Inputs();
    if (std::any_of(level0.begin(), level0.end(),
                    [&](Table table) { return IsMeant(manual, 0, *table); })) {
      return PickLevel0(Reason::kManual);
    }
    for (std::uint32_t level = 1; level < kLastLevel; ++level) {
      if (auto plan = PickPush(level, is_meant(level))) return plan;
    }
    return PickRewrite(Reason::kManual, kLastLevel, is_meant(kLastLevel));
  }

  /// Brings wanted tables of a level down to the next one.
  template <typename Wanted>
  std::optional<CompactionPlan> PickPush(std::uint32_t level, const Wanted& wanted) const {
    if (GivesWay(level)) return std::nullopt;
    const auto& tables = levels_[level];
    for (std::size_t i = 0; i < tables.size(); ++i) {
      if (!IsAvailable(tables[i]) || !wanted(tables[i]) || !CanMerge({&tables[i]}, level + 1)) {
        continue;
      }
      const bool move = CanMove(level, tables[i], level + 1);
      Tables chosen = {&tables[i]};
      std::uint64_t bytes = tables[i].size;
      for (std::size_t next = i + 1; next < tables.size(); ++next) {
        const TableMetadata& table = tables[next];
        bytes += table.size +
                 BytesOf(levels_[level + 1], Overlapping(levels_[level + 1], table.range()));
        if (!IsAvailable(table) || !wanted(table) || CanMove(level, table, level + 1) != move ||
            bytes > kPlanTablesMax * input_.options.table_bytes) {
          break;
        }
        chosen.push_back(&table);
        if (CanMerge(chosen, level + 1)) continue;
        chosen.pop_back();
        break;
      }
      return move ? MakeMove(Reason::kManual, level, chosen, level + 1)
                  : MakePlan(Reason::kManual, level, chosen, level + 1);
    }
    return std::nullopt;
  }

  const PickerInput& input_;
  const Levels& levels_;
  const LevelShape shape_;
  /// All readers see the newest version up to here: what is older and overwritten can go.
  const Version all_see_;
  std::set<FileNumber> busy_;
  std::vector<FileNumber> hollow_blobs_;  ///< By number.
  /// Level 0 is to go down, and cannot for what runs.
  bool level0_waits_ = false;
};

const TableMetadata* FindTable(const Levels& levels, const CompactionPlan::Input& input) {
  for (const TableMetadata& table : levels[input.level]) {
    if (table.number == input.number) return &table;
  }
  return nullptr;
}

}  // namespace

std::string_view ReasonName(CompactionPlan::Reason reason) {
  switch (reason) {
    case Reason::kLevel0:
      return "level 0";
    case Reason::kSize:
      return "size";
    case Reason::kTombstones:
      return "tombstones";
    case Reason::kGarbage:
      return "garbage";
    case Reason::kBlobs:
      return "blobs";
    case Reason::kReads:
      return "reads";
    case Reason::kManual:
      return "manual";
  }
  return "unknown";
}

std::optional<CompactionPlan> Pick(const PickerInput& input) { return Picker(input).Pick(); }

bool HasWork(const PickerInput& input, const ManualCompaction& manual) {
  return Picker(input).HasWork(manual);
}

void Advance(const Levels& levels, const CompactionPlan& plan,
             std::array<std::string, kLevelsMax>& cursors) {
  if (plan.reason != Reason::kSize) return;
  const std::uint32_t level = plan.inputs.front().level;
  for (const CompactionPlan::Input& input : plan.inputs) {
    if (input.level != level) break;
    if (const TableMetadata* table = FindTable(levels, input)) cursors[level] = table->smallest;
  }
}

std::vector<OwnedRange> SplitRanges(const Levels& levels, const CompactionPlan& plan,
                                    std::size_t n) {
  std::vector<OwnedRange> ranges = {{}};
  if (plan.move || plan.output_level == 0 || n < 2) return ranges;
  Tables tables;
  std::vector<std::string_view> begins;
  for (const CompactionPlan::Input& input : plan.inputs) {
    const TableMetadata* table = FindTable(levels, input);
    if (table == nullptr) continue;
    tables.push_back(table);
    begins.push_back(table->smallest);
  }
  std::sort(begins.begin(), begins.end());
  begins.erase(std::unique(begins.begin(), begins.end()), begins.end());
  // A table's bytes are taken to be spread evenly over what others begin within it.
  std::vector<std::uint64_t> bytes(begins.size());
  std::uint64_t total = 0;
  for (const Table table : tables) {
    const auto first = std::lower_bound(begins.begin(), begins.end(), table->smallest);
    const auto last = std::partition_point(first, begins.end(), [&](std::string_view begin) {
      return table->range().end.Reaches(begin);
    });
    const auto share = table->size / static_cast<std::uint64_t>(last - first);
    for (auto it = first; it != last; ++it)
      bytes[static_cast<std::size_t>(it - begins.begin())] += share;
    total += share * static_cast<std::uint64_t>(last - first);
  }
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < begins.size(); ++i) {
    if (i > 0 && ranges.size() < n && before * n >= total * ranges.size()) {
      ranges.back().end = begins[i];
      ranges.push_back({std::string(begins[i]), {}});
    }
    before += bytes[i];
  }
  return ranges;
}

}  // namespace bedrock::engine
