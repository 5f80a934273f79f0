#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "storaged/core/client_state.h"
#include "storaged/core/session_table.h"
#include "storaged/core/state_chain.h"

namespace bedrock::storage {
namespace {

/// Whatever decodes keeps the table's rules: it comes back from its encoding, and goes on working.
void Exercise(std::string_view input) {
  auto table = SessionTable::Decode(input);
  if (!table.ok()) {
    CHECK(table.status().IsCorruption());
    return;
  }
  const auto again = SessionTable::Decode(table->Encode());
  CHECK(again.ok());
  CHECK(*again == *table);
  CHECK(table->session_count() <= kSessionsMax && table->reply_count() <= kRepliesMax);

  const SessionId session(1);
  if (table->Enter(session, 5, 3).verdict == SessionTable::Verdict::kNew) {
    table->Record(session, 5, 3, proto::CommandResult());
    CHECK(table->Enter(session, 5, 3).verdict == SessionTable::Verdict::kKnown);
  }
  for (std::uint64_t time = UINT64_MAX / 2; time < UINT64_MAX / 2 + 20 * kSessionIdleMsMax;
       time += kSessionClockStepMsMax) {
    table->AdvanceTime(time);
  }
}

/// The chain of states, and both in the engine's client state.
void ExerciseClientState(std::string_view input) {
  if (auto chain = StateChain::Decode(input); chain.ok() && !input.empty()) {
    CHECK(StateChain::Decode(chain->Encode()).value() == *chain);
    CHECK(chain->checks().size() <= raft::kStateChecksMax);
    chain->Add(LogIndex(UINT64_MAX), proto::ErrorCode::kOk, input);
    chain->AddCheck(LogIndex(UINT64_MAX), {.from = {}, .bytes_max = 1}, StateSlice());
    CHECK(chain->checked() == LogIndex(UINT64_MAX));
  }
  const auto state = DecodeClientState(input);
  if (!state.ok()) {
    CHECK(state.status().IsCorruption());
    return;
  }
  const auto again = DecodeClientState(EncodeClientState(state->sessions, state->chain));
  CHECK(again.ok() && again->sessions == state->sessions && again->chain == state->chain);
}

}  // namespace
}  // namespace bedrock::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bedrock::storage::Exercise({reinterpret_cast<const char*>(data), size});
  bedrock::storage::ExerciseClientState({reinterpret_cast<const char*>(data), size});
  return 0;
}
