#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/ids.h"

namespace bedrock::router {

/// A reply on its way out. Borrows its texts.
struct Reply {
  int status = 200;
  bool head_only = false;  ///< HEAD: the body is counted, not sent.
  bool keep_alive = true;
  bool streamed = false;          ///< The body comes after the header, in pieces: see AppendPiece.
  int minor_version = 1;          ///< Of the request.
  std::string_view content_type;  ///< Empty: none is named.
  std::string_view body;
  std::string_view request_id;
  std::string_view date;   ///< As RFC 9110 5.6.7 spells it.
  std::string_view allow;  ///< Empty: absent; likewise below.
  std::string_view location;
  bool retry_after = false;
  Version etag;
  Version version;
  NodeId served_by;
  NodeId leader;
};

/// Appends the reply to a connection's buffer: header and body in one piece, so that one write
/// sends both.
void AppendReply(const Reply& reply, std::string* out);

/// Appends a piece of a streamed body: a chunk (RFC 9112 7.1), or the bytes as they are for
/// HTTP/1.0, where the connection's end is the body's. An empty piece is nothing.
void AppendPiece(std::string_view piece, int minor_version, std::string* out);
/// Appends what ends a streamed body.
void AppendLastPiece(int minor_version, std::string* out);

/// "Sun, 22 Nov 2026 11:33:53 GMT" for milliseconds since 1970.
std::string FormatHttpDate(std::uint64_t wall_ms);

}  // namespace bedrock::router
