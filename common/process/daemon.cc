#include "common/process/daemon.h"

#include "common/logging/log.h"
#include "common/process/process.h"

namespace bedrock::process {

namespace {

int FailedToStart(const Status& status) {
  log::Error("could not start", {{"error", status}});
  return kExitFailed;
}

}  // namespace

int RunDaemon(std::string_view program, const config::NodeConfig& config, FileSystem& file_system,
              const std::function<int()>& serve) {
  log::InitLogging(program, config.node,
                   log::ParseLevel(config.log_level).value_or(log::Level::kInfo));
  const Status entered = EnterDataDirectory(file_system, config.data_directory);
  if (!entered.ok()) return FailedToStart(entered);
  const Result<PidFile> pid_file = PidFile::Write(file_system, program);
  if (!pid_file.ok()) return FailedToStart(pid_file.status());
  return serve();
}

}  // namespace bedrock::process
