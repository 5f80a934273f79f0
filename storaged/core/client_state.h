#pragma once

#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "storaged/core/session_table.h"
#include "storaged/core/state_chain.h"

namespace bedrock::storage {

/// What of the replicated state lives in memory and becomes durable with each flush of the engine,
/// in the same step as the applied mark, as the engine's client state:
///
///   [ format u8 = 2 ][ StateChain, length-prefixed ][ SessionTable ]
///   format 1, which a session table itself begins with, is that alone: of a release without checks
///   of the state, whose chain is empty
struct ClientState {
  SessionTable sessions;
  StateChain chain;
};

/// corruption where the bytes are none. An empty one is that of a new database.
Result<ClientState> DecodeClientState(std::string_view encoded);
std::string EncodeClientState(const SessionTable& sessions, const StateChain& chain);

}  // namespace bedrock::storage
