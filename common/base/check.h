#pragma once

#include <string_view>

namespace bedrock::internal {
/// Prints "file:line: CHECK failed: condition: message" to stderr and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              std::string_view message);
}  // namespace bedrock::internal

/// Ends the process where a promise that the code relies on is broken. On in every build: going on
/// with broken state is how data is lost. Never for input from outside, which gets a Status.
#define CHECK(condition) CHECK_MSG(condition, "")
/// CHECK with a sentence for whoever reads the crash.
#define CHECK_MSG(condition, message)                                              \
  do {                                                                             \
    if (!(condition)) [[unlikely]] {                                               \
      ::bedrock::internal::CheckFailed(__FILE__, __LINE__, #condition, (message)); \
    }                                                                              \
  } while (false)

/// CHECK for conditions that cost too much for production: on unless NDEBUG is defined.
#ifdef NDEBUG
#define DCHECK(condition) \
  do {                    \
    if (false) {          \
      (void)(condition);  \
    }                     \
  } while (false)
#else
#define DCHECK(condition) CHECK(condition)
#endif
