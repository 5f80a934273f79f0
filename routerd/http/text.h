#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/base/typed_bool.h"

namespace bedrock::router {

using PlusIsSpace = TypedBool<struct PlusIsSpaceTag>;

/// Decodes %XX once (RFC 3986 2.1), and in forms a "+" as a space. nullopt for a "%" that two hex
/// digits do not follow.
std::optional<std::string> PercentDecode(std::string_view text, PlusIsSpace plus);

bool EqualsIgnoringCase(std::string_view a, std::string_view b);

/// Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool IsUtf8(std::string_view bytes);

std::string Base64(std::string_view bytes);
/// nullopt where it is not base64 as Base64() spells it: padded, without blanks, and with no bits
/// set that stand for nothing.
std::optional<std::string> DecodeBase64(std::string_view text);

/// The alphabet that needs no escapes in a URL, without padding (RFC 4648 5).
std::string Base64Url(std::string_view bytes);
std::optional<std::string> DecodeBase64Url(std::string_view text);

}  // namespace bedrock::router
