#include "routerd/http/reply.h"

#include <array>
#include <charconv>
#include <cstddef>

namespace bedrock::router {
namespace {

std::string_view Reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 507:
      return "Insufficient Storage";
    default:
      return "Status";
  }
}

void AppendNumber(std::uint64_t number, std::string* out) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out->append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

void AppendField(std::string_view name, std::string_view value, std::string* out) {
  if (value.empty()) return;
  out->append(name).append(": ").append(value).append("\r\n");
}

void AppendNode(std::string_view name, NodeId node, std::string* out) {
  if (!node) return;
  out->append(name).append(": n");
  AppendNumber(node.value(), out);
  out->append("\r\n");
}

/// How the client finds the body's end.
void AppendFraming(const Reply& reply, std::string* out) {
  if (reply.streamed) {
    if (reply.minor_version != 0) out->append("Transfer-Encoding: chunked\r\n");
    return;
  }
  out->append("Content-Length: ");
  AppendNumber(reply.body.size(), out);
  out->append("\r\n");
}

}  // namespace

void AppendReply(const Reply& reply, std::string* out) {
  out->append("HTTP/1.1 ");
  AppendNumber(static_cast<std::uint64_t>(reply.status), out);
  out->append(" ").append(Reason(reply.status)).append("\r\n");
  AppendField("Date", reply.date, out);
  if (!reply.keep_alive) {
    out->append("Connection: close\r\n");
  } else if (reply.minor_version == 0) {
    out->append("Connection: keep-alive\r\n");
  }
  AppendField("Allow", reply.allow, out);
  AppendField("Location", reply.location, out);
  if (reply.retry_after) out->append("Retry-After: 1\r\n");
  if (reply.etag) {
    out->append("ETag: \"");
    AppendNumber(reply.etag.value(), out);
    out->append("\"\r\n");
  }
  AppendField("X-Bedrock-Request-Id", reply.request_id, out);
  if (reply.version) {
    out->append("X-Bedrock-Version: ");
    AppendNumber(reply.version.value(), out);
    out->append("\r\n");
  }
  AppendNode("X-Bedrock-Served-By", reply.served_by, out);
  AppendNode("X-Bedrock-Leader", reply.leader, out);
  const bool bodiless = reply.status == 204 || reply.status == 304;  // RFC 9110 6.4.1
  if (!bodiless) {
    if (!reply.content_type.empty()) {
      AppendField("Content-Type", reply.content_type, out);
      out->append("X-Content-Type-Options: nosniff\r\n");
    }
    AppendFraming(reply, out);
  }
  out->append("\r\n");
  if (!bodiless && !reply.head_only) out->append(reply.body);
}

void AppendPiece(std::string_view piece, int minor_version, std::string* out) {
  if (piece.empty()) return;
  if (minor_version == 0) {
    out->append(piece);
    return;
  }
  std::array<char, 16> digits;
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), piece.size(), 16).ptr;
  out->append(digits.data(), static_cast<std::size_t>(end - digits.data()));
  out->append("\r\n").append(piece).append("\r\n");
}

void AppendLastPiece(int minor_version, std::string* out) {
  if (minor_version != 0) out->append("0\r\n\r\n");
}

std::string FormatHttpDate(std::uint64_t wall_ms) {
  constexpr std::array<std::string_view, 7> kDays = {"Thu", "Fri", "Sat", "Sun",
                                                     "Mon", "Tue", "Wed"};
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::uint64_t seconds = wall_ms / 1000;
  const std::uint64_t days = seconds / 86'400;
  // Days since 0000-03-01 in eras of 400 years, so that a leap day ends its year.
  const std::uint64_t shifted = days + 719'468;
  const std::uint64_t era = shifted / 146'097;
  const std::uint64_t of_era = shifted % 146'097;
  const std::uint64_t year_of_era =
      (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::uint64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::uint64_t shifted_month = (5 * of_year + 2) / 153;
  const std::uint64_t day = of_year - (153 * shifted_month + 2) / 5 + 1;
  const std::uint64_t month = (shifted_month + 2) % 12;
  const std::uint64_t year = year_of_era + era * 400 + (month <= 1 ? 1 : 0);
  const auto pad = [](std::uint64_t number) {
    return (number < 10 ? "0" : "") + std::to_string(number);
  };
  std::string text;
  text.append(kDays[days % 7]).append(", ").append(pad(day)).append(" ");
  text.append(kMonths[month]).append(" ").append(std::to_string(year)).append(" ");
  text.append(pad(seconds / 3600 % 24)).append(":").append(pad(seconds / 60 % 60)).append(":");
  text.append(pad(seconds % 60)).append(" GMT");
  return text;
}

}  // namespace bedrock::router
