#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "proto/command.h"
#include "routerd/http/txn_request.h"

// The body of a transaction from any bytes, as JSON or msgpack: it is refused with a reason, or
// what it gives passes the check that every command passes, up to its size as a whole.

namespace bedrock::router {
namespace {

constexpr std::uint64_t kValueMax = 64;

void CheckTxn(std::string_view body, Format format) {
  TxnRequest request;
  const proto::Error error = ParseTxn(body, format, kValueMax, &request);
  if (!error.ok()) {
    CHECK(!error.detail.empty());
    return;
  }
  proto::Command command;
  command.session = SessionId(1);
  command.sequence = 1;
  command.conditions = request.conditions;
  command.operations = request.then;
  command.otherwise = request.otherwise;
  CHECK(proto::CheckCommand(command, kValueMax).ok());
  CHECK(request.then.size() == request.then_limited.size());
  CHECK(request.otherwise.size() == request.otherwise_limited.size());
}

}  // namespace
}  // namespace bedrock::router

// The input: a byte for the format and the kind of body, then the body.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bedrock;
  using namespace bedrock::router;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Format format = (data[0] & 1) != 0 ? Format::kMessagePack : Format::kJson;
  if ((data[0] & 2) == 0) {
    CheckTxn(body, format);
    return 0;
  }
  proto::TransactionOptions options;
  if (ParseTransactionOptions(body, format, &options).ok()) {
    CHECK(options.timeout_ms <= kTransactionTimeoutMsMax);
    CHECK(options.idle_timeout_ms <= kTransactionIdleMsMax);
    CHECK(options.lock_timeout_ms <= kTransactionLockMsMax);
  }
  Version version;
  if (ParseCompact(body, format, &version).ok()) CHECK(version.value() != 0);
  return 0;
}
