#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/codec/coding.h"
#include "common/codec/crc32c.h"
#include "routerd/http/page_token.h"
#include "routerd/http/text.h"

// Page tokens from any bytes. With a first byte of 1 the checksum is put right, so that the fields
// behind it are reached.

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bedrock;
  using namespace bedrock::router;
  if (size == 0) return 0;
  std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 1) {
    PutFixed(text, Crc32c(text));
    text = Base64Url(text);
  }
  const auto token = DecodePageToken(text);
  if (!token) return 0;
  CHECK(token->version.value() != 0);
  CHECK(CheckRange(token->rest.start, token->rest.end).ok());
  CHECK(EncodePageToken(*token) == text);
  return 0;
}
