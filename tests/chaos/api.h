#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/env/random.h"
#include "tests/process/http_client.h"

namespace bedrock::chaos {

/// What a client may conclude from a reply, or from none.
enum class Outcome {
  kDone,
  kNone,     ///< Nothing happened, and nothing will.
  kUnknown,  ///< It may have happened, or may yet.
};

struct Answer {
  Outcome outcome = Outcome::kUnknown;
  int status = 0;             ///< 0: none came.
  std::string code;           ///< Of a problem document; empty where there is none.
  std::uint64_t version = 0;  ///< X-Bedrock-Version; 0: none.
  std::string text;
  nlohmann::json body;  ///< Of text, where that is JSON.

  bool done() const { return outcome == Outcome::kDone; }
};

enum class Mode { kOptimistic, kPessimistic };

/// The HTTP interface as a client of a cluster under faults sees it: each request goes to one
/// router, and to another after a failure. It repeats nothing by itself. One thread.
class Api {
 public:
  Api(std::vector<std::string> urls, Random random);

  /// `idempotency_key`: empty for none.
  Answer Txn(const nlohmann::json& request, std::string_view idempotency_key, long timeout_ms);
  Answer Get(std::string_view key);
  Answer Scan(std::string_view query);
  Answer Put(std::string_view key, std::string_view value);

  /// The interactive ones. `id` as Begin's body gives it; empty where it failed.
  std::string Begin(Mode mode);
  std::string BeginReadOnly();
  /// Steps go to any router, not just to the one that began it.
  Answer Read(const std::string& id, std::string_view key, bool for_update);
  Answer ScanIn(const std::string& id, std::string_view query);
  Answer Write(const std::string& id, std::string_view key, std::string_view value);
  /// Repeated, through any router, while its outcome is not known and repeating may tell.
  Answer Commit(const std::string& id);
  void Rollback(const std::string& id);

 private:
  Answer Send(const std::string& method, const std::string& path, std::string body,
              std::string_view idempotency_key, long timeout_ms);
  std::string BeginWith(const nlohmann::json& options);
  void MoveOn();

  std::vector<std::string> urls_;
  std::size_t router_ = 0;
  Random random_;
  test::HttpClient http_;
};

}  // namespace bedrock::chaos
