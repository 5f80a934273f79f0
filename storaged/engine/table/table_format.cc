#include "storaged/engine/table/table_format.h"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <memory>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "storaged/engine/table/hash.h"

namespace bedrock::engine {

namespace {

constexpr std::string_view kMagic = "BRKTABLE";

void PutHandle(std::string& out, const BlockHandle& handle) {
  PutFixed(out, handle.offset);
  PutFixed(out, handle.size);
}

BlockHandle LoadHandle(const char* at) {
  return {LoadFixed<std::uint64_t>(at), LoadFixed<std::uint64_t>(at + 8)};
}

Status BadBlock(std::uint64_t offset, std::string_view what) {
  return Status::Corruption("block at offset " + std::to_string(offset) + ": " + std::string(what));
}

constexpr std::size_t kSizeBytes = 4;
/// What LZ4 makes of its best input; no frame of Zstandard's that holds less than a block is denser
/// by much.
constexpr std::size_t kRatioMax = 1 << 16;

/// Room for what compressing `n` bytes may give.
std::size_t CompressedBound(Compression compression, std::size_t n) {
  if (compression == Compression::kZstd) return ZSTD_compressBound(n);
  return static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(n)));
}

/// Contexts are large; a thread keeps its own.
struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

/// 0 where it failed.
std::size_t Compress(Compression compression, std::string_view contents, char* out,
                     std::size_t room) {
  if (compression == Compression::kLz4) {
    const int size = LZ4_compress_default(contents.data(), out, static_cast<int>(contents.size()),
                                          static_cast<int>(room));
    return size > 0 ? static_cast<std::size_t>(size) : 0;
  }
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  constexpr int kLevel = 1;
  const std::size_t size =
      ZSTD_compressCCtx(context.get(), out, room, contents.data(), contents.size(), kLevel);
  return ZSTD_isError(size) != 0 ? 0 : size;
}

constexpr std::size_t kNumbers = 9;

bool MakeSense(const TableProperties& properties) {
  using BlobReference = TableProperties::BlobReference;
  using Garbage = TableProperties::Garbage;
  const auto by_file = [](const BlobReference& a, const BlobReference& b) {
    return a.file >= b.file;
  };
  const auto by_version = [](const Garbage& a, const Garbage& b) { return a.when >= b.when; };
  const auto& blobs = properties.blob_references;
  const auto& garbage = properties.garbage;
  return (properties.entries > 0 || properties.range_tombstones > 0) &&
         properties.tombstones <= properties.entries &&
         properties.data_blocks <= properties.entries &&
         properties.dense_blocks <= properties.data_blocks &&
         properties.version_min <= properties.version_max &&
         properties.version_max <= kVersionMax &&
         properties.range().Contains(properties.smallest) &&
         garbage.size() <= TableProperties::kGarbageBucketsMax &&
         std::adjacent_find(blobs.begin(), blobs.end(), by_file) == blobs.end() &&
         std::adjacent_find(garbage.begin(), garbage.end(), by_version) == garbage.end();
}

}  // namespace

std::string TableFooter::Encode() const {
  std::string out;
  out.reserve(kTableFooterBytes);
  PutHandle(out, filter);
  PutHandle(out, index);
  PutHandle(out, range_tombstones);
  PutHandle(out, properties);
  PutFixed(out, number.value());
  PutFixed(out, content_hash);
  PutFixed(out, kTableFormatVersion);
  PutFixed(out, std::uint32_t{0});
  PutFixed(out, Hash64(out));
  out += kMagic;
  CHECK(out.size() == kTableFooterBytes);
  return out;
}

Result<TableFooter> TableFooter::Decode(std::string_view text) {
  if (text.size() != kTableFooterBytes || text.substr(96) != kMagic) {
    return Status::Corruption("footer: not a table");
  }
  if (Hash64(text.substr(0, 88)) != LoadFixed<std::uint64_t>(text.data() + 88)) {
    return Status::Corruption("footer: bad checksum");
  }
  const auto format = LoadFixed<std::uint32_t>(text.data() + 80);
  if (format != kTableFormatVersion) {
    return Status::Corruption("footer: format version " + std::to_string(format) +
                              " is not known to this release");
  }
  TableFooter footer;
  footer.filter = LoadHandle(text.data());
  footer.index = LoadHandle(text.data() + 16);
  footer.range_tombstones = LoadHandle(text.data() + 32);
  footer.properties = LoadHandle(text.data() + 48);
  footer.number = FileNumber(LoadFixed<std::uint64_t>(text.data() + 64));
  footer.content_hash = LoadFixed<std::uint64_t>(text.data() + 72);
  return footer;
}

void TableProperties::Count(InternalKeyView key, std::size_t entry_value_bytes) {
  if (entries == 0) {
    smallest = key.user_key;
    version_min = key.version();
  }
  ++entries;
  if (key.kind() == EntryKind::kDelete) ++tombstones;
  version_min = std::min(version_min, key.version());
  version_max = std::max(version_max, key.version());
  raw_bytes += key.user_key.size() + entry_value_bytes;
}

void TableProperties::CoverTombstones(const FragmentedTombstones& ranges) {
  if (ranges.empty()) return;
  range_tombstones = ranges.version_count();
  version_min = entries == 0 ? ranges.version_min() : std::min(version_min, ranges.version_min());
  version_max = std::max(version_max, ranges.version_max());
  const KeyRange covered = HalfOpen(ranges.begin(), ranges.end());
  const KeyRange hull = entries == 0 ? covered : range().Hull(covered);
  std::string begin(hull.begin);
  largest = std::string(hull.end.key);
  largest_kind = hull.end.kind;
  smallest = std::move(begin);
}

void TableProperties::EncodeTo(std::string& out) const {
  const std::array<std::uint64_t, kNumbers> numbers = {entries,
                                                       tombstones,
                                                       range_tombstones,
                                                       version_min.value(),
                                                       version_max.value(),
                                                       raw_bytes,
                                                       data_blocks,
                                                       dense_blocks,
                                                       static_cast<std::uint64_t>(largest_kind)};
  std::uint64_t tag = 0;
  std::string value;
  const auto put = [&] {
    PutVarint(out, ++tag);
    PutLengthPrefixed(out, value);
    value.clear();
  };
  for (const std::uint64_t number : numbers) {
    PutVarint(value, number);
    put();
  }
  for (const std::string* key : {&smallest, &largest}) {
    value = *key;
    put();
  }
  for (const BlobReference& reference : blob_references) {
    PutVarint(value, reference.file.value());
    PutVarint(value, reference.bytes);
  }
  put();
  for (const Garbage& bucket : garbage) {
    PutVarint(value, bucket.when.value());
    PutVarint(value, bucket.bytes);
  }
  put();
}

namespace {

/// Pairs of numbers, one after another, to the end.
template <typename Pair, typename Id>
bool ReadPairs(ByteReader& field, Id Pair::*id, std::vector<Pair>& pairs) {
  while (!field.failed() && !field.rest().empty()) {
    const auto number = field.Varint();
    const auto bytes = field.Varint();
    if (field.failed()) return false;
    pairs.emplace_back();
    pairs.back().*id = Id(*number);
    pairs.back().bytes = *bytes;
  }
  return true;
}

}  // namespace

Result<TableProperties> TableProperties::Decode(std::string_view text) {
  const Status bad = Status::Corruption("malformed properties");
  std::array<std::uint64_t, kNumbers> numbers{};
  TableProperties properties;
  ByteReader reader(text);
  while (!reader.failed() && !reader.rest().empty()) {
    const auto tag = reader.Varint();
    const auto value = reader.LengthPrefixed();
    if (reader.failed()) break;
    ByteReader field(*value);
    if (*tag >= 1 && *tag <= kNumbers) {
      const auto number = field.Varint();
      if (!field.AtEnd()) return bad;
      numbers[*tag - 1] = *number;
    } else if (*tag == kNumbers + 1) {
      properties.smallest = *value;
    } else if (*tag == kNumbers + 2) {
      properties.largest = *value;
    } else if (*tag == kNumbers + 3) {
      if (!ReadPairs(field, &BlobReference::file, properties.blob_references)) return bad;
    } else if (*tag == kNumbers + 4) {
      if (!ReadPairs(field, &Garbage::when, properties.garbage)) return bad;
    }
  }
  properties.entries = numbers[0];
  properties.tombstones = numbers[1];
  properties.range_tombstones = numbers[2];
  properties.version_min = Version(numbers[3]);
  properties.version_max = Version(numbers[4]);
  properties.raw_bytes = numbers[5];
  properties.data_blocks = numbers[6];
  properties.dense_blocks = numbers[7];
  if (numbers[8] > static_cast<std::uint64_t>(UpperBound::Kind::kUnbounded)) return bad;
  properties.largest_kind = static_cast<UpperBound::Kind>(numbers[8]);
  if (reader.failed() || !MakeSense(properties)) return bad;
  return properties;
}

std::string EncodeTableHeader(FileNumber number) {
  std::string out(kMagic);
  PutFixed(out, kTableFormatVersion);
  PutFixed(out, std::uint32_t{0});
  PutFixed(out, number.value());
  PutFixed(out, Hash64(out));
  CHECK(out.size() == kTableHeaderBytes);
  return out;
}

Status CheckTableHeader(std::string_view text, FileNumber number) {
  if (text != EncodeTableHeader(number)) return Status::Corruption("header: not this table's");
  return {};
}

std::size_t SealBlock(std::string_view contents, Compression compression, std::uint64_t seed,
                      std::string& out) {
  CHECK(contents.size() <= kBlockBytesMax);
  const std::size_t begin = out.size();
  std::size_t stored_bytes = 0;
  if (compression != Compression::kNone) {
    const std::size_t room = CompressedBound(compression, contents.size());
    out.resize(begin + kSizeBytes + room);
    StoreFixed(out.data() + begin, static_cast<std::uint32_t>(contents.size()));
    const std::size_t size = Compress(compression, contents, out.data() + begin + kSizeBytes, room);
    const std::size_t limit = contents.size() - contents.size() / 8;
    if (size > 0 && kSizeBytes + size <= limit) stored_bytes = kSizeBytes + size;
    out.resize(begin + stored_bytes);
  }
  if (stored_bytes == 0) {
    compression = Compression::kNone;
    out.append(contents);
    stored_bytes = contents.size();
  }
  SealInPlace(out, begin, compression, seed);
  return stored_bytes;
}

void SealInPlace(std::string& out, std::size_t begin, Compression compression, std::uint64_t seed) {
  out += static_cast<char>(compression);
  PutFixed(out, Hash64(std::string_view(out).substr(begin), seed));
}

Result<std::size_t> SealedBlock::ContentsBytes() const {
  if (compression == Compression::kNone) return stored.size();
  if (stored.size() < kSizeBytes) return BadBlock(offset, "too short");
  const std::size_t bytes = LoadFixed<std::uint32_t>(stored.data());
  if (bytes > kBlockBytesMax || bytes / kRatioMax > stored.size()) {
    return BadBlock(offset, "impossible size");
  }
  return bytes;
}

Status SealedBlock::Decompress(char* out, std::size_t bytes) const {
  const std::string_view from = stored.substr(compression == Compression::kNone ? 0 : kSizeBytes);
  switch (compression) {
    case Compression::kNone:
      std::memcpy(out, from.data(), bytes);
      return {};
    case Compression::kLz4: {
      const int n = LZ4_decompress_safe(from.data(), out, static_cast<int>(from.size()),
                                        static_cast<int>(bytes));
      if (n < 0 || static_cast<std::size_t>(n) != bytes) break;
      return {};
    }
    case Compression::kZstd: {
      thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
      if (ZSTD_decompressDCtx(context.get(), out, bytes, from.data(), from.size()) != bytes) break;
      return {};
    }
  }
  return BadBlock(offset, "does not decompress");
}

Result<SealedBlock> CheckSealedBlock(std::string_view stored, FileNumber number,
                                     std::uint64_t offset, CheckHash check_hash) {
  if (stored.size() < kBlockTrailerBytes) return BadBlock(offset, "too short");
  const std::string_view hashed = stored.substr(0, stored.size() - 8);
  if (check_hash && Hash64(hashed, BlockSeed(number, offset)) !=
                        LoadFixed<std::uint64_t>(stored.data() + hashed.size())) {
    return BadBlock(offset, "bad checksum");
  }
  const auto compression = static_cast<Compression>(hashed.back());
  if (compression > Compression::kZstd) return BadBlock(offset, "unknown compression");
  return SealedBlock{compression, hashed.substr(0, hashed.size() - 1), offset};
}

Result<std::string> OpenSealedBlock(std::string_view stored, FileNumber number,
                                    std::uint64_t offset) {
  ASSIGN_OR_RETURN(const SealedBlock sealed,
                   CheckSealedBlock(stored, number, offset, CheckHash::kYes));
  ASSIGN_OR_RETURN(const std::size_t bytes, sealed.ContentsBytes());
  std::string contents(bytes, '\0');
  RETURN_IF_ERROR(sealed.Decompress(contents.data(), bytes));
  return contents;
}

Result<std::string> ReadExactly(const File& file, std::uint64_t offset, std::size_t n) {
  std::string out(n, '\0');
  ASSIGN_OR_RETURN(const std::size_t got, file.ReadAt(offset, n, out.data()));
  if (got != n) {
    return Status::Corruption("the file ends before offset " + std::to_string(offset + n));
  }
  return out;
}

}  // namespace bedrock::engine
