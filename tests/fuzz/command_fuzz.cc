#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "proto/command.h"

// Whatever decodes must encode to a command, or a result, that decodes to the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bedrock;         // NOLINT: a function of one screen
  using namespace bedrock::proto;  // NOLINT
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (const Result<Command> command = DecodeCommand(input); command.ok()) {
    const std::string encoded = EncodeCommand(*command);
    CHECK(encoded.size() == EncodedCommandSize(*command));
    CHECK(DecodeCommand(encoded).value() == *command);
    (void)CheckCommand(*command, kValueBytesDefault);
  }
  if (const Result<CheckState> check = DecodeCheckState(input); check.ok()) {
    CHECK(!DecodeCommand(input).ok());
    CHECK(DecodeCheckState(EncodeCheckState(*check)).value() == *check);
  }
  if (const Result<CommandResult> result = DecodeCommandResult(input); result.ok()) {
    CHECK(DecodeCommandResult(EncodeCommandResult(*result)).value() == *result);
  }
  return 0;
}
