#include "storaged/engine/read/point_read.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "common/base/status_macros.h"
#include "storaged/engine/read/level_cursor.h"

namespace bedrock::engine {

namespace {

/// Values in memtables up to this size are copied: that costs no more than a reference would, which
/// would hold the whole memtable and have all readers count in one word.
constexpr std::size_t kCopyBytesMax = 512;

/// Whether a source knows the newest of what there is: an entry, or a tombstone over the key.
bool Settle(Version covering, NewestEntry* entry) {
  if (covering > Version() && covering > entry->trailer.version()) {
    *entry = {};
    entry->trailer = Trailer(covering, EntryKind::kDelete);
  }
  return entry->known();
}

bool AskMemtable(const Memtable& memtable, std::string_view key, Version at, NewestEntry* entry) {
  if (const auto found = memtable.Find(key, at)) {
    entry->trailer = found->trailer;
    entry->value = found->value;
  }
  return Settle(memtable.CoveringTombstone(key, at), entry);
}

/// Takes over what a table found.
bool AskedTable(const TableReader& table, std::string_view key, Version at, FoundEntry found,
                NewestEntry* entry) {
  if (found.found) {
    entry->trailer = found.trailer;
    entry->value = found.value;
    entry->pin = std::move(found.pin);
  }
  if (table.metadata().range_tombstones == 0) return entry->known();
  return Settle(table.Tombstones().Covering(key, at), entry);
}

/// The tables that may have a key, the newest first.
class TablesOfKey {
 public:
  TablesOfKey(const TableSet& tables, std::string_view key) : levels_(tables.levels), key_(key) {}

  /// Null: no more.
  const TableReader* Next() {
    while (level0_ < levels_[0].size()) {
      const TableReader& table = **(levels_[0].rbegin() + static_cast<std::ptrdiff_t>(level0_++));
      if (table.metadata().range().Contains(key_)) return &table;
    }
    while (level_ < levels_.size()) {
      const auto& tables = levels_[level_++];
      if (tables.empty()) continue;
      if (const TableReader* table = TableOf(tables, key_)) return table;
    }
    return nullptr;
  }

 private:
  const std::vector<std::vector<TableSet::Table>>& levels_;
  std::string_view key_;
  std::size_t level0_ = 0;  ///< How many of level 0 were looked at.
  std::size_t level_ = 1;
};

Status AskTables(const PointRead& read, std::string_view key, NewestEntry* entry) {
  // So many filters at once are waited for together.
  constexpr std::size_t kTogether = 8;
  const KeyHash hash = HashKey(key);
  TablesOfKey tables(*read.state->tables(), key);
  for (std::size_t count = kTogether; count == kTogether;) {
    std::array<const TableReader*, kTogether> some;
    for (count = 0; count < kTogether; ++count) {
      if ((some[count] = tables.Next()) == nullptr) break;
      some[count]->Prefetch(hash);
    }
    for (std::size_t i = 0; i < count; ++i) {
      ASSIGN_OR_RETURN(FoundEntry found, some[i]->Find(key, hash, read.at, read.options));
      if (AskedTable(*some[i], key, read.at, std::move(found), entry)) return {};
    }
  }
  return {};
}

/// Hands `held` over to `value`, which is to show `view`, a part of it.
template <typename Held>
void PinTo(std::unique_ptr<Held> held, std::string_view view, Version version, PinnedValue* value) {
  value->Pin(view, version, held.release(),
             [](void* pinned) { std::unique_ptr<Held>(static_cast<Held*>(pinned)); });
}

void PinCopy(std::string_view bytes, Version version, PinnedValue* value) {
  auto copy = std::make_unique<char[]>(std::max<std::size_t>(bytes.size(), 1));  // NOLINT
  std::copy(bytes.begin(), bytes.end(), copy.get());
  const std::string_view view(copy.get(), bytes.size());
  value->Pin(view, version, copy.release(),
             [](void* pinned) { std::unique_ptr<char[]>(static_cast<char*>(pinned)); });  // NOLINT
}

/// For an entry that holds no value itself.
Result<ResolvedValue> ReadBlob(const PointRead& read, const NewestEntry& entry) {
  if (entry.trailer.kind() != EntryKind::kBlobPut) {
    return Status::Corruption("entry of an unknown kind");
  }
  const ValueResolver& resolver =
      read.resolver != nullptr ? *read.resolver : *read.state->tables()->blobs;
  return resolver.Read(entry.value, read.options.verify_checksums);
}

Status PinEntry(const PointRead& read, NewestEntry entry, PinnedValue* value) {
  if (!entry.found()) return Status::NotFound("absent");
  const Version version = entry.trailer.version();
  if (entry.trailer.kind() != EntryKind::kPut) {
    ASSIGN_OR_RETURN(ResolvedValue blob, ReadBlob(read, entry));
    value->Pin(blob.value, version, blob.pin.Release(), &BlockPin::Unpin);
  } else if (entry.pin) {
    value->Pin(entry.value, version, entry.pin.Release(), &BlockPin::Unpin);
  } else if (entry.value.size() <= kCopyBytesMax) {
    PinCopy(entry.value, version, value);
  } else {
    PinTo(std::make_unique<std::shared_ptr<const ReadState>>(read.state.Hold()), entry.value,
          version, value);
  }
  return {};
}

/// Many keys at once. What is still looked for stands in key order.
class ManyPoints {
 public:
  ManyPoints(const PointRead& read, std::span<const std::string_view> keys)
      : read_(read), wanted_(keys.size()), entries_(keys.size()), statuses_(keys.size()) {
    for (std::size_t i = 0; i < keys.size(); ++i) wanted_[i] = {i, keys[i], {}, 0};
    std::sort(wanted_.begin(), wanted_.end(),
              [](const Wanted& a, const Wanted& b) { return a.key < b.key; });
  }

  std::vector<Result<PinnedValue>> Run() {
    AskMemtables();
    if (!wanted_.empty()) AskTables();
    std::vector<Result<PinnedValue>> values;
    values.reserve(entries_.size());
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      PinnedValue value;
      Status status = std::move(statuses_[i]);
      if (status.ok()) status = PinEntry(read_, std::move(entries_[i]), &value);
      if (status.ok()) {
        values.emplace_back(std::move(value));
      } else {
        values.emplace_back(std::move(status));
      }
    }
    return values;
  }

 private:
  struct Wanted {
    std::size_t number;  ///< Of the key, as it was given.
    std::string_view key;
    KeyHash hash;
    std::size_t block;  ///< Of the table that is asked; kNowhere: not there.
  };
  /// So many keys wait for memory together: what they wait for fits the nearest cache.
  static constexpr std::size_t kTogether = 16;

  void AskMemtables() {
    for (const auto& memtable : read_.state->memtables()) {
      std::erase_if(wanted_, [&](const Wanted& one) {
        return AskMemtable(*memtable, one.key, read_.at, &entries_[one.number]);
      });
    }
  }

  void AskTables() {
    for (Wanted& one : wanted_) one.hash = HashKey(one.key);
    const auto& levels = read_.state->tables()->levels;
    for (auto table = levels[0].rbegin(); table != levels[0].rend(); ++table) {
      AskLevel({&*table, 1});
    }
    for (std::size_t level = 1; level < levels.size(); ++level) AskLevel(levels[level]);
  }

  /// Of tables that share no key.
  void AskLevel(std::span<const TableSet::Table> tables) {
    std::size_t kept = 0;
    std::size_t i = 0;
    while (i < wanted_.size()) {
      tables = TablesIn(tables, wanted_[i].key, {});
      if (tables.empty()) break;
      const TableReader& table = *tables.front();
      const KeyRange range = table.metadata().range();
      std::size_t end = i;
      while (end < wanted_.size() && end - i < kTogether && range.end.Reaches(wanted_[end].key)) {
        table.Prefetch(wanted_[end++].hash);
      }
      Locate(table, std::span(wanted_).subspan(i, end - i));
      for (; i < end; ++i) {
        if (!Ask(table, wanted_[i])) wanted_[kept++] = wanted_[i];
      }
    }
    const auto at = [this](std::size_t n) {
      return wanted_.begin() + static_cast<std::ptrdiff_t>(n);
    };
    wanted_.erase(at(kept), at(i));
  }

  void Locate(const TableReader& table, std::span<Wanted> some) {
    for (Wanted& one : some) one.block = table.Locate(one.key, one.hash, read_.at);
    for (const Wanted& one : some) table.PrefetchBlock(one.block);
  }

  bool Ask(const TableReader& table, const Wanted& one) {
    if (!table.metadata().range().Contains(one.key)) return false;
    auto found = table.FindIn(one.block, one.key, read_.at, read_.options);
    if (!found.ok()) {
      statuses_[one.number] = found.status();
      return true;
    }
    return AskedTable(table, one.key, read_.at, std::move(found).value(), &entries_[one.number]);
  }

  const PointRead& read_;
  std::vector<Wanted> wanted_;
  std::vector<NewestEntry> entries_;
  std::vector<Status> statuses_;
};

}  // namespace

Result<NewestEntry> FindNewest(const PointRead& read, std::string_view key) {
  NewestEntry entry;
  for (const auto& memtable : read.state->memtables()) {
    if (AskMemtable(*memtable, key, read.at, &entry)) return entry;
  }
  RETURN_IF_ERROR(AskTables(read, key, &entry));
  return entry;
}

Result<std::string> CopyValue(const PointRead& read, const NewestEntry& entry) {
  if (entry.trailer.kind() == EntryKind::kPut) return std::string(entry.value);
  ASSIGN_OR_RETURN(const ResolvedValue blob, ReadBlob(read, entry));
  return std::string(blob.value);
}

Status ReadPoint(const PointRead& read, std::string_view key, PinnedValue* value) {
  value->Reset();
  ASSIGN_OR_RETURN(NewestEntry entry, FindNewest(read, key));
  return PinEntry(read, std::move(entry), value);
}

std::vector<Result<PinnedValue>> ReadPoints(const PointRead& read,
                                            std::span<const std::string_view> keys) {
  return ManyPoints(read, keys).Run();
}

}  // namespace bedrock::engine
