#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "storaged/core/session_table.h"

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

}  // namespace
}  // namespace bedrock::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bedrock::storage::Exercise({reinterpret_cast<const char*>(data), size});
  return 0;
}
