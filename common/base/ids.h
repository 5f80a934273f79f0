#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/version.h"  // StrongId and Version are public

namespace bedrock {

using Term = StrongId<struct TermTag>;          ///< A Raft term. 0: before the first election.
using LogIndex = StrongId<struct LogIndexTag>;  ///< A position in the Raft log; the first is 1.
using NodeId = StrongId<struct NodeIdTag>;      ///< A node for ever: an id is never given twice.
using GroupId = StrongId<struct GroupIdTag>;    ///< A Raft group; every cluster has just 0 so far.
using ClusterId = StrongId<struct ClusterIdTag>;  ///< A random number drawn when a cluster is made.
using FileNumber = StrongId<struct FileNumberTag>;  ///< Numbers the engine's files; never reused.
using RequestId = StrongId<struct RequestIdTag>;  ///< Chosen by whoever asks; echoed in the reply.
/// A random number that a process draws at each start, so that an answer of an earlier life is
/// recognised.
using BootId = StrongId<struct BootIdTag>;
/// A client of the replicated state machine that numbers its commands (Raft thesis 6.3). Random.
using SessionId = StrongId<struct SessionIdTag>;

/// "n3" for 3, as flags, the HTTP API and logs spell a node; "-" for none.
std::string FormatNodeId(NodeId id);
/// Takes "n3" or "3". invalid_argument unless it is a positive number of at most 18 digits.
Result<NodeId> ParseNodeId(std::string_view text);
/// 16 lower-case hex digits.
std::string FormatClusterId(ClusterId id);
/// Takes 1 to 16 hex digits, not all zero; else invalid_argument.
Result<ClusterId> ParseClusterId(std::string_view text);

/// 16 lower-case hex digits.
std::string FormatHex(std::uint64_t number);
/// "n1-00c0ffee00c0ffee-42": an interactive transaction, for as long as the cluster lives. It is
/// the 42nd that n1's router began in the life that drew that boot id.
std::string FormatTransactionName(NodeId node, BootId router, std::uint64_t number);
/// The name under which a process connects to another one's socket: "raftd/n1/00c0ffee00c0ffee",
/// unlike that of any other process and of any earlier life of this one.
std::string RoutingId(std::string_view program, NodeId node, BootId boot);
/// Whether a peer's name is one that `program` of `node` gives itself, in whichever life.
bool IsRoutingIdOf(std::string_view routing_id, std::string_view program, NodeId node);

}  // namespace bedrock
