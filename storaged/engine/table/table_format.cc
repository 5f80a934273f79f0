#include "storaged/engine/table/table_format.h"

#include <lz4.h>

#include <algorithm>
#include <array>

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

/// Empty where it does not pay.
std::string TryLz4(std::string_view contents) {
  const int bound = LZ4_compressBound(static_cast<int>(contents.size()));
  std::string out(4 + static_cast<std::size_t>(bound), '\0');
  StoreFixed(out.data(), static_cast<std::uint32_t>(contents.size()));
  const int size = LZ4_compress_default(contents.data(), out.data() + 4,
                                        static_cast<int>(contents.size()), bound);
  if (size <= 0) return {};
  out.resize(4 + static_cast<std::size_t>(size));
  return out.size() <= contents.size() - contents.size() / 8 ? out : std::string();
}

Result<std::string> UndoLz4(std::string_view stored, std::uint64_t offset) {
  constexpr std::size_t kLz4RatioMax = 256;
  if (stored.size() < 4) return BadBlock(offset, "too short");
  const std::size_t size = LoadFixed<std::uint32_t>(stored.data());
  stored.remove_prefix(4);
  if (size > kBlockBytesMax || size > stored.size() * kLz4RatioMax + 16) {
    return BadBlock(offset, "impossible size");
  }
  std::string contents(size, '\0');
  const int n = LZ4_decompress_safe(stored.data(), contents.data(), static_cast<int>(stored.size()),
                                    static_cast<int>(size));
  if (n < 0 || static_cast<std::size_t>(n) != size) return BadBlock(offset, "does not decompress");
  return contents;
}

}  // namespace

void BlockHandle::EncodeTo(std::string& out) const {
  PutVarint(out, offset);
  PutVarint(out, size);
}

std::optional<BlockHandle> BlockHandle::Decode(std::string_view text) {
  ByteReader reader(text);
  const auto offset = reader.Varint();
  const auto size = reader.Varint();
  if (!reader.AtEnd()) return std::nullopt;
  return BlockHandle{*offset, *size};
}

std::string TableFooter::Encode() const {
  std::string out;
  out.reserve(kTableFooterBytes);
  PutHandle(out, filter);
  PutHandle(out, index);
  PutHandle(out, properties);
  PutFixed(out, number.value());
  PutFixed(out, content_hash);
  PutFixed(out, kTableFormatVersion);
  out.append(12, '\0');
  PutFixed(out, Hash64(out));
  out += kMagic;
  CHECK(out.size() == kTableFooterBytes);
  return out;
}

Result<TableFooter> TableFooter::Decode(std::string_view text) {
  if (text.size() != kTableFooterBytes || text.substr(88) != kMagic) {
    return Status::Corruption("footer: not a table");
  }
  if (Hash64(text.substr(0, 80)) != LoadFixed<std::uint64_t>(text.data() + 80)) {
    return Status::Corruption("footer: bad checksum");
  }
  const auto format = LoadFixed<std::uint32_t>(text.data() + 64);
  if (format != kTableFormatVersion) {
    return Status::Corruption("footer: format version " + std::to_string(format) +
                              " is not known to this release");
  }
  TableFooter footer;
  footer.filter = LoadHandle(text.data());
  footer.index = LoadHandle(text.data() + 16);
  footer.properties = LoadHandle(text.data() + 32);
  footer.number = FileNumber(LoadFixed<std::uint64_t>(text.data() + 48));
  footer.content_hash = LoadFixed<std::uint64_t>(text.data() + 56);
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
  key_bytes += key.user_key.size();
  value_bytes += entry_value_bytes;
}

std::string TableProperties::Encode() const {
  const std::array<std::uint64_t, 7> numbers = {
      entries,   tombstones,  version_min.value(), version_max.value(),
      key_bytes, value_bytes, data_blocks};
  std::string out;
  std::uint64_t tag = 0;
  for (const std::uint64_t number : numbers) {
    std::string value;
    PutVarint(value, number);
    PutVarint(out, ++tag);
    PutLengthPrefixed(out, value);
  }
  for (const std::string* key : {&smallest, &largest}) {
    PutVarint(out, ++tag);
    PutLengthPrefixed(out, *key);
  }
  return out;
}

Result<TableProperties> TableProperties::Decode(std::string_view text) {
  constexpr std::size_t kNumbers = 7;
  std::array<std::uint64_t, kNumbers> numbers{};
  TableProperties properties;
  ByteReader reader(text);
  while (!reader.failed() && !reader.rest().empty()) {
    const auto tag = reader.Varint();
    const auto value = reader.LengthPrefixed();
    if (reader.failed()) break;
    if (*tag >= 1 && *tag <= kNumbers) {
      ByteReader number_reader(*value);
      const auto number = number_reader.Varint();
      if (!number_reader.AtEnd()) return Status::Corruption("malformed properties");
      numbers[*tag - 1] = *number;
    } else if (*tag == kNumbers + 1) {
      properties.smallest = *value;
    } else if (*tag == kNumbers + 2) {
      properties.largest = *value;
    }
  }
  if (reader.failed()) return Status::Corruption("malformed properties");
  properties.entries = numbers[0];
  properties.tombstones = numbers[1];
  properties.version_min = Version(numbers[2]);
  properties.version_max = Version(numbers[3]);
  properties.key_bytes = numbers[4];
  properties.value_bytes = numbers[5];
  properties.data_blocks = numbers[6];
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

std::string SealBlock(std::string_view contents, Compression compression, FileNumber number,
                      std::uint64_t offset) {
  CHECK(contents.size() <= kBlockBytesMax);
  std::string stored;
  if (compression == Compression::kLz4) stored = TryLz4(contents);
  if (stored.empty()) {
    compression = Compression::kNone;
    stored.reserve(contents.size() + kBlockTrailerBytes);
    stored = contents;
  }
  stored += static_cast<char>(compression);
  PutFixed(stored, Hash64(stored, BlockSeed(number, offset)));
  return stored;
}

Result<std::string> OpenSealedBlock(std::string_view stored, FileNumber number,
                                    std::uint64_t offset) {
  if (stored.size() < kBlockTrailerBytes) return BadBlock(offset, "too short");
  const std::string_view checked = stored.substr(0, stored.size() - 8);
  if (Hash64(checked, BlockSeed(number, offset)) !=
      LoadFixed<std::uint64_t>(stored.data() + checked.size())) {
    return BadBlock(offset, "bad checksum");
  }
  const std::string_view contents = checked.substr(0, checked.size() - 1);
  switch (static_cast<Compression>(checked.back())) {
    case Compression::kNone:
      return std::string(contents);
    case Compression::kLz4:
      return UndoLz4(contents, offset);
  }
  return BadBlock(offset, "unknown compression");
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
