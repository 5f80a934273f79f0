#include "storaged/engine/manifest/table_set.h"

#include <algorithm>
#include <utility>

#include "common/base/status_macros.h"

namespace bedrock::engine {

namespace {

/// The first table whose largest key is at or after `user_key`.
std::size_t FirstReaching(const std::vector<TableSet::Table>& tables, std::string_view user_key) {
  const auto found = std::partition_point(
      tables.begin(), tables.end(),
      [&](const TableSet::Table& table) { return table->metadata().largest < user_key; });
  return static_cast<std::size_t>(found - tables.begin());
}

class LevelIterator final : public InternalIterator {
 public:
  LevelIterator(std::vector<TableSet::Table> tables, FillCache fill_cache)
      : tables_(std::move(tables)), fill_cache_(fill_cache) {}

  bool Valid() const override { return table_ != nullptr && table_->Valid(); }

  void SeekToFirst() override { Enter(0, nullptr); }
  void Seek(InternalKeyView target) override {
    Enter(FirstReaching(tables_, target.user_key), &target);
  }
  void Next() override {
    table_->Next();
    if (!table_->Valid() && table_->status().ok()) Enter(index_ + 1, nullptr);
  }
  InternalKeyView key() const override { return table_->key(); }
  std::string_view value() const override { return table_->value(); }
  Status status() const override { return table_ == nullptr ? Status() : table_->status(); }

 private:
  /// Stands on the first entry, at or after `target` where given, from table number `index` on.
  void Enter(std::size_t index, const InternalKeyView* target) {
    if (table_ != nullptr && !table_->status().ok()) return;
    for (index_ = index; index_ < tables_.size(); ++index_) {
      table_ = TableReader::NewIterator(tables_[index_], fill_cache_);
      if (target != nullptr) {
        table_->Seek(*target);
      } else {
        table_->SeekToFirst();
      }
      if (table_->Valid() || !table_->status().ok()) return;
    }
    table_.reset();
  }

  std::vector<TableSet::Table> tables_;
  FillCache fill_cache_;
  std::size_t index_ = 0;
  std::unique_ptr<InternalIterator> table_;
};

bool Covers(const TableReader& table, std::string_view user_key) {
  return table.metadata().smallest <= user_key && user_key <= table.metadata().largest;
}

}  // namespace

Result<FoundEntry> TableSet::Find(std::string_view user_key, Version at) const {
  for (auto table = levels[0].rbegin(); table != levels[0].rend(); ++table) {
    if (!Covers(**table, user_key)) continue;
    ASSIGN_OR_RETURN(FoundEntry entry, (*table)->Find(user_key, at));
    if (entry.found) return entry;
  }
  for (std::size_t level = 1; level < levels.size(); ++level) {
    const std::size_t i = FirstReaching(levels[level], user_key);
    if (i == levels[level].size() || !Covers(*levels[level][i], user_key)) continue;
    ASSIGN_OR_RETURN(FoundEntry entry, levels[level][i]->Find(user_key, at));
    if (entry.found) return entry;
  }
  return FoundEntry{};
}

void TableSet::AppendIterators(FillCache fill_cache,
                               std::vector<std::unique_ptr<InternalIterator>>& out) const {
  for (auto table = levels[0].rbegin(); table != levels[0].rend(); ++table) {
    out.push_back(TableReader::NewIterator(*table, fill_cache));
  }
  for (std::size_t level = 1; level < levels.size(); ++level) {
    if (!levels[level].empty()) out.push_back(NewLevelIterator(levels[level], fill_cache));
  }
}

std::unique_ptr<InternalIterator> NewLevelIterator(std::vector<TableSet::Table> tables,
                                                   FillCache fill_cache) {
  return std::make_unique<LevelIterator>(std::move(tables), fill_cache);
}

}  // namespace bedrock::engine
