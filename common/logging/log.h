#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/ids.h"

namespace bedrock::log {

enum class Level : std::uint8_t {
  kDebug,
  kInfo,
  kWarning,
  kError,
  kOff,  ///< Of no line: drops all of them. For simulators, which have nobody to tell.
};

/// Takes "debug", "info", "warning", "error"; else invalid_argument.
Result<Level> ParseLevel(std::string_view text);

/// One key=value of a line. A value with anything but letters, digits and plain punctuation is
/// quoted and escaped, so that no input can forge a line or a field.
class Field {
 public:
  Field(std::string_view key, std::string_view value) : key_(key), value_(value) {}
  Field(std::string_view key, const char* value) : key_(key), value_(value) {}
  Field(std::string_view key, const std::string& value) : key_(key), value_(value) {}
  Field(std::string_view key, bool value) : key_(key), value_(value ? "true" : "false") {}
  Field(std::string_view key, NodeId value) : key_(key), value_(FormatNodeId(value)) {}
  Field(std::string_view key, const Status& value) : key_(key), value_(value.ToString()) {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) Field(std::string_view key, T value)
      : key_(key), value_(std::to_string(value)) {}
  template <typename Tag>
  Field(std::string_view key, StrongId<Tag> value)
      : key_(key), value_(std::to_string(value.value())) {}

  std::string_view key() const { return key_; }
  std::string_view value() const { return value_; }

 private:
  std::string_view key_;  // a literal, or lives as long as the call
  std::string value_;
};

/// From now on every line of this process carries `program` and `node` and lines below `level` are
/// dropped. Once, first thing in main; before it, lines go out as program "-".
void InitLogging(std::string_view program, NodeId node, Level level);

/// Whether lines of this level go out: asked before building costly fields.
bool IsEnabled(Level level);

/// Writes one line to stderr:
///
///   2026-11-22T11:33:53.123Z warning n1 raftd storage is unavailable since_ms=250 error="io_error:
///   …"
///
/// Any thread. `event` is a constant phrase that can be searched for; what varies goes into fields.
void Log(Level level, std::string_view event, std::initializer_list<Field> fields = {});

inline void Debug(std::string_view event, std::initializer_list<Field> fields = {}) {
  Log(Level::kDebug, event, fields);
}
inline void Info(std::string_view event, std::initializer_list<Field> fields = {}) {
  Log(Level::kInfo, event, fields);
}
inline void Warning(std::string_view event, std::initializer_list<Field> fields = {}) {
  Log(Level::kWarning, event, fields);
}
inline void Error(std::string_view event, std::initializer_list<Field> fields = {}) {
  Log(Level::kError, event, fields);
}

/// The text of a line after its prefix: "event key=value key="quoted value"". For tests.
std::string FormatEvent(std::string_view event, std::initializer_list<Field> fields);

/// Lets one line of a repeated event through per interval and counts the rest:
///
///   if (const auto repeats = limit_.Admit(clock.MonotonicMs()))
///     log::Warning("frame refused", {{"repeats", *repeats}});
///
/// A pure value; one thread.
class RateLimit {
 public:
  explicit RateLimit(std::uint64_t interval_ms = 1000) : interval_ms_(interval_ms) {}

  /// How many were held back since the last one let through; none: hold this one back, too.
  std::optional<std::uint64_t> Admit(std::uint64_t now_ms);

 private:
  std::uint64_t interval_ms_;
  std::optional<std::uint64_t> last_ms_;
  std::uint64_t held_back_ = 0;
};

}  // namespace bedrock::log
