#pragma once

#include <cstddef>
#include <string_view>

#include "common/base/ids.h"
#include "proto/client_messages.h"
#include "proto/errors.h"
#include "routerd/http/format.h"

namespace bedrock::router {

inline constexpr std::size_t kMemberAddressBytesMax = 256;  ///< Of one endpoint.

/// The body of a POST /v1/cluster/members: `id` ("n4", "4" or 4) and `raft` are required,
/// `storage`, `client`, `http` and `promote` (true) are not. Endpoints are tcp://HOST:PORT (for
/// http HOST:PORT), where tcp:// may be left out. An endpoint that is not given is at raft's host,
/// as far from its usual port (10500, 7000, 8080) as raft is from 9000.
proto::Error ParseNewMember(std::string_view body, Format format, proto::ChangeMembers* member);

/// The body of a POST /v1/cluster/leader: `to`, a node id as above.
proto::Error ParseLeaderMove(std::string_view body, Format format, NodeId* to);

}  // namespace bedrock::router
