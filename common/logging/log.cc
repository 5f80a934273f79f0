#include "common/logging/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>

namespace bedrock::log {

namespace {

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
    case Level::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::err;
}

/// spdlog's pattern language has '%' as its only special character.
std::string EscapePattern(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    escaped += c;
    if (c == '%') escaped += '%';
  }
  return escaped;
}

std::shared_ptr<spdlog::logger> MakeLogger(std::string_view program, NodeId node, Level level) {
  auto logger =
      std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern(
      "%Y-%m-%dT%H:%M:%S.%eZ %l " + FormatNodeId(node) + " " + EscapePattern(program) + " %v",
      spdlog::pattern_time_type::utc);
  logger->set_level(ToSpdlog(level));
  logger->flush_on(spdlog::level::debug);
  return logger;
}

/// spdlog's own registry holds the process's logger; the first use puts ours there.
spdlog::logger& Logger() {
  static const bool installed = [] {
    spdlog::set_default_logger(MakeLogger("-", NodeId(), Level::kInfo));
    return true;
  }();
  static_cast<void>(installed);
  return *spdlog::default_logger_raw();
}

bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_-./:+@,;()[]*").find(c) != std::string_view::npos;
}

void AppendQuoted(std::string& line, std::string_view value) {
  static constexpr char kHex[] = "0123456789abcdef";
  line += '"';
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      line += "\\x";
      line += kHex[byte >> 4];
      line += kHex[byte & 15];
    } else {
      line += c;
    }
  }
  line += '"';
}

}  // namespace

Result<Level> ParseLevel(std::string_view text) {
  if (text == "debug") return Level::kDebug;
  if (text == "info") return Level::kInfo;
  if (text == "warning") return Level::kWarning;
  if (text == "error") return Level::kError;
  return Status::InvalidArgument("not a log level (debug, info, warning, error): '" +
                                 std::string(text) + "'");
}

void InitLogging(std::string_view program, NodeId node, Level level) {
  Logger();
  spdlog::set_default_logger(MakeLogger(program, node, level));
}

bool IsEnabled(Level level) { return Logger().should_log(ToSpdlog(level)); }

std::string FormatEvent(std::string_view event, std::initializer_list<Field> fields) {
  std::string line(event);
  for (const Field& field : fields) {
    line += ' ';
    line += field.key();
    line += '=';
    const std::string_view value = field.value();
    if (!value.empty() && std::all_of(value.begin(), value.end(), IsPlain)) {
      line += value;
    } else {
      AppendQuoted(line, value);
    }
  }
  return line;
}

void Log(Level level, std::string_view event, std::initializer_list<Field> fields) {
  spdlog::logger& logger = Logger();
  const spdlog::level::level_enum severity = ToSpdlog(level);
  if (!logger.should_log(severity)) return;
  logger.log(severity, spdlog::string_view_t(FormatEvent(event, fields)));
}

std::optional<std::uint64_t> RateLimit::Admit(std::uint64_t now_ms) {
  if (last_ms_ && now_ms - *last_ms_ < interval_ms_) {
    ++held_back_;
    return std::nullopt;
  }
  last_ms_ = now_ms;
  const std::uint64_t held_back = held_back_;
  held_back_ = 0;
  return held_back;
}

}  // namespace bedrock::log
