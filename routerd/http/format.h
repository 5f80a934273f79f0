#pragma once

#include <cstdint>

namespace bedrock::router {

/// How a document is spelled, in requests and replies alike.
enum class Format : std::uint8_t { kJson, kMessagePack };

}  // namespace bedrock::router
