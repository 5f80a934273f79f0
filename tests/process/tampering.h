#pragma once

#include <string>
#include <string_view>

#include "bedrock/status.h"

namespace bedrock::test {

/// Gives a key of a storaged that is stopped another value, as a disk that lies or a wrong
/// compaction would: same version, right checksums, the applied index and everything else as they
/// are. `folder` is that of the engine; its data are rewritten, all in newest versions.
/// REQUIRES: the key is there; storaged was stopped in order, and has never installed a snapshot.
Status ChangeAtRest(const std::string& folder, std::string_view user_key, std::string_view value);

}  // namespace bedrock::test
