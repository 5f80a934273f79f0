#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/process/http_client.h"

namespace bedrock::test {

inline void PauseMs(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

enum class Program { kStoraged, kRaftd, kRouterd };
inline constexpr Program kPrograms[] = {Program::kStoraged, Program::kRaftd, Program::kRouterd};
std::string ProgramName(Program program);

struct ClusterOptions {
  int nodes = 3;
  /// Flags of one program, on top of the usual ones.
  std::map<Program, std::vector<std::string>> flags;
  /// "NAME=value", on top of this process's environment.
  std::vector<std::string> environment;
  /// Where everybody is told that a node's raftd is, in place of the `endpoint` that it listens on:
  /// a proxy in front of it.
  std::function<std::string(int node, const std::string& endpoint)> raft_address;
};

/// A cluster of real processes on free loopback ports, in a folder of its own under the temporary
/// folder. Nodes count from 1. The destructor kills what is left; where the test has failed it
/// keeps the folder and says where it is.
///
/// One thread, except the const members.
class TestCluster {
 public:
  explicit TestCluster(ClusterOptions options = {});
  ~TestCluster();
  TestCluster(const TestCluster&) = delete;
  TestCluster& operator=(const TestCluster&) = delete;

  /// Starts every process that is not running and waits until each node takes a linearizable write.
  void StartAll();
  /// One program. A raftd of a node that AddNode gave waits to be taken in.
  void Start(int node, Program program);
  void StartNode(int node);
  /// The number of a new node, with ports of its own: nothing of it runs, and nobody knows of it.
  int AddNode();
  /// What a POST /v1/cluster/members of the node says.
  std::string MemberBody(int node) const;
  /// `cluster_id`: as this process believes.
  void StartWithClusterId(int node, Program program, const std::string& cluster_id);
  /// SIGKILL and reaped.
  void Kill(int node, Program program);
  void KillNode(int node);
  void Signal(int node, Program program, int signal);
  /// SIGSTOP, and returns when it has stopped: kill() alone may return before.
  void Pause(int node, Program program);
  /// SIGCONT.
  void Resume(int node, Program program) { Signal(node, program, SIGCONT); }
  /// SIGTERM, reaped; gives the exit code.
  int Stop(int node, Program program);
  bool Running(int node, Program program);
  /// Waits until the process has ended by itself; its exit code, or -signal. -1000: it is still
  /// running.
  int WaitForExit(int node, Program program, int seconds);

  /// Waits until some running node but `not_this` says who leads; 0 where none does in time.
  int WaitForLeader(int seconds = 20, int not_this = 0);
  /// Waits until this node answers a write.
  bool WaitForWrite(int node, int seconds = 30);

  /// Those it began with.
  int nodes() const { return options_.nodes; }
  /// With those that were added.
  int all_nodes() const { return static_cast<int>(ports_.size()); }
  std::string Url(int node) const;
  std::string ClientEndpoint(int node) const;
  std::string RaftEndpoint(int node) const;
  std::string NodeFolder(int node) const;
  std::string ReadLog(int node, Program program) const;
  const std::string& cluster_id() const { return cluster_id_; }

 private:
  struct Ports {
    int raft, storage, client, http;
  };
  struct Process {
    pid_t pid = 0;  // 0: not running
    int exit_code = 0;
  };

  void Spawn(int node, Program program, const std::string& cluster_id);
  std::string MemberLine(int node) const;
  Process& Of(int node, Program program) { return processes_[{node, program}]; }
  /// Notes the end of the process where it has ended.
  void Reap(Process& process);

  ClusterOptions options_;
  std::string folder_;
  std::string cluster_id_ = "00c0ffee00c0ffee";
  std::vector<Ports> ports_;
  std::map<std::pair<int, Program>, Process> processes_;
  HttpClient http_;
};

}  // namespace bedrock::test
