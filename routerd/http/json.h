#pragma once

#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "proto/client_messages.h"
#include "proto/errors.h"
#include "routerd/core/cluster/node_table.h"
#include "routerd/http/format.h"

namespace bedrock::router {

using OfWrite = TypedBool<struct OfWriteTag>;

/// A problem document (RFC 9457) for an error; `outcome` is told for writes only.
std::string ProblemBody(const proto::Error& error, OfWrite of_write, Format format);
std::string ClusterBody(const ClusterView& view, ClusterId cluster, Format format);

/// A new member, with all its endpoints:
/// `{"id","role":"learner","promote","raft","storage","client", "http"}`.
std::string AddedBody(const proto::ChangeMembers& added, Format format);
/// `{"id","role"}`.
std::string RoleBody(NodeId member, std::string_view role, Format format);
/// `{"leader","term"}`.
std::string LeaderBody(NodeId leader, Term term, Format format);

/// "Key not found" for key_not_found.
std::string ErrorTitle(proto::ErrorCode code);

}  // namespace bedrock::router
