#include "storaged/engine/table/file_names.h"

#include <charconv>
#include <cstdint>

namespace bedrock::engine {

namespace {

constexpr std::string_view kTableSuffix = ".sst";
constexpr std::string_view kBlobSuffix = ".blob";
constexpr std::string_view kManifestPrefix = "MANIFEST-";
constexpr std::size_t kDigitsMin = 6;

std::string Padded(FileNumber number) {
  std::string digits = std::to_string(number.value());
  if (digits.size() < kDigitsMin) digits.insert(0, kDigitsMin - digits.size(), '0');
  return digits;
}

}  // namespace

std::string TableName(FileNumber number) { return Padded(number) + std::string(kTableSuffix); }
std::string BlobName(FileNumber number) { return Padded(number) + std::string(kBlobSuffix); }
std::string ManifestName(FileNumber number) {
  return std::string(kManifestPrefix) + Padded(number);
}

std::optional<ParsedName> ParseName(std::string_view name) {
  std::string_view digits = name;
  auto kind = ParsedName::Kind::kTable;
  if (digits.starts_with(kManifestPrefix)) {
    kind = ParsedName::Kind::kManifest;
    digits.remove_prefix(kManifestPrefix.size());
  } else if (digits.ends_with(kTableSuffix)) {
    digits.remove_suffix(kTableSuffix.size());
  } else if (digits.ends_with(kBlobSuffix)) {
    kind = ParsedName::Kind::kBlob;
    digits.remove_suffix(kBlobSuffix.size());
  } else {
    return std::nullopt;
  }
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || stop != digits.data() + digits.size() || value == 0 ||
      Padded(FileNumber(value)) != digits) {
    return std::nullopt;
  }
  return ParsedName{kind, FileNumber(value)};
}

}  // namespace bedrock::engine
