#pragma once

#include <cstdint>
#include <string_view>

#include "proto/errors.h"
#include "routerd/core/gateway.h"
#include "routerd/http/exchange.h"

namespace bedrock::router {

/// What a call needs beside its exchange.
struct CallContext {
  Gateway* gateway = nullptr;
  Ticket ticket;
  std::uint64_t now_ms = 0;
  std::uint64_t value_bytes_max = 0;
};

/// Asks the core for what an exchange wants. Gives what is wrong with the body, and then nothing
/// was asked; otherwise the ticket's completion follows. REQUIRES: plan.needs_core().
proto::Error CallCore(Exchange& exchange, std::string_view body, const CallContext& context);

/// Asks for the page of a scan that begins at the plan's `rest`.
void CallForPage(const Exchange& exchange, const CallContext& context);

/// Asks for a linearizable read, to see whether one works.
void CallForProbe(const CallContext& context, std::uint64_t timeout_ms);

}  // namespace bedrock::router
