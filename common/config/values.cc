#include "common/config/values.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <limits>
#include <utility>

#include "common/base/units.h"

namespace bedrock::config {

namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// From large to small, so that formatting finds the largest unit that divides evenly.
constexpr std::array kDurations = {Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1000},
                                   Unit{"ms", 1}};
constexpr std::array kByteSizes = {Unit{"TiB", 1024 * kGiB}, Unit{"GiB", kGiB}, Unit{"MiB", kMiB},
                                   Unit{"KiB", kKiB}};
constexpr std::array kMoreByteSizes = {Unit{"T", 1024 * kGiB},
                                       Unit{"G", kGiB},
                                       Unit{"M", kMiB},
                                       Unit{"K", kKiB},
                                       Unit{"TB", 1'000'000'000'000},
                                       Unit{"GB", 1'000'000'000},
                                       Unit{"MB", 1'000'000},
                                       Unit{"KB", 1000},
                                       Unit{"kB", 1000},
                                       Unit{"B", 1}};

constexpr std::uint64_t kDurationMsMax = 100ULL * 366 * 24 * 3'600'000;
constexpr std::uint64_t kByteSizeMax = 1ULL << 63;

/// A number and the text behind it.
bool SplitNumber(std::string_view text, std::uint64_t& number, std::string_view& rest) {
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  rest = text.substr(static_cast<std::size_t>(stop - text.data()));
  return true;
}

template <std::size_t N>
const Unit* FindUnit(const std::array<Unit, N>& units, std::string_view name) {
  for (const Unit& unit : units) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

Result<std::uint64_t> Scale(std::uint64_t number, std::uint64_t factor, std::uint64_t max,
                            const Status& bad) {
  if (number > max / factor) return bad;
  return number * factor;
}

}  // namespace

Result<std::uint64_t> ParseDuration(std::string_view text) {
  const Status bad = Status::InvalidArgument("not a duration such as 250ms, 10s, 5m or 2h: '" +
                                             std::string(text) + "'");
  std::uint64_t number = 0;
  std::string_view rest;
  if (!SplitNumber(text, number, rest)) return bad;
  if (rest.empty()) return Scale(number, 1, kDurationMsMax, bad);
  const Unit* unit = FindUnit(kDurations, rest);
  if (unit == nullptr) return bad;
  return Scale(number, unit->factor, kDurationMsMax, bad);
}

std::string FormatDuration(std::uint64_t duration_ms) {
  for (const Unit& unit : kDurations) {
    if (duration_ms != 0 && duration_ms % unit.factor == 0) {
      return std::to_string(duration_ms / unit.factor) + std::string(unit.name);
    }
  }
  return "0ms";
}

Result<std::uint64_t> ParseByteSize(std::string_view text) {
  const Status bad = Status::InvalidArgument("not a size such as 4096, 64KiB, 64MB or 1GiB: '" +
                                             std::string(text) + "'");
  std::uint64_t number = 0;
  std::string_view rest;
  if (!SplitNumber(text, number, rest)) return bad;
  if (rest.empty()) return Scale(number, 1, kByteSizeMax, bad);
  const Unit* unit = FindUnit(kByteSizes, rest);
  if (unit == nullptr) unit = FindUnit(kMoreByteSizes, rest);
  if (unit == nullptr) return bad;
  return Scale(number, unit->factor, kByteSizeMax, bad);
}

std::string FormatByteSize(std::uint64_t bytes) {
  for (const Unit& unit : kByteSizes) {
    if (bytes != 0 && bytes % unit.factor == 0) {
      return std::to_string(bytes / unit.factor) + std::string(unit.name);
    }
  }
  return std::to_string(bytes);
}

Result<std::uint64_t> ParseNumber(std::string_view text, std::uint64_t low, std::uint64_t high) {
  std::uint64_t number = 0;
  std::string_view rest;
  if (!SplitNumber(text, number, rest) || !rest.empty() || number < low || number > high) {
    return Status::InvalidArgument("not a number from " + std::to_string(low) + " to " +
                                   std::to_string(high) + ": '" + std::string(text) + "'");
  }
  return number;
}

}  // namespace bedrock::config
