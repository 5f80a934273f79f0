#include "storaged/engine/read/iterator.h"

#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "storaged/engine/read/snapshot_walk.h"
#include "storaged/engine/read/source.h"

namespace bedrock {

/// A SnapshotWalk over the sources of a read state. Copies what it stands on into the iterator, so
/// that looking at it is no call.
class Iterator::Walk {
 public:
  explicit Walk(const engine::IteratorParameters& parameters)
      : state_(parameters.state),
        resolver_(parameters.resolver != nullptr ? parameters.resolver
                                                 : parameters.state->tables()->blobs),
        link_(parameters.link),
        walk_(parameters.at, parameters.bounds, resolver_.get(),
              parameters.options.verify_checksums) {
    AddSources(parameters);
  }
  explicit Walk(std::unique_ptr<engine::CustomWalk> custom)
      : custom_(std::move(custom)), walk_({}, {}, nullptr) {}
  explicit Walk(Status status) : looked_(true), walk_({}, {}, nullptr) {
    walk_.Fail(std::move(status));
  }
  ~Walk() {
    if (looked_ || walk_.status().ok() || link_ == nullptr) return;
    link_->Report("iterator: an error that nobody looked at: " + walk_.status().ToString());
  }
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  template <typename Move>
  void Do(Iterator& shown, const Move& move) {
    if (custom_ != nullptr) [[unlikely]] {
      move(*custom_);
      Show(*custom_, shown);
      return;
    }
    if (link_ != nullptr && link_->closed()) [[unlikely]] {
      walk_.Fail(Status::Aborted("the database was closed"));
    } else {
      move(walk_);
    }
    Show(walk_, shown);
  }

  /// Before each move to a place that is not the next one.
  void CountPositioning() {
    if (level0_blocks_ > 0) link_->CountLevel0Reads(level0_blocks_);
  }

  Status status() {
    looked_ = true;
    return custom_ != nullptr ? custom_->status() : walk_.status();
  }

 private:
  template <typename Shown>
  static void Show(const Shown& walk, Iterator& shown) {
    shown.valid_ = walk.Valid();
    if (!shown.valid_) [[unlikely]]
      return;
    shown.key_ = walk.key();
    shown.value_ = walk.value();
    shown.version_ = walk.version();
  }

  void AddSources(const engine::IteratorParameters& parameters) {
    const auto& levels = state_->tables()->levels;
    auto& sources = walk_.sources();
    sources.Reserve(state_->memtables().size() + levels[0].size() + levels.size() - 1);
    for (const auto& memtable : state_->memtables()) AddMemtable(*memtable);
    const std::size_t level0_begin = sources.sources();
    for (auto table = levels[0].rbegin(); table != levels[0].rend(); ++table) {
      AddTable(*table, parameters);
    }
    const std::size_t level0_end = sources.sources();
    for (std::size_t level = 1; level < levels.size(); ++level) AddLevel(level, parameters);
    if (link_ == nullptr || level0_begin == level0_end) return;
    // Merged, they would be part of a source that is there anyway, or one source.
    const bool over_others = sources.sources() > level0_end;
    level0_blocks_ = level0_end - level0_begin - (over_others ? 0 : 1);
  }

  void AddMemtable(const engine::Memtable& memtable) {
    // What is added from now on is above the walk's version.
    if (memtable.empty()) return;
    auto tombstones = memtable.Tombstones();
    if (!tombstones->empty()) {
      walk_.AddTombstones(walk_.sources().sources(), std::move(tombstones));
    }
    walk_.sources().Emplace(memtable);
  }

  void AddTable(const engine::TableSet::Table& table,
                const engine::IteratorParameters& parameters) {
    const engine::TableMetadata& metadata = table->metadata();
    const Range& bounds = parameters.bounds;
    if (!metadata.range().Overlaps(engine::HalfOpen(bounds.begin, bounds.end))) return;
    if (metadata.range_tombstones > 0 && table->status().ok()) {
      walk_.AddTombstones(
          walk_.sources().sources(),
          std::shared_ptr<const engine::FragmentedTombstones>(state_, &table->Tombstones()));
    }
    walk_.sources().Emplace(std::span(&table, 1), parameters.options);
  }

  void AddLevel(std::size_t level, const engine::IteratorParameters& parameters) {
    const auto tables = engine::TablesIn(state_->tables()->levels[level], parameters.bounds.begin,
                                         parameters.bounds.end);
    if (tables.empty()) return;
    if (const auto& tombstones = state_->level_tombstones(level)) {
      walk_.AddTombstones(walk_.sources().sources(), tombstones);
    }
    walk_.sources().Emplace(tables, parameters.options);
  }

  bool looked_ = false;
  std::size_t level0_blocks_ = 0;  ///< That a positioning looks at for want of a merge.
  const std::unique_ptr<engine::CustomWalk> custom_;  ///< Instead of all below, where there is one.
  // The walk borrows these.
  const std::shared_ptr<const engine::ReadState> state_;
  const std::shared_ptr<const engine::ValueResolver> resolver_;
  const std::shared_ptr<engine::ReaderLink> link_;
  engine::SnapshotWalk<engine::Source> walk_;
};

Iterator::Iterator(std::unique_ptr<Walk> walk) : walk_(std::move(walk)) {}
Iterator::~Iterator() = default;

void Iterator::SeekToFirst() {
  walk_->CountPositioning();
  walk_->Do(*this, [](auto& walk) { walk.SeekToFirst(); });
}
void Iterator::SeekToLast() {
  walk_->CountPositioning();
  walk_->Do(*this, [](auto& walk) { walk.SeekToLast(); });
}
void Iterator::Seek(std::string_view key) {
  walk_->CountPositioning();
  walk_->Do(*this, [&](auto& walk) { walk.Seek(key); });
}
void Iterator::SeekForPrev(std::string_view key) {
  walk_->CountPositioning();
  walk_->Do(*this, [&](auto& walk) { walk.SeekForPrev(key); });
}
void Iterator::Next() {
  walk_->Do(*this, [](auto& walk) { walk.Next(); });
}
void Iterator::Prev() {
  walk_->Do(*this, [](auto& walk) { walk.Prev(); });
}
Status Iterator::status() const { return walk_->status(); }

}  // namespace bedrock

namespace bedrock::engine {

std::unique_ptr<Iterator> NewIterator(const IteratorParameters& parameters) {
  return std::make_unique<Iterator>(std::make_unique<Iterator::Walk>(parameters));
}

std::unique_ptr<Iterator> NewIterator(std::unique_ptr<CustomWalk> walk) {
  return std::make_unique<Iterator>(std::make_unique<Iterator::Walk>(std::move(walk)));
}

std::unique_ptr<Iterator> NewFailedIterator(Status status) {
  return std::make_unique<Iterator>(std::make_unique<Iterator::Walk>(std::move(status)));
}

}  // namespace bedrock::engine
