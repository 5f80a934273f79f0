#include "routerd/http/member_request.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "common/config/endpoint.h"
#include "routerd/http/object_reader.h"

namespace bedrock::router {
namespace {

constexpr std::string_view kTcp = "tcp://";

constexpr std::int64_t kRaftPort = 9000;
constexpr std::int64_t kStoragePort = 10500;
constexpr std::int64_t kClientPort = 7000;
constexpr std::int64_t kHttpPort = 8080;

NodeId TakeNode(ObjectReader& object, std::string_view name) {
  const Value* value = object.Take(name);
  if (value == nullptr) {
    object.FailAt(name, "is required");
    return {};
  }
  const bool number = value->type == Value::Type::kUnsigned;
  if (!number && value->type != Value::Type::kText) {
    object.FailAt(name, "must be a node's id, such as \"n4\"");
    return {};
  }
  const Result<NodeId> id = ParseNodeId(number ? std::to_string(value->number) : value->text);
  if (id.ok()) return *id;
  object.FailAt(name, "must be a node's id, such as \"n4\"");
  return {};
}

/// HOST:PORT of an endpoint that others can reach.
std::optional<config::HostPort> TakeAddress(ObjectReader& object, std::string_view name) {
  const auto text = object.TakeText(name);
  if (!text) return std::nullopt;
  std::string_view address = *text;
  if (name != "http" && address.starts_with(kTcp)) address.remove_prefix(kTcp.size());
  // A comma ends an endpoint in the line that the membership keeps.
  const bool plain = std::all_of(address.begin(), address.end(), [](char c) {
    return c > 0x20 && c < 0x7F && c != ',' && c != '/';
  });
  const auto parsed = config::ParseHostPort(address);
  if (plain && address.size() <= kMemberAddressBytesMax && parsed.ok() && parsed->host != "*") {
    return *parsed;
  }
  object.FailAt(name, name == "http" ? "must be HOST:PORT, as other nodes reach it"
                                     : "must be tcp://HOST:PORT, as other nodes reach it");
  return std::nullopt;
}

std::string Spell(const config::HostPort& address) {
  const bool bracketed = address.host.find(':') != std::string::npos;
  return (bracketed ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

std::string TakeEndpoint(ObjectReader& object, std::string_view name, const config::HostPort& raft,
                         std::int64_t usual_port) {
  const std::string scheme(name == "http" ? std::string_view() : kTcp);
  if (object.Has(name)) {
    const auto given = TakeAddress(object, name);
    return given ? scheme + Spell(*given) : "";
  }
  const std::int64_t port = usual_port + raft.port - kRaftPort;
  if (port < 1 || port > UINT16_MAX) {
    object.FailAt(name, "is required: it can't be told from raft's port");
    return "";
  }
  return scheme + Spell({raft.host, static_cast<std::uint16_t>(port)});
}

}  // namespace

proto::Error ParseNewMember(std::string_view body, Format format, proto::ChangeMembers* member) {
  return ReadBody(body, format, [member](ObjectReader& object) {
    member->kind = proto::ChangeMembers::Kind::kAdd;
    member->node = TakeNode(object, "id");
    member->promote = object.TakeBoolean("promote").value_or(true);
    if (!object.Has("raft")) return object.FailAt("raft", "is required");
    const auto raft = TakeAddress(object, "raft");
    if (!raft) return;
    member->raft = std::string(kTcp) + Spell(*raft);
    member->storage = TakeEndpoint(object, "storage", *raft, kStoragePort);
    member->client = TakeEndpoint(object, "client", *raft, kClientPort);
    member->http = TakeEndpoint(object, "http", *raft, kHttpPort);
  });
}

proto::Error ParseLeaderMove(std::string_view body, Format format, NodeId* to) {
  return ReadBody(body, format, [to](ObjectReader& object) { *to = TakeNode(object, "to"); });
}

}  // namespace bedrock::router
