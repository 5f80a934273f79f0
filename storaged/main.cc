#include <cstdint>
#include <string>
#include <vector>

#include "common/base/units.h"
#include "common/config/flags.h"
#include "common/config/node_config.h"
#include "common/env/environment.h"
#include "common/env/posix_clock.h"
#include "common/env/posix_file_system.h"
#include "common/env/random.h"
#include "common/env/thread_executor.h"
#include "common/logging/log.h"
#include "common/net/event_loop.h"
#include "common/net/message_socket.h"
#include "common/process/daemon.h"
#include "common/process/process.h"
#include "storaged/server/storage_server.h"

namespace bedrock {
namespace {

constexpr const char* kProgram = "storaged";
// Relative to the data directory.
constexpr const char* kStorageDirectory = "storage";
constexpr const char* kIdentityFile = "storage.id";

struct Options {
  config::NodeConfig node;
  /// Empty: the node's own ipc endpoint, and the storage endpoint of its --member.
  std::vector<std::string> listen;
  /// More takes longer to flush and to replay after a crash, and makes fewer files.
  std::uint64_t memtable_bytes = 64 * kMiB;
  std::uint64_t block_cache_bytes = 64 * kMiB;
  /// Flushes and compactions. The engine runs one step of them at a time, so more than one thread
  /// only takes over where another is slow to wake.
  std::uint64_t background_threads = 1;
  /// Of snapshots that other nodes fetch from here.
  std::uint64_t snapshot_bytes_per_second = storage::kSnapshotBytesPerSecond;

  std::vector<std::string> Endpoints() const {
    if (!listen.empty()) return listen;
    return {config::kStoragedIpc, node.self().storage};
  }
  Status Validate() const { return node.CheckListen(Endpoints()); }
};

void AddFlags(config::FlagSet& flags, Options& options) {
  config::AddNodeFlags(flags, options.node);
  flags.Group("Storage");
  flags.TextList("listen",
                 "Endpoint to serve raftd and routers on, instead of ipc://run/storaged.sock and "
                 "this node's storage endpoint.",
                 options.listen);
  flags.ByteSize("memtable-bytes",
                 "Writes gathered in memory before they go to a file; at least 64KiB.",
                 options.memtable_bytes);
  flags.ByteSize("block-cache-bytes", "Memory for blocks of files that were read.",
                 options.block_cache_bytes);
  flags.Number(
      "background-threads",
      "Threads for flushes and compactions; one keeps up, the engine runs one step at a time.",
      options.background_threads, 1, 64);
  flags.ByteSize(
      "snapshot-bytes-per-second",
      "How fast other nodes may read snapshots here, all together; a quarter of it while "
      "writes have to wait for the disk. At least 1MiB.",
      options.snapshot_bytes_per_second);
  flags.Check([&options] {
    if (options.snapshot_bytes_per_second >= kMiB) return Status::Ok();
    return Status::InvalidArgument("--snapshot-bytes-per-second must be at least 1MiB");
  });
  flags.Check([&options] {
    if (options.memtable_bytes >= 64 * kKiB && options.memtable_bytes <= 4 * kGiB) {
      return Status::Ok();
    }
    return Status::InvalidArgument("--memtable-bytes must be from 64KiB to 4GiB");
  });
  flags.Check([&options] { return options.Validate(); });
}

storage::ServerOptions ServerOptionsOf(const Options& options) {
  storage::ServerOptions server;
  server.cluster = options.node.cluster;
  server.node = options.node.node;
  server.boot = BootId(NonZeroEntropy());
  server.listen = options.Endpoints();
  server.identity_file = kIdentityFile;
  server.engine.directory = kStorageDirectory;
  server.engine.memtable_bytes = options.memtable_bytes;
  server.engine.block_cache_bytes = options.block_cache_bytes;
  server.snapshot_bytes_per_second = options.snapshot_bytes_per_second;
  server.software = BEDROCK_VERSION;
  return server;
}

int FailedToStart(const Status& status) {
  if (status.IsCorruption() || status.IsInvalidArgument()) {
    log::Error("the data must not be served; an operator has to look", {{"error", status}});
    return process::kExitMustNotStart;
  }
  log::Error("could not start", {{"error", status}});
  return process::kExitFailed;
}

int Serve(FileSystem& file_system, const Options& options) {
  PosixClock clock;
  ThreadExecutor executor(options.background_threads);
  ThreadExecutor snapshot_executor(1);
  const Environment environment{
      .file_system = &file_system, .clock = &clock, .executor = &executor};
  net::EventLoop loop;
  net::MessageContext context;
  storage::ServerOptions server_options = ServerOptionsOf(options);
  server_options.snapshot_executor = &snapshot_executor;
  auto server = storage::StorageServer::Start(loop, context, environment, server_options);
  if (!server.ok()) return FailedToStart(server.status());
  loop.OnStopSignal([&server] { (*server)->BeginStop(); });
  loop.Run();
  if ((*server)->end() == storage::StorageServer::End::kEngineFailed) return process::kExitDisk;
  log::Info("stopped");
  return config::kExitOk;
}

int Main(int argc, const char* const* argv) {
  Options options;
  config::FlagSet flags(kProgram,
                        "Keeps a node's data: applies the commands that raftd orders, answers "
                        "reads of routers.");
  AddFlags(flags, options);
  if (const auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  PosixFileSystem file_system;
  return process::RunDaemon(kProgram, options.node, file_system,
                            [&file_system, &options] { return Serve(file_system, options); });
}

}  // namespace
}  // namespace bedrock

int main(int argc, char** argv) { return bedrock::Main(argc, argv); }
