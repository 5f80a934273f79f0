#include <cstdio>
#include <string>

#include "common/config/flags.h"
#include "common/env/posix_file_system.h"
#include "common/logging/log.h"
#include "common/process/process.h"
#include "raftd/server/options.h"
#include "raftd/server/server.h"

int main(int argc, char** argv) {
  using namespace bedrock;
  raft::Options options;
  config::FlagSet flags("raftd",
                        "Orders the writes of a Bedrock node: elections and the replicated log.");
  raft::AddFlags(flags, options);
  if (const auto exit_code = flags.Parse(argc, argv)) return *exit_code;

  log::InitLogging("raftd", options.node.node, *log::ParseLevel(options.node.log_level));
  PosixFileSystem file_system;
  const Status entered = process::EnterDataDirectory(file_system, options.node.data_directory);
  if (!entered.ok()) {
    log::Error("can't use the data directory", {{"error", entered}});
    return process::kExitFailed;
  }
  return raft::RunServer(options);
}
