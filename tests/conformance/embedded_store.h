#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "common/env/environment.h"
#include "storaged/embedded/database.h"
#include "tests/conformance/scenarios.h"
#include "tests/conformance/store.h"

namespace bedrock::conformance {

/// The embedded database, sound or with one of its safeguards taken out.
class EmbeddedStore final : public Store {
 public:
  /// Opens the database "db"; throws where it can't. Borrows what the environment is made of.
  explicit EmbeddedStore(const Environment& environment,
                         std::optional<Breakage> broken = std::nullopt);
  ~EmbeddedStore() override;

  /// kRefusing lets the first session commit, so that something is there to be read.
  std::unique_ptr<Session> NewSession() override;
  std::size_t waiting() override;

 private:
  const Environment environment_;
  const std::optional<Breakage> broken_;
  std::shared_ptr<embedded::Core> core_;
  std::shared_ptr<embedded::Database> db_;
  std::atomic<bool> first_ = true;
};

/// What the library's status is in the suite's words.
Outcome ToOutcome(const Status& status);

}  // namespace bedrock::conformance
