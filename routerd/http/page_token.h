#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "routerd/http/key_range.h"

namespace bedrock::router {

/// Where a scan goes on, and at which version: what `next` of a page and `page=` of a request hold,
/// as text that clients do not look into.
///
/// Not a secret and no proof of anything: who changes one can only read what he could have asked
/// for anyhow. The checksum is for cut and mistyped ones.
///
///   base64url of: byte layout (1) | byte flags | varint version
///                 | varint bytes, start of the rest | varint bytes that the end shares with that
///                 | varint bytes, the end's others
///                 | fixed32 CRC-32C of the whole scan's bounds | fixed32 CRC-32C of all before
///
/// flags: 1 reverse, 2 keys only, 4 inside a transaction.
struct PageToken {
  Version version;
  KeyRange rest;
  bool reverse = false;
  bool keys_only = false;
  bool in_transaction = false;
  std::uint32_t bounds_check = 0;  ///< BoundsCheck of the whole scan's range.

  friend bool operator==(const PageToken&, const PageToken&) = default;
};

/// Tells the bounds of one scan from those of another.
std::uint32_t BoundsCheck(const KeyRange& range);

std::string EncodePageToken(const PageToken& token);
/// nullopt for whatever EncodePageToken did not make.
std::optional<PageToken> DecodePageToken(std::string_view text);

}  // namespace bedrock::router
