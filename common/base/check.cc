#include "common/base/check.h"

#include <cstdio>
#include <cstdlib>

#include "bedrock/result.h"

namespace bedrock::internal {

void CheckFailed(const char* file, int line, const char* condition, std::string_view message) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s%s%.*s\n", file, line, condition,
               message.empty() ? "" : ": ", static_cast<int>(message.size()), message.data());
  std::abort();
}

void DieOnBadResultAccess(const Status& status) {
  std::fprintf(stderr, "value of a failed Result was taken: %s\n", status.ToString().c_str());
  std::abort();
}

}  // namespace bedrock::internal
