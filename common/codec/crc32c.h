#pragma once

#include <cstdint>
#include <string_view>

namespace bedrock {

/// CRC-32C (Castagnoli) of `bytes`, by ISA-L, which picks the fastest code for this processor at
/// run time. Any thread. Crc32c("123456789") is 0xE3069283.
std::uint32_t Crc32c(std::string_view bytes);
/// The CRC of what `crc` covers followed by `bytes`.
std::uint32_t ExtendCrc32c(std::uint32_t crc, std::string_view bytes);

}  // namespace bedrock
