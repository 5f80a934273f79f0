#pragma once

#include <string>

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

}  // namespace bedrock::storage
