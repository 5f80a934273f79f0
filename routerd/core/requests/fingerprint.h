#pragma once

#include <string>

#include "proto/command.h"

namespace bedrock::router {

/// What tells a request with an Idempotency-Key from others: XXH3-128 over the encoded command
/// without session, sequence, low_water and idempotency, kFingerprintBytes in canonical order. The
/// same on every router of every release: it is replicated state.
std::string FingerprintOf(proto::Command command);

}  // namespace bedrock::router
