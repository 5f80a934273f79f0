#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "tests/conformance/store.h"
#include "tests/process/http_client.h"

namespace bedrock::conformance {

/// A cluster, through the HTTP interface of its nodes: each request of a session goes to the next
/// node, so that transactions are begun, worked on and ended through different routers.
class HttpStore final : public Store {
 public:
  /// `urls`: of the routers, at least one.
  explicit HttpStore(std::vector<std::string> urls);
  ~HttpStore() override;

  std::unique_ptr<Session> NewSession() override;
  /// What the routers' metrics say, once it has stayed the same for so long that a request that is
  /// still on its way would have arrived. One thread.
  std::size_t waiting() override;

  /// Deletes every key; throws where it can't.
  void Clear();

 private:
  std::size_t WaitingNow();

  const std::vector<std::string> urls_;
  test::HttpClient http_;
  std::atomic<std::size_t> sessions_ = 0;
  std::size_t last_waiting_ = 0;
  std::chrono::steady_clock::time_point since_;
};

}  // namespace bedrock::conformance
