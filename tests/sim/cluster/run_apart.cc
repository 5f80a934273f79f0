#include "tests/sim/cluster/run_apart.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>

#include "common/base/check.h"

namespace bedrock::sim {

namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using OwnedFile = std::unique_ptr<std::FILE, CloseFile>;

OwnedFile TemporaryFile() {
  OwnedFile file(std::tmpfile());
  CHECK_MSG(file != nullptr, "no room for what a run prints");
  return file;
}

std::string ReadBack(std::FILE* file) {
  std::string text;
  std::array<char, 4096> part{};
  std::rewind(file);
  while (const std::size_t read = std::fread(part.data(), 1, part.size(), file)) {
    text.append(part.data(), read);
  }
  return text;
}

/// What the child tells: a line each, the failure is the rest.
std::string Encode(const ClusterResult& result) {
  std::ostringstream out;
  out << (result.ok ? 1 : 0) << '\n'
      << result.trace_hash << '\n'
      << result.invariant << '\n'
      << result.stats.ToString() << '\n'
      << result.failure;
  return out.str();
}

ClusterResult Decode(const std::string& text) {
  std::istringstream in(text);
  ClusterResult result;
  int ok = 0;
  std::string stats;
  in >> ok >> result.trace_hash;
  in.ignore();
  std::getline(in, result.invariant);
  std::getline(in, stats);
  result.ok = ok == 1;
  result.stats = ClusterStats::Parse(stats);
  std::ostringstream failure;
  failure << in.rdbuf();
  result.failure = failure.str();
  return result;
}

/// "CHECK at raft_log.cc:123" of "…/raft_log.cc:123: CHECK failed: …"; empty where there is none.
std::string CheckIn(const std::string& printed) {
  const std::size_t at = printed.find(": CHECK failed");
  if (at == std::string::npos) return "";
  const std::size_t slash = printed.find_last_of("/\n", at);
  const std::size_t begin = slash == std::string::npos ? 0 : slash + 1;
  return "CHECK at " + printed.substr(begin, at - begin);
}

[[noreturn]] void RunInChild(const ClusterScript& script, std::FILE* told, std::FILE* printed) {
  // What it prints is looked at by the parent.
  ::dup2(::fileno(printed), STDERR_FILENO);
  ::alarm(kRunSecondsMax);
  const std::string text = Encode(RunCluster(script, PrintTrace::kNo));
  std::fwrite(text.data(), 1, text.size(), told);
  std::fflush(told);
  ::_exit(EXIT_SUCCESS);
}

}  // namespace

ClusterResult RunApart(const ClusterScript& script) {
  const OwnedFile told = TemporaryFile();
  const OwnedFile printed = TemporaryFile();
  std::fflush(nullptr);  // or the child would print it, too
  const pid_t child = ::fork();
  CHECK_MSG(child >= 0, "no process for a run");
  if (child == 0) RunInChild(script, told.get(), printed.get());
  int status = 0;
  CHECK_MSG(::waitpid(child, &status, 0) == child, "the process of a run is gone");
  if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS) return Decode(ReadBack(told.get()));
  ClusterResult result;
  result.failure = ReadBack(printed.get());
  result.invariant = CheckIn(result.failure);
  if (result.invariant.empty()) {
    result.invariant = WIFSIGNALED(status)
                           ? "ended by signal " + std::to_string(WTERMSIG(status))
                           : "ended with code " + std::to_string(WEXITSTATUS(status));
  }
  result.failure += result.invariant + "\n";
  return result;
}

}  // namespace bedrock::sim
