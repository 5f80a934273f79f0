#include "storaged/engine/memtable/memtable.h"

#include <string>

#include "common/base/check.h"

namespace bedrock::engine {

void Memtable::Account(std::size_t added) {
  bytes_.store(arena_.used_bytes() + tombstones_.bytes(), std::memory_order_relaxed);
  entries_.store(entries() + added, std::memory_order_relaxed);
}

void Memtable::Add(InternalKeyView key, std::string_view value) {
  CHECK(key.user_key.size() <= kKeyBytesMax && value.size() <= kValueBytesMax);
  const RadixTree::Place place = tree_.Locate(key.user_key);
  if (place.kind != RadixTree::Place::Kind::kFound) {
    tree_.Attach(arena_, place, ChainEntry::Make(arena_, key, value, nullptr));
    return Account(1);
  }
  bool replaced = false;
  ChainEntry* const newest = RadixTree::Found(place);
  ChainEntry* const now = ChainEntry::Add(arena_, newest, key, value, &replaced);
  if (now != newest) RadixTree::Replace(place, now);
  Account(replaced ? 0 : 1);
}

void Memtable::AddRangeTombstone(std::string_view begin, std::string_view end, Version version) {
  CHECK(begin.size() <= kKeyBytesMax && end.size() <= kKeyBytesMax);
  if (!IsBeforeEnd(begin, end)) return;
  tombstones_.Add({std::string(begin), std::string(end), version});
  Account(1);
}

std::optional<Memtable::Entry> Memtable::Find(std::string_view user_key, Version at) const {
  const ChainEntry* entry = tree_.Find(user_key);
  if (entry == nullptr) return std::nullopt;
  entry = ChainEntry::NewestAtMost(entry, SeekKey(user_key, at).trailer);
  if (entry == nullptr) return std::nullopt;
  return Entry{entry->trailer(), entry->value()};
}

// ---- Cursor

void Memtable::Cursor::TakeOldest() {
  entry_ = walk_.entry();
  if (entry_ != nullptr) entry_ = ChainEntry::Oldest(entry_);
}

void Memtable::Cursor::SeekToFirst() {
  walk_.SeekToFirst();
  TakeNewest();
}

void Memtable::Cursor::SeekToLast() {
  walk_.SeekToLast();
  TakeOldest();
}

void Memtable::Cursor::Seek(InternalKeyView target) {
  if (!walk_.SeekAtOrAfter(target.user_key)) return TakeNewest();
  entry_ = ChainEntry::NewestAtMost(walk_.entry(), target.trailer);
  if (entry_ != nullptr) return;
  walk_.Next();
  TakeNewest();
}

void Memtable::Cursor::SeekForPrev(InternalKeyView target) {
  if (!walk_.SeekAtOrBefore(target.user_key)) return TakeOldest();
  entry_ = ChainEntry::OldestAtLeast(walk_.entry(), target.trailer);
  if (entry_ != nullptr) return;
  walk_.Previous();
  TakeOldest();
}

void Memtable::Cursor::Next() {
  DCHECK(Valid());
  entry_ = entry_->older();
  if (entry_ != nullptr) return;
  walk_.Next();
  TakeNewest();
}

void Memtable::Cursor::Prev() {
  DCHECK(Valid());
  if (entry_ != walk_.entry()) {
    entry_ = ChainEntry::OldestAtLeast(walk_.entry(),
                                       Trailer::FromPacked(entry_->trailer().packed() + 1));
    if (entry_ != nullptr) return;
  }
  walk_.Previous();
  TakeOldest();
}

}  // namespace bedrock::engine
