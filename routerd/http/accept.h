#pragma once

#include <string_view>

#include "routerd/http/format.h"

namespace bedrock::router {

/// How a client that sends this Accept (RFC 9110 12.5.1) wants what is JSON by nature: as msgpack
/// where it names that and likes it as well as JSON.
Format AcceptedFormat(std::string_view accept);
/// Whether it names application/x-ndjson and likes that as well as JSON and msgpack.
bool AcceptsStream(std::string_view accept);
/// What a body of this Content-Type is read as: msgpack where it says so, otherwise JSON, whatever
/// it says: many clients name a type that they did not think of.
Format FormatOfContent(std::string_view content_type);

}  // namespace bedrock::router
