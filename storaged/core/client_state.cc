#include "storaged/core/client_state.h"

#include <cstdint>
#include <utility>

#include "common/base/status_macros.h"
#include "common/codec/coding.h"

namespace bedrock::storage {
namespace {

constexpr std::uint8_t kFormat = 2;

}  // namespace

Result<ClientState> DecodeClientState(std::string_view encoded) {
  ClientState state;
  std::string_view sessions = encoded;
  ByteReader reader(encoded);
  if (const auto format = reader.Fixed<std::uint8_t>(); format == kFormat) {
    const auto chain = reader.LengthPrefixed();
    if (!chain) return Status::Corruption("client state: ends within the chain of states");
    ASSIGN_OR_RETURN(state.chain, StateChain::Decode(*chain));
    sessions = reader.rest();
    if (sessions.empty()) return Status::Corruption("client state: no session table");
  }
  ASSIGN_OR_RETURN(state.sessions, SessionTable::Decode(sessions));
  return state;
}

std::string EncodeClientState(const SessionTable& sessions, const StateChain& chain) {
  std::string out;
  PutFixed(out, kFormat);
  PutLengthPrefixed(out, chain.Encode());
  sessions.AppendTo(out);
  return out;
}

}  // namespace bedrock::storage
