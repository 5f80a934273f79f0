#pragma once

#include <algorithm>
#include <cstdint>

namespace bedrock::router {

/// first, 2*first, 4*first, … up to `most`, for attempt 0, 1, 2, …
inline std::uint64_t Doubling(std::uint64_t first, std::uint64_t most, std::uint32_t attempt) {
  return std::min(most, first << std::min<std::uint32_t>(attempt, 16));
}

}  // namespace bedrock::router
