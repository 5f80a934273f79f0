#include "storaged/engine/table/block.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "storaged/engine/table/search.h"

namespace bedrock::engine {

namespace {

constexpr std::size_t kHeaderBytes = 20;
constexpr std::size_t kSizeBytes = 4;
constexpr std::uint8_t kKindsDiffer = 255;

std::size_t SharedPrefix(std::string_view a, std::string_view b) {
  const std::size_t size_min = std::min(a.size(), b.size());
  std::size_t shared = 0;
  while (shared < size_min && a[shared] == b[shared]) ++shared;
  return shared;
}

/// Writes the lowest `width` bytes; up to eight may be written.
char* StoreNumber(char* at, std::uint64_t value, std::size_t width) {
  std::memcpy(at, &value, sizeof(value));
  return at + width;
}

bool AllAlike(const std::vector<std::uint32_t>& ends) {
  const std::size_t each = ends.front();
  for (std::size_t i = 1; i < ends.size(); ++i) {
    if (ends[i] != each * (i + 1)) return false;
  }
  return true;
}

std::uint32_t EndWidth(bool all_alike, std::size_t area_bytes) {
  if (all_alike) return 0;
  return area_bytes <= UINT16_MAX ? 2 : 4;
}

bool IsEndWidth(unsigned width) { return width == 0 || width == 2 || width == 4; }

}  // namespace

struct BlockBuilder::Layout {
  std::size_t prefix = 0;
  std::size_t key_area = 0;
  std::uint32_t key_width = 0;
  std::uint32_t value_width = 0;
  std::uint32_t version_width = 0;
  std::uint8_t common_kind = kKindsDiffer;
  std::uint64_t version_min = 0;
  std::size_t bytes = 0;
};

void BlockBuilder::Add(InternalKeyView key, std::string_view value) {
  DCHECK(empty() || last_key() < key);
  keys_.append(key.user_key);
  values_.append(value);
  key_ends_.push_back(static_cast<std::uint32_t>(keys_.size()));
  value_ends_.push_back(static_cast<std::uint32_t>(values_.size()));
  trailers_.push_back(key.trailer);
}

void BlockBuilder::Reset() {
  keys_.clear();
  values_.clear();
  key_ends_.clear();
  value_ends_.clear();
  trailers_.clear();
}

std::string_view BlockBuilder::KeyAt(std::size_t i) const {
  const std::size_t begin = i == 0 ? 0 : key_ends_[i - 1];
  return std::string_view(keys_).substr(begin, key_ends_[i] - begin);
}

BlockBuilder::Layout BlockBuilder::Plan() const {
  const std::size_t n = entries();
  Layout layout;
  // Sorted, so what the first and the last share, all share.
  layout.prefix = SharedPrefix(KeyAt(0), KeyAt(n - 1));
  layout.key_area = keys_.size() - layout.prefix * n;
  layout.key_width = EndWidth(AllAlike(key_ends_), layout.key_area);
  layout.value_width = EndWidth(AllAlike(value_ends_), values_.size());
  std::uint64_t version_max = 0;
  layout.version_min = kVersionMax.value();
  std::uint64_t kinds = 0;
  for (const Trailer trailer : trailers_) {
    layout.version_min = std::min(layout.version_min, trailer.version().value());
    version_max = std::max(version_max, trailer.version().value());
    kinds |= trailer.packed() ^ trailers_.front().packed();
  }
  layout.version_width =
      static_cast<std::uint32_t>(std::bit_width(version_max - layout.version_min) + 7) / 8;
  if ((kinds & 0xff) == 0) {
    layout.common_kind = static_cast<std::uint8_t>(trailers_.front().packed() & 0xff);
  }
  const bool kinds_differ = layout.common_kind == kKindsDiffer;
  layout.bytes =
      kHeaderBytes + (layout.key_width == 0 ? kSizeBytes : 0) +
      (layout.value_width == 0 ? kSizeBytes : 0) + layout.prefix +
      n * (layout.key_width + layout.value_width + (kinds_differ ? 1 : 0) + layout.version_width) +
      layout.key_area + values_.size();
  return layout;
}

void BlockBuilder::PutKeys(const Layout& layout, char* at) const {
  const char* from = keys_.data();
  std::size_t begin = 0;
  for (const std::size_t end : key_ends_) {
    const std::size_t rest = end - begin - layout.prefix;
    std::memcpy(at, from + begin + layout.prefix, rest);
    at += rest;
    begin = end;
  }
}

void BlockBuilder::Finish(std::string& out) const {
  CHECK(!empty());
  CHECK(std::max(keys_.size(), values_.size()) <= UINT32_MAX);
  const Layout layout = Plan();
  const std::size_t n = entries();
  const std::size_t begin = out.size();
  // Columns are written eight bytes at a time, over what follows, which is written later.
  out.resize(begin + layout.bytes + sizeof(std::uint64_t));
  char* at = out.data() + begin;
  at = StoreNumber(at, n, 4);
  at = StoreNumber(at, layout.prefix, 4);
  at = StoreNumber(at, layout.key_width, 1);
  at = StoreNumber(at, layout.value_width, 1);
  at = StoreNumber(at, layout.version_width, 1);
  at = StoreNumber(at, layout.common_kind, 1);
  at = StoreNumber(at, layout.version_min, 8);
  if (layout.key_width == 0) at = StoreNumber(at, key_ends_.front() - layout.prefix, 4);
  if (layout.value_width == 0) at = StoreNumber(at, value_ends_.front(), 4);
  std::memcpy(at, keys_.data(), layout.prefix);
  at += layout.prefix;
  if (layout.key_width != 0) {
    for (std::size_t i = 0; i < n; ++i) {
      at = StoreNumber(at, key_ends_[i] - layout.prefix * (i + 1), layout.key_width);
    }
  }
  if (layout.value_width != 0) {
    for (const std::uint32_t end : value_ends_) at = StoreNumber(at, end, layout.value_width);
  }
  if (layout.common_kind == kKindsDiffer) {
    for (const Trailer trailer : trailers_) at = StoreNumber(at, trailer.packed(), 1);
  }
  if (layout.version_width != 0) {
    for (const Trailer trailer : trailers_) {
      at = StoreNumber(at, trailer.version().value() - layout.version_min, layout.version_width);
    }
  }
  PutKeys(layout, at);
  at += layout.key_area;
  std::memcpy(at, values_.data(), values_.size());
  out.resize(begin + layout.bytes);
}

static_assert(std::is_trivially_destructible_v<Block>, "it ends with its memory");

/// Takes a block's parts off its contents.
struct Block::Reader {
  const char* at;
  const char* end;

  bool Take(std::uint64_t bytes, const char*& part) {
    if (bytes > static_cast<std::size_t>(end - at)) return false;
    part = at;
    at += bytes;
    return true;
  }
  bool TakeNumber(std::uint32_t& number) {
    const char* part = nullptr;
    if (!Take(sizeof(number), part)) return false;
    number = LoadFixed<std::uint32_t>(part);
    return true;
  }
};

const Block& Block::At(const char* data) {
  return *std::launder(reinterpret_cast<const Block*>(data));
}

std::size_t Block::ContentsOffset(std::size_t entries) {
  return sizeof(Block) + (entries + kHeadsPadding) * sizeof(std::int32_t);
}

BlockMemory::Owner Block::Allocate(std::size_t contents_bytes, std::size_t entries,
                                   BlockCache* cache) {
  // Behind the contents: what a version or a short key may be read beyond its end.
  const std::size_t contents_end = ContentsOffset(entries) + contents_bytes;
  const std::size_t bytes = contents_end + kCopyBytes;
  BlockMemory::Owner memory =
      cache == nullptr ? BlockMemory::Allocate(bytes) : cache->Allocate(bytes);
  std::memset(memory->data() + contents_end, 0, kCopyBytes);
  return memory;
}

char* Block::ContentsOf(BlockMemory& memory, std::size_t entries) {
  return memory.data() + ContentsOffset(entries);
}

Result<BlockMemory::Owner> Block::Parse(std::string_view contents) {
  if (contents.size() < kHeaderBytes) return Status::Corruption("malformed block");
  const std::size_t entries = LoadFixed<std::uint32_t>(contents.data());
  if (entries > contents.size()) return Status::Corruption("malformed block");
  BlockMemory::Owner memory = Allocate(contents.size(), entries);
  std::memcpy(ContentsOf(*memory, entries), contents.data(), contents.size());
  RETURN_IF_ERROR(Open(*memory, contents.size(), entries));
  return memory;
}

Status Block::Open(BlockMemory& memory, std::size_t contents_bytes, std::size_t entries) {
  static_assert(alignof(Block) <= alignof(BlockMemory));
  Block* const block = new (memory.data()) Block();  // NOLINT: in place
  RETURN_IF_ERROR(block->ReadLayout(ContentsOf(memory, entries), contents_bytes));
  if (block->entries_ != entries) return Status::Corruption("malformed block: number of entries");
  auto* const heads = reinterpret_cast<std::int32_t*>(memory.data() + sizeof(Block));
  std::memset(heads + entries, 0, kHeadsPadding * sizeof(std::int32_t));
  block->MakeHeads(heads);
  return {};
}

bool Block::Column::IsInOrder(std::size_t entries, std::size_t area_bytes) const {
  if (width == 0) return std::uint64_t{each} * entries <= area_bytes;
  std::size_t previous = 0;
  bool in_order = true;
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t end = EndAt(i);
    in_order &= end >= previous;
    previous = end;
  }
  return in_order && previous <= area_bytes;
}

Status Block::ReadLayout(const char* contents, std::size_t contents_bytes) {
  const Status bad = Status::Corruption("malformed block");
  if (contents_bytes < kHeaderBytes) return bad;
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(contents[i]); };
  entries_ = LoadFixed<std::uint32_t>(contents);
  prefix_bytes_ = LoadFixed<std::uint32_t>(contents + 4);
  key_column_.width = byte(8);
  value_column_.width = byte(9);
  version_width_ = byte(10);
  common_kind_ = byte(11);
  base_version_ = LoadFixed<std::uint64_t>(contents + 12);
  if (entries_ == 0 || !IsEndWidth(key_column_.width) || !IsEndWidth(value_column_.width) ||
      version_width_ > 7 || base_version_ > kVersionMax.value()) {
    return bad;
  }
  version_bits_ = static_cast<std::uint8_t>(8 * version_width_);
  // No overflow: numbers of entries and prefix bytes are below 2^32, widths below 2^3.
  const std::uint64_t n = entries_;
  Reader reader{contents + kHeaderBytes, contents + contents_bytes};
  const bool kinds_differ = common_kind_ == kKindsDiffer;
  const char* prefix = nullptr;
  const char* kinds = nullptr;
  const char* versions = nullptr;
  if ((key_column_.width == 0 && !reader.TakeNumber(key_column_.each)) ||
      (value_column_.width == 0 && !reader.TakeNumber(value_column_.each)) ||
      !reader.Take(prefix_bytes_, prefix) ||
      !reader.Take(n * key_column_.width, key_column_.ends) ||
      !reader.Take(n * value_column_.width, value_column_.ends) ||
      !reader.Take(kinds_differ ? n : 0, kinds) || !reader.Take(n * version_width_, versions)) {
    return bad;
  }
  const auto areas = static_cast<std::size_t>(reader.end - reader.at);
  if (!key_column_.IsInOrder(n, areas)) return bad;
  const std::size_t key_area = key_column_.EndAt(n - 1);
  if (!value_column_.IsInOrder(n, areas - key_area) ||
      value_column_.EndAt(n - 1) != areas - key_area) {
    return bad;
  }
  const auto offset = [this](const char* part) {
    return static_cast<std::uint32_t>(part - reinterpret_cast<const char*>(this));
  };
  prefix_ = offset(prefix);
  if (kinds_differ) kinds_ = offset(kinds);
  versions_ = offset(versions);
  keys_ = offset(reader.at);
  values_ = offset(reader.at + key_area);
  rest_bytes_max_ =
      key_column_.width == 0 ? key_column_.each : static_cast<std::uint32_t>(key_area);
  return {};
}

void Block::MakeHeads(std::int32_t* heads) {
  for (std::size_t i = 0; i < entries_; ++i) {
    // As Head32, but without branches: four bytes can be read wherever a key ends.
    const std::string_view rest = KeyRest(i);
    const std::size_t missing = 4 - std::min<std::size_t>(rest.size(), 4);
    const std::uint64_t head = __builtin_bswap32(LoadFixed<std::uint32_t>(rest.data()));
    const auto cut = static_cast<std::uint32_t>(head >> (8 * missing) << (8 * missing));
    heads[i] = static_cast<std::int32_t>(cut ^ 0x8000'0000);
  }
}

bool Block::KindsAreKnown() const {
  if (kinds_ == 0) return IsKnownKind(static_cast<EntryKind>(common_kind_));
  return std::all_of(Part(kinds_), Part(kinds_) + entries_,
                     [](char kind) { return IsKnownKind(static_cast<EntryKind>(kind)); });
}

std::size_t Block::LowerBoundByKey(std::size_t low, std::size_t high, InternalKeyView rest) const {
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (InternalKeyView{KeyRest(middle), TrailerAt(middle)} < rest) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

std::size_t Block::LowerBound(InternalKeyView target) const {
  const std::string_view front = target.user_key.substr(0, prefix_bytes_);
  const int order = front.compare(prefix());
  if (order < 0) return 0;
  if (order > 0) return entries_;
  const InternalKeyView rest{target.user_key.substr(prefix_bytes_), target.trailer};
  const std::int32_t head = Head32(rest.user_key);
  const std::size_t low = LowerBound32(heads(), entries_, head);
  const std::size_t high = UpperBound32(heads(), low, entries_, head);
  return LowerBoundByKey(low, high, rest);
}

}  // namespace bedrock::engine
