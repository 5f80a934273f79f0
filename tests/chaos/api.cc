#include "tests/chaos/api.h"

#include <chrono>
#include <thread>
#include <utility>

namespace bedrock::chaos {
namespace {

using nlohmann::json;

constexpr long kTimeoutMs = 5'000;
constexpr int kCommitAttempts = 5;

Outcome OutcomeOf(const test::HttpResponse& response, const json& body) {
  if (response.ok()) return Outcome::kDone;
  if (response.status == 0 || !body.is_object()) return Outcome::kUnknown;
  // Errors of reads, and of what was refused before it was tried, say nothing of an outcome.
  return body.value("outcome", "none") == "none" ? Outcome::kNone : Outcome::kUnknown;
}

std::string KeyPath(const std::string& id, std::string_view key) {
  return "/v1/transactions/" + id + "/kv/" + test::PercentEncode(key);
}

}  // namespace

Api::Api(std::vector<std::string> urls, Random random) : urls_(std::move(urls)), random_(random) {
  router_ = random_.Below(urls_.size());
}

void Api::MoveOn() { router_ = random_.Below(urls_.size()); }

Answer Api::Send(const std::string& method, const std::string& path, std::string body,
                 std::string_view idempotency_key, long timeout_ms) {
  test::HttpRequest request{.method = method,
                            .url = urls_[router_] + path,
                            .body = std::move(body),
                            .timeout_ms = timeout_ms};
  if (!idempotency_key.empty()) request.headers["Idempotency-Key"] = idempotency_key;
  const test::HttpResponse response = http_.Send(request);
  Answer answer;
  answer.status = response.status;
  answer.text = response.body;
  answer.body = json::parse(response.body, nullptr, false);
  answer.outcome = OutcomeOf(response, answer.body);
  if (!response.ok() && answer.body.is_object()) answer.code = answer.body.value("code", "");
  if (const auto version = response.headers.find("x-bedrock-version");
      version != response.headers.end()) {
    answer.version = std::strtoull(version->second.c_str(), nullptr, 10);
  }
  if (response.status == 0 || response.status >= 500) {
    MoveOn();
    // Nobody listens there while a router is down: don't spin.
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return answer;
}

Answer Api::Txn(const json& request, std::string_view idempotency_key, long timeout_ms) {
  return Send("POST", "/v1/txn", request.dump(), idempotency_key, timeout_ms);
}

Answer Api::Get(std::string_view key) {
  return Send("GET", "/v1/kv/" + test::PercentEncode(key), "", "", kTimeoutMs);
}

Answer Api::Scan(std::string_view query) {
  return Send("GET", "/v1/kv?" + std::string(query), "", "", kTimeoutMs);
}

Answer Api::Put(std::string_view key, std::string_view value) {
  return Send("PUT", "/v1/kv/" + test::PercentEncode(key), std::string(value), "", kTimeoutMs);
}

std::string Api::BeginWith(const json& options) {
  const Answer answer = Send("POST", "/v1/transactions", options.dump(), "", kTimeoutMs);
  return answer.done() && answer.body.is_object() ? answer.body.value("id", "") : "";
}

std::string Api::Begin(Mode mode) {
  return BeginWith({{"mode", mode == Mode::kPessimistic ? "pessimistic" : "optimistic"},
                    {"timeout", "10s"},
                    {"lock_timeout", "500ms"}});
}

std::string Api::BeginReadOnly() { return BeginWith({{"read_only", true}, {"timeout", "10s"}}); }

Answer Api::Read(const std::string& id, std::string_view key, bool for_update) {
  MoveOn();
  return Send("GET", KeyPath(id, key) + (for_update ? "?for_update=true" : ""), "", "", kTimeoutMs);
}

Answer Api::ScanIn(const std::string& id, std::string_view query) {
  MoveOn();
  return Send("GET", "/v1/transactions/" + id + "/kv?" + std::string(query), "", "", kTimeoutMs);
}

Answer Api::Write(const std::string& id, std::string_view key, std::string_view value) {
  MoveOn();
  return Send("PUT", KeyPath(id, key), std::string(value), "", kTimeoutMs);
}

Answer Api::Commit(const std::string& id) {
  Answer answer;
  for (int attempt = 0; attempt < kCommitAttempts; ++attempt) {
    const bool before = attempt > 0;
    answer = Send("POST", "/v1/transactions/" + id + "/commit", "", "", kTimeoutMs);
    // After an attempt that may have reached it, a router that knows nothing of it has only
    // forgotten.
    if (before && answer.outcome == Outcome::kNone && answer.status == 404) {
      answer.outcome = Outcome::kUnknown;
      return answer;
    }
    if (answer.outcome != Outcome::kUnknown) return answer;
  }
  return answer;
}

void Api::Rollback(const std::string& id) {
  Send("POST", "/v1/transactions/" + id + "/rollback", "", "", kTimeoutMs);
}

}  // namespace bedrock::chaos
