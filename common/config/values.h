#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bedrock/result.h"

namespace bedrock::config {

/// Milliseconds of "250ms", "10s", "5m", "2h" or a bare number of milliseconds. invalid_argument
/// for anything else and beyond 100 years.
Result<std::uint64_t> ParseDuration(std::string_view text);
/// The shortest text that ParseDuration takes back: "10s" for 10,000.
std::string FormatDuration(std::uint64_t duration_ms);

/// Bytes of "64MiB", "64MB" (decimal), "64M" (as MiB), likewise K, G and T, or a bare number of
/// bytes. invalid_argument for anything else and beyond 2^63.
Result<std::uint64_t> ParseByteSize(std::string_view text);
/// The shortest text that ParseByteSize takes back: "64MiB" for 67,108,864.
std::string FormatByteSize(std::uint64_t bytes);

/// All of `text` as a decimal number in [low, high]; else invalid_argument.
Result<std::uint64_t> ParseNumber(std::string_view text, std::uint64_t low, std::uint64_t high);

}  // namespace bedrock::config
