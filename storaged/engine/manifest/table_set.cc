#include "storaged/engine/manifest/table_set.h"

#include <algorithm>
#include <utility>

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

}  // namespace

std::unique_ptr<InternalIterator> NewLevelIterator(std::vector<TableSet::Table> tables,
                                                   FillCache fill_cache) {
  return std::make_unique<LevelIterator>(std::move(tables), fill_cache);
}

}  // namespace bedrock::engine
