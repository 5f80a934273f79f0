#include <cstdint>
#include <string>
#include <vector>

#include "bedrock/status.h"
#include "common/config/endpoint.h"
#include "common/config/flags.h"
#include "common/config/node_config.h"
#include "common/env/posix_clock.h"
#include "common/env/posix_file_system.h"
#include "common/env/random.h"
#include "common/logging/log.h"
#include "common/net/event_loop.h"
#include "common/net/message_socket.h"
#include "common/process/daemon.h"
#include "common/process/process.h"
#include "routerd/server/router_server.h"

namespace bedrock {
namespace {

constexpr const char* kProgram = "routerd";
constexpr std::uint64_t kHistoryMsMin = 1000;
constexpr std::uint64_t kHistoryMsMax = 30ULL * 24 * 3600 * 1000;

struct Options {
  config::NodeConfig node;
  /// Empty: the http address of this node's --member.
  std::vector<std::string> http;
  /// Empty: the node's own ipc endpoint, and the client endpoint of its --member.
  std::vector<std::string> client_endpoints;
  /// The same on every node: whichever router takes a value, every other must take it, too.
  std::uint64_t max_value_bytes = proto::kValueBytesDefault;
  /// Each takes 16 KiB and more, and a file descriptor.
  std::uint64_t max_connections = 4096;
  /// Longer: reads may ask for older versions, and overwritten values take space for longer. The
  /// same on every node, for whichever leads has its word.
  std::uint64_t history_ms = 600'000;

  std::vector<std::string> Http() const {
    if (!http.empty()) return http;
    return {node.self().http};
  }
  std::vector<std::string> ClientEndpoints() const {
    if (!client_endpoints.empty()) return client_endpoints;
    return {config::kRouterdIpc, node.self().client};
  }
  Status Validate() const {
    if (max_value_bytes == 0 || max_value_bytes > proto::kValueBytesMax) {
      return Status::InvalidArgument("--max-value-bytes must be from 1 to 8MiB");
    }
    if (history_ms < kHistoryMsMin || history_ms > kHistoryMsMax) {
      return Status::InvalidArgument("--history must be from 1s to 720h");
    }
    for (const std::string& address : Http()) {
      if (const auto parsed = config::ParseHostPort(address); !parsed.ok()) {
        return parsed.status().Prefixed("--http");
      }
      if (!node.insecure && !config::IsLoopbackEndpoint(address)) {
        return Status::InvalidArgument("--http " + address +
                                       " can be reached from other hosts and nothing protects it: "
                                       "give --insecure if that is meant");
      }
    }
    return node.CheckListen(ClientEndpoints());
  }
};

void AddFlags(config::FlagSet& flags, Options& options) {
  config::AddNodeFlags(flags, options.node);
  flags.Group("Router");
  flags.TextList("http",
                 "HOST:PORT to serve HTTP on, instead of this node's http address; * is every "
                 "interface. Repeatable.",
                 options.http);
  flags.TextList("client-endpoint",
                 "Endpoint to serve ZeroMQ clients on, instead of ipc://run/routerd.sock and this "
                 "node's client endpoint. Repeatable.",
                 options.client_endpoints);
  flags.ByteSize("max-value-bytes",
                 "The largest value that is taken, up to 8MiB; the same on every node.",
                 options.max_value_bytes);
  flags.Number("max-connections", "HTTP connections at a time; more are turned away.",
               options.max_connections, 1, 1'000'000);
  flags.Duration(
      "history",
      "How long versions of values are kept once newer ones cover them; the same on every "
      "node.",
      options.history_ms);
  flags.Check([&options] { return options.Validate(); });
}

router::ServerOptions ServerOptionsOf(const Options& options) {
  router::ServerOptions server;
  server.node = options.node.node;
  server.cluster = options.node.cluster;
  server.boot = BootId(NonZeroEntropy());
  server.session = SessionId(NonZeroEntropy());
  server.members = options.node.members;
  for (const std::string& address : options.Http()) {
    server.http.push_back(*config::ParseHostPort(address));
  }
  server.client_endpoints = options.ClientEndpoints();
  server.value_bytes_max = options.max_value_bytes;
  server.connections_max = options.max_connections;
  server.history_ms = options.history_ms;
  server.software = BEDROCK_VERSION;
  return server;
}

int Serve(const Options& options) {
  PosixClock clock;
  net::EventLoop loop;
  net::MessageContext context;
  auto server = router::RouterServer::Start(loop, context, clock, ServerOptionsOf(options));
  if (!server.ok()) {
    log::Error("could not start", {{"error", server.status()}});
    return process::kExitFailed;
  }
  for (const std::string& address : options.Http()) log::Info("serving", {{"http", address}});
  loop.OnStopSignal([&server] { (*server)->BeginStop(); });
  loop.Run();
  log::Info("stopped");
  return config::kExitOk;
}

int Main(int argc, const char* const* argv) {
  Options options;
  config::FlagSet flags(kProgram,
                        "Serves a Bedrock node's clients over HTTP and ZeroMQ: finds the leader, "
                        "retries safely, answers.");
  AddFlags(flags, options);
  if (const auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  PosixFileSystem file_system;
  return process::RunDaemon(kProgram, options.node, file_system,
                            [&options] { return Serve(options); });
}

}  // namespace
}  // namespace bedrock

int main(int argc, char** argv) { return bedrock::Main(argc, argv); }
