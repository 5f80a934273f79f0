#include "storaged/engine/table/block.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "common/base/check.h"
#include "common/codec/coding.h"

namespace bedrock::engine {

namespace {

constexpr std::size_t kHeaderBytes = 24;

std::size_t SharedPrefix(std::string_view a, std::string_view b) {
  const std::size_t size_min = std::min(a.size(), b.size());
  std::size_t shared = 0;
  while (shared < size_min && a[shared] == b[shared]) ++shared;
  return shared;
}

void PutNumber(std::string& out, std::uint64_t value, std::size_t width) {
  char raw[8];
  StoreFixed(raw, value);
  out.append(raw, width);
}

/// A little-endian number of `width` bytes, at most 7.
std::uint64_t LoadNumber(const char* at, std::size_t width) {
  std::uint64_t value = 0;
  std::memcpy(&value, at, width);
  return value;
}

}  // namespace

void BlockBuilder::Add(InternalKeyView key, std::string_view value) {
  DCHECK(empty() || last_key() < key);
  keys_ += key.user_key;
  values_ += value;
  key_ends_.push_back(keys_.size());
  value_ends_.push_back(values_.size());
  trailers_.push_back(key.trailer);
}

void BlockBuilder::Reset() {
  keys_.clear();
  values_.clear();
  key_ends_.clear();
  value_ends_.clear();
  trailers_.clear();
}

std::size_t BlockBuilder::EstimatedBytes() const {
  constexpr std::size_t kBytesAnEntry = 8;
  return kHeaderBytes + keys_.size() + values_.size() + entries() * kBytesAnEntry;
}

std::string_view BlockBuilder::KeyAt(std::size_t i) const {
  const std::size_t begin = i == 0 ? 0 : key_ends_[i - 1];
  return std::string_view(keys_).substr(begin, key_ends_[i] - begin);
}

InternalKeyView BlockBuilder::last_key() const { return {KeyAt(entries() - 1), trailers_.back()}; }

std::string BlockBuilder::Finish() const {
  CHECK(!empty());
  const std::size_t n = entries();
  // Sorted, so what the first and the last share, all share.
  const std::size_t prefix = SharedPrefix(KeyAt(0), KeyAt(n - 1));
  const std::size_t key_area = keys_.size() - prefix * n;
  const std::size_t offset_width = std::max(key_area, values_.size()) <= 0xffff ? 2 : 4;
  CHECK(std::max(key_area, values_.size()) <= UINT32_MAX);
  std::uint64_t version_min = kVersionMax.value();
  std::uint64_t version_max = 0;
  for (const Trailer trailer : trailers_) {
    version_min = std::min(version_min, trailer.version().value());
    version_max = std::max(version_max, trailer.version().value());
  }
  const auto version_width =
      static_cast<std::size_t>(std::bit_width(version_max - version_min) + 7) / 8;

  std::string out;
  out.reserve(kHeaderBytes + prefix + n * (2 * offset_width + 1 + version_width) + key_area +
              values_.size());
  PutFixed(out, static_cast<std::uint32_t>(n));
  PutFixed(out, static_cast<std::uint32_t>(prefix));
  PutFixed(out, static_cast<std::uint8_t>(offset_width));
  PutFixed(out, static_cast<std::uint8_t>(version_width));
  out.append(6, '\0');
  PutFixed(out, version_min);
  out += KeyAt(0).substr(0, prefix);
  for (std::size_t i = 0; i < n; ++i) PutNumber(out, key_ends_[i] - prefix * (i + 1), offset_width);
  for (std::size_t i = 0; i < n; ++i) PutNumber(out, value_ends_[i], offset_width);
  for (const Trailer trailer : trailers_) out += static_cast<char>(trailer.packed() & 0xff);
  for (const Trailer trailer : trailers_) {
    PutNumber(out, trailer.version().value() - version_min, version_width);
  }
  for (std::size_t i = 0; i < n; ++i) out += KeyAt(i).substr(prefix);
  out += values_;
  return out;
}

std::size_t Block::EndAt(const char* ends, std::size_t i) const {
  if (offset_width_ == 2) return LoadFixed<std::uint16_t>(ends + i * 2);
  return LoadFixed<std::uint32_t>(ends + i * 4);
}

bool Block::EndsAreInOrder(const char* ends, std::size_t area_bytes) const {
  std::size_t previous = 0;
  for (std::size_t i = 0; i < entries_; ++i) {
    const std::size_t end = EndAt(ends, i);
    if (end < previous || end > area_bytes) return false;
    previous = end;
  }
  return true;
}

Result<std::shared_ptr<const Block>> Block::Parse(std::string contents) {
  const auto bad = [] { return Status::Corruption("malformed block"); };
  if (contents.size() < kHeaderBytes) return bad();
  // Not make_shared: the constructor is private.
  std::shared_ptr<Block> block(new Block());  // NOLINT
  block->contents_ = std::move(contents);
  const char* at = block->contents_.data();
  block->entries_ = LoadFixed<std::uint32_t>(at);
  block->prefix_bytes_ = LoadFixed<std::uint32_t>(at + 4);
  block->offset_width_ = static_cast<unsigned char>(at[8]);
  block->version_width_ = static_cast<unsigned char>(at[9]);
  block->base_version_ = LoadFixed<std::uint64_t>(at + 16);
  const std::size_t n = block->entries_;
  if ((block->offset_width_ != 2 && block->offset_width_ != 4) || block->version_width_ > 7 ||
      n == 0 || block->base_version_ > kVersionMax.value()) {
    return bad();
  }
  // No overflow: n and the prefix are below 2^32, the widths below 2^4.
  const std::size_t fixed = kHeaderBytes + block->prefix_bytes_ +
                            n * (2 * block->offset_width_ + 1 + block->version_width_);
  if (fixed > block->contents_.size()) return bad();
  block->prefix_ = at + kHeaderBytes;
  block->key_ends_ = block->prefix_ + block->prefix_bytes_;
  block->value_ends_ = block->key_ends_ + n * block->offset_width_;
  block->kinds_ = block->value_ends_ + n * block->offset_width_;
  block->versions_ = block->kinds_ + n;
  block->keys_ = block->versions_ + n * block->version_width_;
  const std::size_t areas = block->contents_.size() - fixed;
  if (!block->EndsAreInOrder(block->key_ends_, areas)) return bad();
  const std::size_t key_area = block->EndAt(block->key_ends_, n - 1);
  block->values_ = block->keys_ + key_area;
  if (!block->EndsAreInOrder(block->value_ends_, areas - key_area) ||
      block->EndAt(block->value_ends_, n - 1) != areas - key_area) {
    return bad();
  }
  return std::shared_ptr<const Block>(std::move(block));
}

std::string_view Block::KeySuffix(std::size_t i) const {
  DCHECK(i < entries_);
  const std::size_t begin = i == 0 ? 0 : EndAt(key_ends_, i - 1);
  return {keys_ + begin, EndAt(key_ends_, i) - begin};
}

std::string_view Block::Value(std::size_t i) const {
  DCHECK(i < entries_);
  const std::size_t begin = i == 0 ? 0 : EndAt(value_ends_, i - 1);
  return {values_ + begin, EndAt(value_ends_, i) - begin};
}

Trailer Block::TrailerAt(std::size_t i) const {
  DCHECK(i < entries_);
  const std::uint64_t version =
      base_version_ + LoadNumber(versions_ + i * version_width_, version_width_);
  return Trailer::FromPacked(version << 8 | static_cast<unsigned char>(kinds_[i]));
}

std::size_t Block::LowerBound(InternalKeyView target) const {
  const std::string_view head = target.user_key.substr(0, prefix_bytes_);
  const int order = head.compare(prefix());
  if (order < 0) return 0;
  if (order > 0) return entries_;
  const InternalKeyView rest{target.user_key.substr(prefix_bytes_), target.trailer};
  std::size_t low = 0;
  std::size_t high = entries_;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (InternalKeyView{KeySuffix(middle), TrailerAt(middle)} < rest) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void BlockCursor::Reset(std::shared_ptr<const Block> block, std::size_t position) {
  block_ = std::move(block);
  position_ = position;
  key_ = block_->prefix();
  Load();
}

void BlockCursor::Next() {
  DCHECK(Valid());
  ++position_;
  Load();
}

void BlockCursor::Load() {
  if (!Valid()) return;
  key_.resize(block_->prefix().size());
  key_ += block_->KeySuffix(position_);
  trailer_ = block_->TrailerAt(position_);
}

}  // namespace bedrock::engine
