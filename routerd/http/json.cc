#include "routerd/http/json.h"

#include <cstdint>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "routerd/http/text.h"

namespace bedrock::router {
namespace {

using Json = nlohmann::ordered_json;

std::string Spell(const Json& json, Format format) {
  if (format == Format::kJson) {
    // A detail may quote bytes of a request.
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  std::string packed;
  Json::to_msgpack(json, packed);
  return packed;
}

/// Texts as they are where they are UTF-8, else in base64 under another name; msgpack has bytes.
void PutBytes(Json* json, const std::string& name, const std::string& bytes, Format format) {
  if (format == Format::kMessagePack) {
    (*json)[name] = Json::binary(std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
  } else if (IsUtf8(bytes)) {
    (*json)[name] = bytes;
  } else {
    (*json)[name + "_base64"] = Base64(bytes);
  }
}

std::string_view StateName(proto::Role role) {
  switch (role) {
    case proto::Role::kFollower:
      return "follower";
    case proto::Role::kCandidate:
      return "candidate";
    case proto::Role::kLeader:
      return "leader";
    case proto::Role::kLearner:
      return "learner";
    default:
      return "unreachable";
  }
}

std::string_view StorageName(const MemberView& member) {
  if (member.diverged_at) return "diverged";
  return member.storage_up ? "up" : "down";
}

Json NodeJson(NodeId node) { return node ? Json(FormatNodeId(node)) : Json(nullptr); }

}  // namespace

std::string ErrorTitle(proto::ErrorCode code) {
  std::string title(proto::ErrorCodeName(code));
  for (char& c : title) {
    if (c == '_') c = ' ';
  }
  if (!title.empty() && title[0] >= 'a' && title[0] <= 'z') {
    title[0] = static_cast<char>(title[0] - 'a' + 'A');
  }
  return title;
}

std::string ProblemBody(const proto::Error& error, OfWrite of_write, Format format) {
  const std::string code(proto::ErrorCodeName(error.code));
  Json problem;
  problem["type"] = "urn:bedrock:error:" + code;
  problem["title"] = ErrorTitle(error.code);
  problem["status"] = proto::HttpStatus(error.code);
  problem["detail"] = error.detail;
  problem["code"] = code;
  problem["retryable"] = proto::IsRetryable(error.code);
  if (of_write) {
    problem["outcome"] = error.outcome == proto::Outcome::kNone ? "none" : "unknown";
  }
  if (error.limit != 0) problem["limit"] = error.limit;
  if (error.actual != 0) problem["actual"] = error.actual;
  if (!error.key.empty()) PutBytes(&problem, "key", error.key, format);
  if (!error.blocked_by.empty()) {
    problem["blocked_by"] = error.blocked_by;
    problem["blocked_by_ms"] = error.blocked_by_ms;
  }
  return Spell(problem, format);
}

std::string ClusterBody(const ClusterView& view, ClusterId cluster, Format format) {
  Json members = Json::array();
  for (const MemberView& member : view.members) {
    Json json;
    json["id"] = FormatNodeId(member.id);
    json["role"] = member.voter ? "voter" : "learner";
    json["raft"] = member.raft;
    json["client"] = member.client;
    json["http"] = member.http;
    json["state"] = StateName(member.state);
    json["match_index"] = member.match_index.value();
    json["applied_index"] = member.applied_index.value();
    json["storage"] = StorageName(member);
    if (member.diverged_at) json["diverged_at"] = member.diverged_at.value();
    json["software"] = member.software;
    members.push_back(std::move(json));
  }
  Json json;
  json["cluster_id"] = FormatClusterId(cluster);
  json["leader"] = NodeJson(view.leader);
  json["term"] = view.term.value();
  json["commit_index"] = view.commit_index.value();
  if (view.replicas_differ_at) json["replicas_differ_at"] = view.replicas_differ_at.value();
  json["members"] = std::move(members);
  return Spell(json, format);
}

std::string AddedBody(const proto::ChangeMembers& added, Format format) {
  Json json;
  json["id"] = FormatNodeId(added.node);
  json["role"] = "learner";
  json["promote"] = added.promote;
  json["raft"] = added.raft;
  json["storage"] = added.storage;
  json["client"] = added.client;
  json["http"] = added.http;
  return Spell(json, format);
}

std::string RoleBody(NodeId member, std::string_view role, Format format) {
  Json json;
  json["id"] = FormatNodeId(member);
  json["role"] = std::string(role);
  return Spell(json, format);
}

std::string LeaderBody(NodeId leader, Term term, Format format) {
  Json json;
  json["leader"] = NodeJson(leader);
  json["term"] = term.value();
  return Spell(json, format);
}

}  // namespace bedrock::router
