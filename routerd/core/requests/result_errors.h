#pragma once

#include <string>
#include <string_view>

#include "proto/command.h"
#include "proto/errors.h"

namespace bedrock::router {

/// What the client is told of a command's result: the replicated result holds positions and keys,
/// the sentences are made here. `encoded` is the command (its views need not outlive the call). kOk
/// for kOk.
proto::Error ErrorOf(const proto::CommandResult& result, std::string_view encoded);

/// A key as a sentence shows it: quoted, bytes that are not printable ASCII as \xNN, cut off after
/// 64 bytes.
std::string QuotedKey(std::string_view key);

}  // namespace bedrock::router
