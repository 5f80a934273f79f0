#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/units.h"
#include "common/config/node_config.h"
#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"
#include "proto/frame.h"
#include "raftd/server/driver.h"

namespace bedrock::raft {

/// Drivers with their real cores and logs in one thread: disks and network in memory, time by hand,
/// and a storaged a node that notes what it applies.
class DriverCluster : public testing::Test {
 protected:
  enum class Writer { kInline, kThread };

  struct Settings {
    int nodes = 3;
    Writer writer = Writer::kInline;
    Limits limits{};
    std::uint64_t log_bytes_max = 1 * kGiB;
    std::uint64_t scrub_ms = 0;
    std::uint64_t segment_bytes = 256 * kKiB;
    std::uint64_t check_ms = 0;
  };

  class NodeUnderTest;

  /// A storaged: applies in order, once, and answers at once.
  struct Storage {
    bool up = true;
    std::uint64_t boot = 100;
    std::uint64_t durable = 0;
    std::vector<proto::Apply::Item> applied;  // the whole history, from index 1
    proto::ErrorCode health = proto::ErrorCode::kOk;
    std::uint64_t frames_to_lose = 0;
    std::vector<proto::ReplyTo> replies;  // of commands, with an address, in order
    // Snapshots: fetched at once from another node's storage, where that is up, unless held.
    bool hold_snapshots = false;
    std::uint64_t snapshots = 0;         // installed
    std::vector<std::string> asked_for;  // "tcp://h1:2", one a FetchSnapshot
    // Checks of the state: a pass has three. What an entry at or above `wrong_from` gives is its
    // own.
    std::uint64_t wrong_from = UINT64_MAX;
    std::uint64_t wrong_slice = 1;     // of three: those before it are right
    bool damaged = false;              // from there on it can't be read
    std::uint64_t passes_unknown = 0;  // so many passes at first give no hash
    std::uint64_t diverged_at = 0;     // as it was told
    std::uint64_t quarantines = 0;     // so many times
    bool holds_quarantines = false;    // they get lost

    std::uint64_t last() const { return applied.size(); }
  };

  void StartCluster(const Settings& settings);
  /// Everything is gone, disks and storages, too.
  void TearDownCluster();
  void StartNode(int node);
  /// A new node whose flags name it and these others (all, where none is given); theirs do not name
  /// it.
  void StartJoiningNode(int node, std::vector<int> named = {});
  /// The line of flags that describes a node.
  static std::string MemberLine(int node);
  /// The process is gone; its disk stays as it wrote it.
  void StopNode(int node);

  /// Lets `ms` pass, in ticks, delivering everything meanwhile.
  void Run(std::uint64_t ms);
  /// Delivers what is under way and ends turns until nothing moves. No time passes.
  void Settle();
  /// Runs until a node leads with its own entry applied everywhere that is up and all logs noted,
  /// and gives it.
  int RunUntilLeader();
  int Leader() const;

  void Isolate(int node) { isolated_.insert(node); }
  void Heal() { isolated_.clear(); }

  /// A frame from router "routerd/n1/1" to a node, as of a turn of its own.
  void Ask(int node, std::vector<proto::Packet> packets);
  void AskWithHeader(int node, const proto::FrameHeader& header,
                     std::vector<proto::Packet> packets);
  static proto::Packet Propose(std::uint64_t request, std::string command,
                               std::uint32_t timeout_ms = 0);
  /// What the router was told since the last call.
  std::vector<proto::Packet> TakeAnswers() { return std::exchange(answers_, {}); }
  /// The payloads of the commands that a storaged applied.
  std::vector<std::string> Commands(int node) const;

  Driver& driver(int node);
  bool running(int node) const;
  Storage& storage(int node) { return storages_[node]; }
  /// From now on its disk has room for so many more bytes; or, where none is given, for any.
  void LimitDisk(int node, std::optional<std::uint64_t> bytes);
  /// Work of the writer's thread waits here while Writer::kThread and held.
  void HoldDisk(int node, bool held);
  const Status& fatal(int node) { return fatals_[node]; }
  /// Why the node may not take part; empty: it may.
  const std::string& refusal(int node) { return refusals_[node]; }
  /// A scrub found damage that others can refill: the node wants to be made anew.
  bool damaged(int node) const { return damaged_.contains(node); }

  static constexpr ClusterId kCluster{77};
  static constexpr const char* kRouter = "routerd/n1/1";
  static constexpr std::uint64_t kTickMs = 10;

  DriverCluster();
  ~DriverCluster() override;

  ManualClock clock_;
  std::vector<std::string> trace_;  ///< "n1 sync", "n1 -> n2 append", … while tracing_.
  bool tracing_ = false;
  std::function<void(int node)> on_sync_;  ///< Runs within each sync of a log.
  std::map<int, MemoryFileSystem> disks_;

 private:
  struct Parcel {
    int from;
    int to;
    std::string sender;
    Bytes frame;
    bool back = false;  // over the receiver's own link
  };

  std::vector<int> Founders() const;
  bool LogsAreNoted(int leader) const;
  void Trace(std::string line);
  void DeliverOne();
  void OnStorageFrame(int node, const Bytes& frame);
  void FetchSnapshot(int node, const proto::FetchSnapshot& fetch);
  proto::ApplyProgress ProgressOf(int node) const;
  proto::StateReport StateOf(int node) const;
  void OnQuarantine(int node, const StateCheck& check);
  void SendFromStorage(int node, const proto::Message& message);

  Settings settings_;
  std::map<int, Storage> storages_;
  std::map<int, std::unique_ptr<NodeUnderTest>> nodes_;
  std::map<int, Status> fatals_;
  std::map<int, std::string> refusals_;
  std::set<int> damaged_;
  std::deque<Parcel> network_;
  std::set<int> isolated_;
  std::map<int, std::vector<int>> joining_;  // and whom their flags name
  std::vector<proto::Packet> answers_;
  std::uint64_t next_boot_ = 1;
};

}  // namespace bedrock::raft
