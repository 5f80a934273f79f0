#pragma once

#include <cstdint>

#include "common/base/ids.h"
#include "routerd/core/base/slot_table.h"

namespace bedrock::router {

// A request id of this router's own making tells which record it belongs to and which attempt at
// it, so that an answer finds its record without a search and a late answer of an old attempt is
// known as such:
//
//    63  61 60                           28 27          12 11          0
//   [ kind | generation of the slot (33)   | slot (16)    | attempt (12) ]

enum class RequestKind : std::uint8_t {
  kWrite = 0,
  kRead = 1,
  kReadIndex = 2,
  kStatus = 3,
  kLock = 4,
  kForward = 5,
  kMembership = 6,
};

inline constexpr std::uint64_t kAttemptsMax = 1 << 12;

struct RequestName {
  RequestKind kind = RequestKind::kWrite;
  SlotHandle handle;
  std::uint32_t attempt = 0;

  friend bool operator==(const RequestName&, const RequestName&) = default;
};

inline RequestId MakeRequestId(const RequestName& name) {
  return RequestId((static_cast<std::uint64_t>(name.kind) << 61) |
                   ((name.handle.generation & kGenerationMask) << 28) |
                   (static_cast<std::uint64_t>(name.handle.slot) << 12) |
                   (name.attempt % kAttemptsMax));
}

inline RequestName ParseRequestId(RequestId id) {
  const std::uint64_t bits = id.value();
  return {static_cast<RequestKind>(bits >> 61),
          {static_cast<std::uint32_t>((bits >> 12) & 0xFFFF), (bits >> 28) & kGenerationMask},
          static_cast<std::uint32_t>(bits & (kAttemptsMax - 1))};
}

}  // namespace bedrock::router
