#include "common/config/endpoint.h"

#include <algorithm>
#include <charconv>
#include <cstddef>

namespace bedrock::config {

namespace {

constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kIpc = "ipc://";
constexpr std::size_t kIpcPathBytesMax = 100;
constexpr std::size_t kHostBytesMax = 253;

bool IsHostCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

bool IsIpv6Character(char c) {
  return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == ':' ||
         c == '.' || c == '%';
}

bool IsHost(std::string_view host) {
  if (host == "*") return true;
  return !host.empty() && host.size() <= kHostBytesMax &&
         std::all_of(host.begin(), host.end(), IsHostCharacter);
}

/// "127." and three more numbers; not a name such as "127.example.org".
bool IsIpv4Loopback(std::string_view host) {
  if (!host.starts_with("127.")) return false;
  return std::all_of(host.begin(), host.end(),
                     [](char c) { return c == '.' || (c >= '0' && c <= '9'); }) &&
         std::count(host.begin(), host.end(), '.') == 3;
}

}  // namespace

Result<HostPort> ParseHostPort(std::string_view text) {
  const Status bad = Status::InvalidArgument("not HOST:PORT: '" + std::string(text) + "'");
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  HostPort parsed;
  const auto [stop, error] = std::from_chars(port.data(), port.data() + port.size(), parsed.port);
  if (error != std::errc() || stop != port.data() + port.size() || parsed.port == 0) return bad;
  if (host.size() > 2 && host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    if (!std::all_of(host.begin(), host.end(), IsIpv6Character)) return bad;
  } else if (!IsHost(host)) {
    return bad;
  }
  parsed.host = host;
  return parsed;
}

Status CheckEndpoint(std::string_view endpoint) {
  if (endpoint.starts_with(kTcp)) {
    return ParseHostPort(endpoint.substr(kTcp.size())).status();
  }
  if (!endpoint.starts_with(kIpc)) {
    return Status::InvalidArgument("not an endpoint (tcp://HOST:PORT or ipc://PATH): '" +
                                   std::string(endpoint) + "'");
  }
  const std::string_view path = endpoint.substr(kIpc.size());
  if (path.empty() || path.size() > kIpcPathBytesMax) {
    return Status::InvalidArgument("an ipc path has 1 to " + std::to_string(kIpcPathBytesMax) +
                                   " bytes: '" + std::string(endpoint) + "'");
  }
  return {};
}

bool IsLoopbackEndpoint(std::string_view endpoint) {
  if (endpoint.starts_with(kIpc)) return CheckEndpoint(endpoint).ok();
  if (endpoint.starts_with(kTcp)) endpoint.remove_prefix(kTcp.size());
  const Result<HostPort> parsed = ParseHostPort(endpoint);
  if (!parsed.ok()) return false;
  return parsed->host == "localhost" || parsed->host == "::1" || IsIpv4Loopback(parsed->host);
}

}  // namespace bedrock::config
