#pragma once

#include "common/base/ids.h"
#include "storaged/core/certifier.h"
#include "storaged/engine/engine.h"

namespace bedrock::storage {

/// The replicated content at a version, which commands are evaluated on. Borrows.
struct StateView {
  const engine::Engine& engine;
  const Certifier& certifier;
  Version at;            ///< Applied, and not below history_from.
  Version history_from;  ///< The watermark: of what was below it nothing can be said.

  bool is_newest() const { return at.value() == engine.applied().index.value(); }
};

}  // namespace bedrock::storage
