#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/ids.h"
#include "common/config/flags.h"

namespace bedrock::config {

/// Where a node's own processes meet, relative to its data directory (which is their working
/// directory).
inline constexpr const char* kRaftdIpc = "ipc://run/raftd.sock";
inline constexpr const char* kStoragedIpc = "ipc://run/storaged.sock";
inline constexpr const char* kRouterdIpc = "ipc://run/routerd.sock";

/// One node of the cluster as --member describes it.
struct Member {
  NodeId id;
  std::string raft;     ///< tcp endpoint of its raftd, for other raftds and routers.
  std::string storage;  ///< tcp endpoint of its storaged, for routers.
  std::string client;   ///< tcp endpoint of its routerd, for ZeroMQ clients.
  std::string http;     ///< HOST:PORT of its routerd's HTTP server.

  friend bool operator==(const Member&, const Member&) = default;
};

/// Takes "n1,raft=tcp://10.0.0.1:9000,storage=tcp://10.0.0.1:10500,client=tcp://10.0.0.1:7000,
/// http=10.0.0.1:8080": the id first, then all four in any order. invalid_argument names what is
/// wrong.
Result<Member> ParseMember(std::string_view text);
/// The text that ParseMember takes back.
std::string FormatMember(const Member& member);

/// What all three programs of a node have in common.
struct NodeConfig {
  NodeId node;
  ClusterId cluster;
  std::string data_directory = ".";
  std::vector<Member> members;  ///< Sorted by id.
  bool insecure = false;        ///< Allows to listen beyond loopback without authentication.
  std::string log_level = "info";

  /// This node's own line. REQUIRES: Validate() is ok.
  const Member& self() const;
  /// nullptr where no member has this id.
  const Member* Find(NodeId id) const;

  /// invalid_argument: no node or cluster id, no members, ids or raft endpoints given twice, this
  /// node not among the members, or an unknown log level.
  Status Validate() const;
  /// invalid_argument where one of `listens` is no endpoint, or is reachable from other hosts while
  /// --insecure is not given.
  Status CheckListen(const std::vector<std::string>& listens) const;
};

/// Declares --node, --cluster-id, --data, --member, --insecure and --log-level, and the check of
/// Validate. `config` outlives `flags`.
void AddNodeFlags(FlagSet& flags, NodeConfig& config);

}  // namespace bedrock::config
