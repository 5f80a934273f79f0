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

}  // namespace bedrock::router
