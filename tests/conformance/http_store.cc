#include "tests/conformance/http_store.h"

#include <map>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include <nlohmann/json.hpp>

namespace bedrock::conformance {
namespace {

using Json = nlohmann::json;
using test::HttpResponse;

constexpr std::chrono::milliseconds kSettled{250};
/// Routers tell the age of transactions in milliseconds of clocks of their own.
constexpr std::chrono::milliseconds kClocksApart{5};
constexpr char kWaitingMetric[] = "\nbedrock_router_locks_waited_for ";

Outcome ToOutcome(const HttpResponse& response) {
  if (response.ok()) return Outcome::kOk;
  const Json problem = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  const std::string code = problem.is_object() ? problem.value("code", "") : "";
  if (code == "key_not_found") return Outcome::kOk;
  if (code == "transaction_conflict") return Outcome::kConflict;
  if (code == "deadlock") return Outcome::kDeadlock;
  if (code == "lock_timeout") return Outcome::kTimeout;
  return Outcome::kOther;
}

/// Whether a commit may have taken effect all the same.
bool IsUnknown(const HttpResponse& response) {
  if (response.status == 0) return true;
  const Json problem = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  return problem.is_object() && problem.value("outcome", "") == "unknown";
}

class HttpSession final : public Session {
 public:
  HttpSession(const std::vector<std::string>& urls, std::size_t first)
      : urls_(urls), next_(first) {}

  Outcome Begin(const BeginOptions& options) override {
    const Json body = {{"mode", options.mode == Mode::kPessimistic ? "pessimistic" : "optimistic"},
                       {"read_only", options.read_only},
                       {"timeout", "5m"},
                       {"idle_timeout", "60s"},
                       {"lock_timeout", options.lock_timeout.count()}};
    const HttpResponse response = Ask("POST", "", body.dump());
    const Json begun = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
    id_ = response.ok() ? begun.value("id", "") : "";
    // Whoever begins next, through another router, is younger by that one's clock, too.
    std::this_thread::sleep_for(kClocksApart);
    return ToOutcome(response);
  }
  Outcome Get(const std::string& key, std::optional<std::string>* value) override {
    return Read("/kv/" + test::PercentEncode(key), value);
  }
  Outcome GetForUpdate(const std::string& key, std::optional<std::string>* value) override {
    return Read("/kv/" + test::PercentEncode(key) + "?for_update=true", value);
  }
  Outcome Scan(const std::string& begin, const std::string& end, Content* content) override {
    content->clear();
    std::string page;
    while (true) {
      const HttpResponse response = Ask("GET", "/kv?limit=3" + Bounds(begin, end) + page);
      if (!response.ok()) return ToOutcome(response);
      const Json json = Json::parse(response.body);
      for (const Json& item : json["items"]) {
        content->emplace(item["key"].get<std::string>(), item["value"].get<std::string>());
      }
      if (json["next"].is_null()) return Outcome::kOk;
      page = "&page=" + json["next"].get<std::string>();
    }
  }
  Outcome Put(const std::string& key, const std::string& value) override {
    return ToOutcome(Ask("PUT", "/kv/" + test::PercentEncode(key), value));
  }
  Outcome Delete(const std::string& key) override {
    return ToOutcome(Ask("DELETE", "/kv/" + test::PercentEncode(key)));
  }
  Outcome DeleteRange(const std::string& begin, const std::string& end) override {
    return ToOutcome(Ask("DELETE", "/kv?" + Bounds(begin, end).substr(1)));
  }
  Outcome Commit() override {
    const HttpResponse response = Ask("POST", "/commit");
    if (IsUnknown(response)) return Outcome::kUnknown;
    if (response.ok()) id_.clear();
    return ToOutcome(response);
  }
  void Rollback() override {
    if (id_.empty()) return;
    const std::string error = error_;
    Ask("POST", "/rollback");
    error_ = error;  // one that is over already is not found
    id_.clear();
  }
  std::string error() const override { return error_; }

 private:
  static std::string Bounds(const std::string& begin, const std::string& end) {
    std::string bounds = "&start=" + test::PercentEncode(begin);
    if (!end.empty()) bounds += "&end=" + test::PercentEncode(end);
    return bounds;
  }

  Outcome Read(const std::string& target, std::optional<std::string>* value) {
    value->reset();
    HttpResponse response = Ask("GET", target);
    if (response.ok()) *value = std::move(response.body);
    return ToOutcome(response);
  }

  HttpResponse Ask(const std::string& method, const std::string& target,
                   const std::string& body = "") {
    const std::string transaction = id_.empty() || target.empty() ? "" : "/" + id_;
    const std::string separator = target.find('?') == std::string::npos ? "?" : "&";
    const std::string path = "/v1/transactions" + transaction + target;
    HttpResponse response =
        http_.Send({.method = method,
                    .url = urls_[next_++ % urls_.size()] + path + separator + "timeout=60s",
                    .body = body,
                    .timeout_ms = 70'000});
    error_ = response.ok() ? ""
                           : method + " " + path + ": " + std::to_string(response.status) + " " +
                                 response.error + response.body;
    return response;
  }

  const std::vector<std::string>& urls_;
  std::size_t next_;
  test::HttpClient http_;
  std::string id_;  // empty: none runs
  std::string error_;
};

}  // namespace

HttpStore::HttpStore(std::vector<std::string> urls)
    : urls_(std::move(urls)), since_(std::chrono::steady_clock::now()) {}

HttpStore::~HttpStore() = default;

std::unique_ptr<Session> HttpStore::NewSession() {
  return std::make_unique<HttpSession>(urls_, sessions_++);
}

std::size_t HttpStore::WaitingNow() {
  std::size_t waiting = 0;
  for (const std::string& url : urls_) {
    const HttpResponse metrics = http_.Send({.url = url + "/metrics"});
    const std::size_t at = metrics.body.find(kWaitingMetric);
    if (at == std::string::npos) throw std::runtime_error("no metrics: " + metrics.error);
    waiting += std::stoul(metrics.body.substr(at + sizeof(kWaitingMetric) - 1));
  }
  return waiting;
}

std::size_t HttpStore::waiting() {
  const std::size_t waiting = WaitingNow();
  const auto now = std::chrono::steady_clock::now();
  if (waiting != last_waiting_) {
    last_waiting_ = waiting;
    since_ = now;
  }
  return now - since_ < kSettled ? 0 : waiting;
}

void HttpStore::Clear() {
  const HttpResponse cleared =
      http_.Send({.method = "DELETE", .url = urls_.front() + "/v1/kv?prefix=&timeout=30s"});
  if (!cleared.ok()) throw std::runtime_error("clear the store: " + cleared.body);
}

}  // namespace bedrock::conformance
