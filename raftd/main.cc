#include "common/config/flags.h"
#include "common/env/posix_file_system.h"
#include "common/process/daemon.h"
#include "raftd/server/options.h"
#include "raftd/server/server.h"

int main(int argc, char** argv) {
  using namespace bedrock;
  raft::Options options;
  config::FlagSet flags("raftd",
                        "Orders the writes of a Bedrock node: elections and the replicated log.");
  raft::AddFlags(flags, options);
  if (const auto exit_code = flags.Parse(argc, argv)) return *exit_code;

  PosixFileSystem file_system;
  return process::RunDaemon("raftd", options.node, file_system,
                            [&] { return raft::RunServer(file_system, options); });
}
