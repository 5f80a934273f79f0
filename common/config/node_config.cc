#include "common/config/node_config.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/config/endpoint.h"

namespace bedrock::config {

namespace {

constexpr std::size_t kMembersMax = 64;

/// Cuts off the part up to the next comma.
std::string_view TakePart(std::string_view& rest) {
  const std::size_t comma = rest.find(',');
  const std::string_view part = rest.substr(0, comma);
  rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  return part;
}

std::string* FieldOf(Member& member, std::string_view name) {
  if (name == "raft") return &member.raft;
  if (name == "storage") return &member.storage;
  if (name == "client") return &member.client;
  if (name == "http") return &member.http;
  return nullptr;
}

Status SetPart(Member& member, std::string_view part) {
  const std::size_t equals = part.find('=');
  const std::string_view name = part.substr(0, equals);
  std::string* field = equals == std::string_view::npos ? nullptr : FieldOf(member, name);
  if (field == nullptr) {
    return Status::InvalidArgument("'" + std::string(part) +
                                   "' is none of raft=…, storage=…, client=…, http=…");
  }
  if (!field->empty()) return Status::InvalidArgument(std::string(name) + " is given twice");
  *field = part.substr(equals + 1);
  const Status status = name == "http" ? ParseHostPort(*field).status() : CheckEndpoint(*field);
  return status.Prefixed(name);
}

std::string KnownLevels(const std::string& level) {
  for (const char* known : {"debug", "info", "warning", "error"}) {
    if (level == known) return "";
  }
  return "--log-level: not one of debug, info, warning, error: '" + level + "'";
}

}  // namespace

Result<Member> ParseMember(std::string_view text) {
  std::string_view rest = text;
  Member member;
  ASSIGN_OR_RETURN(member.id, ParseNodeId(TakePart(rest)));
  while (!rest.empty()) RETURN_IF_ERROR(SetPart(member, TakePart(rest)));
  for (const char* name : {"raft", "storage", "client", "http"}) {
    if (FieldOf(member, name)->empty()) {
      return Status::InvalidArgument("'" + std::string(text) + "' lacks " + name + "=…");
    }
  }
  return member;
}

std::string FormatMember(const Member& member) {
  return FormatNodeId(member.id) + ",raft=" + member.raft + ",storage=" + member.storage +
         ",client=" + member.client + ",http=" + member.http;
}

const Member* NodeConfig::Find(NodeId id) const {
  const auto found = std::find_if(members.begin(), members.end(),
                                  [id](const Member& member) { return member.id == id; });
  return found == members.end() ? nullptr : &*found;
}

const Member& NodeConfig::self() const {
  const Member* member = Find(node);
  CHECK_MSG(member != nullptr, "this node is not among the members");
  return *member;
}

Status NodeConfig::Validate() const {
  if (!node) return Status::InvalidArgument("--node is required");
  if (!cluster) return Status::InvalidArgument("--cluster-id is required");
  if (members.empty()) return Status::InvalidArgument("--member is required, once for each node");
  if (members.size() > kMembersMax) {
    return Status::InvalidArgument("more than " + std::to_string(kMembersMax) + " members");
  }
  for (std::size_t i = 0; i < members.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (members[i].id == members[j].id || members[i].raft == members[j].raft) {
        return Status::InvalidArgument(
            "two --member flags share an id or a raft endpoint: " + FormatMember(members[j]) +
            " and " + FormatMember(members[i]));
      }
    }
  }
  if (Find(node) == nullptr) {
    return Status::InvalidArgument("no --member describes this node, " + FormatNodeId(node));
  }
  const std::string bad_level = KnownLevels(log_level);
  if (!bad_level.empty()) return Status::InvalidArgument(bad_level);
  return {};
}

Status NodeConfig::CheckListen(const std::vector<std::string>& listens) const {
  for (const std::string& listen : listens) {
    const bool has_scheme = listen.find("://") != std::string::npos;
    RETURN_IF_ERROR(has_scheme ? CheckEndpoint(listen) : ParseHostPort(listen).status());
    if (!insecure && !IsLoopbackEndpoint(listen)) {
      return Status::InvalidArgument(
          listen +
          " can be reached from other hosts and nothing authenticates them: give "
          "--insecure where the network itself is trusted");
    }
  }
  return {};
}

void AddNodeFlags(FlagSet& flags, NodeConfig& config) {
  flags.Group("Node");
  flags.Add({.name = "node",
             .placeholder = "ID",
             .help = "This node's id, such as n1. Given once, for ever.",
             .parse = [&config](std::string_view text) -> Status {
               ASSIGN_OR_RETURN(config.node, ParseNodeId(text));
               return {};
             },
             .print =
                 [&config] {
                   return std::vector<std::string>{config.node ? FormatNodeId(config.node) : ""};
                 }});
  flags.Add({.name = "cluster-id",
             .placeholder = "HEX",
             .help = "16 hex digits that all nodes of one cluster share and no other cluster has.",
             .parse = [&config](std::string_view text) -> Status {
               ASSIGN_OR_RETURN(config.cluster, ParseClusterId(text));
               return {};
             },
             .print =
                 [&config] {
                   return std::vector<std::string>{config.cluster ? FormatClusterId(config.cluster)
                                                                  : ""};
                 }});
  flags.Text("data", "The node's data directory. Becomes the working directory.",
             config.data_directory);
  flags.Add({.name = "member",
             .placeholder = "MEMBER",
             .help = "A node of the cluster, this one included: "
                     "n1,raft=tcp://HOST:PORT,storage=tcp://HOST:PORT,client=tcp://HOST:PORT,"
                     "http=HOST:PORT.",
             .repeatable = true,
             .parse = [&config](std::string_view text) -> Status {
               ASSIGN_OR_RETURN(Member member, ParseMember(text));
               const auto at =
                   std::upper_bound(config.members.begin(), config.members.end(), member,
                                    [](const Member& a, const Member& b) { return a.id < b.id; });
               config.members.insert(at, std::move(member));
               return {};
             },
             .print =
                 [&config] {
                   std::vector<std::string> texts;
                   for (const Member& member : config.members)
                     texts.push_back(FormatMember(member));
                   return texts;
                 }});
  flags.Switch("insecure", "Allow to listen beyond this host though peers are not authenticated.",
               config.insecure);
  flags.Text("log-level", "debug, info, warning or error.", config.log_level);
  flags.Check([&config] { return config.Validate(); });
}

}  // namespace bedrock::config
