#include "tests/process/test_cluster.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <set>
#include <sstream>

#include "common/base/check.h"

namespace bedrock::test {

namespace {

using Clock = std::chrono::steady_clock;

/// Below the ports that systems give to connections and to listeners that want just any
/// (ip_local_port_range), and above those of a cluster that scripts/cluster.sh has started.
constexpr int kFirstPort = 12'000;
constexpr int kLastPort = 32'000;

/// Whether nobody listens there.
bool IsFree(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return bound;
}

/// Ports that nobody listens on, and that nobody but this cluster's processes will: all that this
/// process ever picks differ, and other tests' processes draw theirs from many, too.
std::vector<int> FreePorts(int count) {
  static std::set<int> picked;
  static std::mt19937 random{std::random_device{}()};
  std::uniform_int_distribution<int> draw(kFirstPort, kLastPort);
  std::vector<int> ports;
  while (ports.size() < static_cast<std::size_t>(count)) {
    const int port = draw(random);
    if (IsFree(port) && picked.insert(port).second) ports.push_back(port);
  }
  return ports;
}

std::string Loopback(int port) { return "127.0.0.1:" + std::to_string(port); }

}  // namespace

std::string ProgramName(Program program) {
  switch (program) {
    case Program::kStoraged:
      return "storaged";
    case Program::kRaftd:
      return "raftd";
    case Program::kRouterd:
      return "routerd";
  }
  return "";
}

TestCluster::TestCluster(ClusterOptions options) : options_(std::move(options)) {
  std::string name = (std::filesystem::temp_directory_path() / "bedrock-test-XXXXXX").string();
  CHECK(mkdtemp(name.data()) != nullptr);
  folder_ = name;
  const std::vector<int> free = FreePorts(options_.nodes * 4);
  for (int i = 0; i < options_.nodes; ++i) {
    const auto at = static_cast<std::size_t>(i) * 4;
    ports_.push_back({free[at], free[at + 1], free[at + 2], free[at + 3]});
  }
}

TestCluster::~TestCluster() {
  for (auto& [key, process] : processes_) {
    if (process.pid != 0) kill(process.pid, SIGKILL);
    if (process.pid != 0) waitpid(process.pid, nullptr, 0);
  }
  if (testing::Test::HasFailure()) {
    std::cerr << "the cluster's data and logs are kept in " << folder_ << "\n";
    return;
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string TestCluster::Url(int node) const {
  return "http://" + Loopback(ports_[static_cast<std::size_t>(node - 1)].http);
}

std::string TestCluster::ClientEndpoint(int node) const {
  return "tcp://" + Loopback(ports_[static_cast<std::size_t>(node - 1)].client);
}

std::string TestCluster::RaftEndpoint(int node) const {
  return "tcp://" + Loopback(ports_[static_cast<std::size_t>(node - 1)].raft);
}

std::string TestCluster::NodeFolder(int node) const {
  return folder_ + "/n" + std::to_string(node);
}

std::string TestCluster::ReadLog(int node, Program program) const {
  std::ifstream file(NodeFolder(node) + "/log/" + ProgramName(program) + ".log");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void TestCluster::Start(int node, Program program) { Spawn(node, program, cluster_id_); }

void TestCluster::StartNode(int node) {
  for (const Program program : kPrograms) Start(node, program);
}

int TestCluster::AddNode() {
  const std::vector<int> free = FreePorts(4);
  ports_.push_back({free[0], free[1], free[2], free[3]});
  return all_nodes();
}

std::string TestCluster::MemberBody(int node) const {
  const Ports& ports = ports_[static_cast<std::size_t>(node - 1)];
  return "{\"id\":\"n" + std::to_string(node) + "\",\"raft\":\"tcp://" + Loopback(ports.raft) +
         "\",\"storage\":\"tcp://" + Loopback(ports.storage) + "\",\"client\":\"tcp://" +
         Loopback(ports.client) + "\",\"http\":\"" + Loopback(ports.http) + "\"}";
}

void TestCluster::StartWithClusterId(int node, Program program, const std::string& cluster_id) {
  Spawn(node, program, cluster_id);
}

std::string TestCluster::MemberLine(int node) const {
  const Ports& ports = ports_[static_cast<std::size_t>(node - 1)];
  std::string raft = RaftEndpoint(node);
  if (options_.raft_address) raft = options_.raft_address(node, raft);
  return "n" + std::to_string(node) + ",raft=" + raft + ",storage=tcp://" +
         Loopback(ports.storage) + ",client=tcp://" + Loopback(ports.client) +
         ",http=" + Loopback(ports.http);
}

void TestCluster::Spawn(int node, Program program, const std::string& cluster_id) {
  CHECK(!Running(node, program));
  const std::string folder = NodeFolder(node);
  std::filesystem::create_directories(folder + "/run");
  std::filesystem::create_directories(folder + "/log");
  const std::string name = ProgramName(program);
  std::vector<std::string> words = {std::string(BEDROCK_BIN_FOLDER) + "/" + name,
                                    "--node",
                                    "n" + std::to_string(node),
                                    "--cluster-id",
                                    cluster_id,
                                    "--data",
                                    "."};
  for (int i = 1; i <= options_.nodes; ++i) {
    words.insert(words.end(), {"--member", MemberLine(i)});
  }
  if (node > options_.nodes) {
    words.insert(words.end(), {"--member", MemberLine(node)});
    if (program == Program::kRaftd) words.emplace_back("--join");
  }
  if (program == Program::kRaftd && options_.raft_address) {
    words.insert(words.end(), {"--listen", "ipc://run/raftd.sock", "--listen", RaftEndpoint(node)});
  }
  for (const std::string& flag : options_.flags[program]) words.push_back(flag);
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<char*> environment;  // of a name that stands there twice, the first counts
  for (std::string& variable : options_.environment) environment.push_back(variable.data());
  for (char** variable = environ; *variable != nullptr; ++variable) {
    environment.push_back(*variable);
  }
  environment.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  const std::string log = folder + "/log/" + name + ".log";
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  CHECK_MSG(error == 0, words[0]);
  Of(node, program) = Process{.pid = pid};
}

void TestCluster::Reap(Process& process) {
  if (process.pid == 0) return;
  int status = 0;
  if (waitpid(process.pid, &status, WNOHANG) != process.pid) return;
  process.pid = 0;
  process.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool TestCluster::Running(int node, Program program) {
  Process& process = Of(node, program);
  Reap(process);
  return process.pid != 0;
}

int TestCluster::WaitForExit(int node, Program program, int seconds) {
  const auto deadline = Clock::now() + std::chrono::seconds(seconds);
  while (Running(node, program)) {
    if (Clock::now() > deadline) return -1000;
    PauseMs(10);
  }
  return Of(node, program).exit_code;
}

void TestCluster::Signal(int node, Program program, int signal) {
  CHECK(Running(node, program));
  CHECK(kill(Of(node, program).pid, signal) == 0);
}

void TestCluster::Pause(int node, Program program) {
  Signal(node, program, SIGSTOP);
  const pid_t pid = Of(node, program).pid;
  int status = 0;
  CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
}

void TestCluster::Kill(int node, Program program) {
  if (!Running(node, program)) return;
  Signal(node, program, SIGKILL);
  CHECK(WaitForExit(node, program, 20) == -SIGKILL);
}

void TestCluster::KillNode(int node) {
  for (const Program program : kPrograms) {
    if (Running(node, program)) Signal(node, program, SIGKILL);
  }
  for (const Program program : kPrograms) WaitForExit(node, program, 20);
}

int TestCluster::Stop(int node, Program program) {
  Signal(node, program, SIGTERM);
  return WaitForExit(node, program, 20);
}

void TestCluster::StartAll() {
  for (int node = 1; node <= nodes(); ++node) {
    for (const Program program : kPrograms) {
      if (!Running(node, program)) Start(node, program);
    }
  }
  for (int node = 1; node <= nodes(); ++node) {
    ASSERT_TRUE(WaitForWrite(node)) << "node " << node << " takes no writes";
  }
}

bool TestCluster::WaitForWrite(int node, int seconds) {
  const auto deadline = Clock::now() + std::chrono::seconds(seconds);
  while (Clock::now() < deadline) {
    const HttpResponse response = http_.Send(
        {.method = "DELETE", .url = Url(node) + "/delete?key=ready-probe", .timeout_ms = 2000});
    if (response.status == 200) return true;
    PauseMs(50);
  }
  return false;
}

int TestCluster::WaitForLeader(int seconds, int not_this) {
  const auto deadline = Clock::now() + std::chrono::seconds(seconds);
  while (Clock::now() < deadline) {
    for (int node = 1; node <= all_nodes(); ++node) {
      if (node == not_this || !Running(node, Program::kRouterd)) continue;
      const HttpResponse response =
          http_.Send({.url = Url(node) + "/v1/cluster", .timeout_ms = 2000});
      const std::string marker = "\"leader\":\"n";
      const std::size_t at = response.body.find(marker);
      if (response.status != 200 || at == std::string::npos) continue;
      const int leader = std::atoi(response.body.c_str() + at + marker.size());
      if (leader != 0 && leader != not_this) return leader;
    }
    PauseMs(20);
  }
  return 0;
}

}  // namespace bedrock::test
