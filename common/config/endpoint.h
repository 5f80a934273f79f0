#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/status.h"

namespace bedrock::config {

/// "host:port" taken apart. IPv6 addresses stand in brackets, which `host` does not have.
struct HostPort {
  std::string host;  ///< An address, a name, or "*" for every interface.
  std::uint16_t port = 0;
};

/// invalid_argument unless it is a host, a colon and a port from 1 to 65535.
Result<HostPort> ParseHostPort(std::string_view text);

/// ok for "tcp://HOST:PORT" and "ipc://PATH" with at most 100 bytes of path (the system's limit for
/// socket files is 107); else invalid_argument.
Status CheckEndpoint(std::string_view endpoint);

/// Whether only processes of this host can reach it: ipc, or tcp (also a bare HOST:PORT) on
/// 127.0.0.0/8, [::1] or "localhost". False also for what is no endpoint.
bool IsLoopbackEndpoint(std::string_view endpoint);

}  // namespace bedrock::config
