#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "proto/errors.h"
#include "proto/frame.h"

namespace bedrock::storage {

/// A message to a peer, by the routing id under which it came (or which raftd named).
struct Outgoing {
  std::string to;
  RequestId request;
  proto::Message message;
};

inline proto::Error MakeError(proto::ErrorCode code, std::string_view detail) {
  proto::Error error;
  error.code = code;
  error.detail = detail;
  return error;
}

}  // namespace bedrock::storage
