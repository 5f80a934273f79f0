#pragma once

#include <string>

#include "bedrock/status.h"
#include "common/env/file_system.h"
#include "storaged/engine/manifest/version_edit.h"

namespace bedrock::engine {

/// Makes a database in `to`, which must not exist, out of the files in `from` that `state` names:
/// hard links where the file system is the same, copies elsewhere; a MANIFEST of one edit, and
/// CURRENT, written last, so that what a crash leaves is not taken for a database. All of it is
/// durable when it returns ok. After an error what was made is removed, as far as the disk lets it.
///
/// The files must stay meanwhile (VersionSet::FileHold). invalid_argument: `to` exists.
Status MakeCheckpoint(FileSystem& file_system, const std::string& from, const std::string& to,
                      const ManifestState& state);

}  // namespace bedrock::engine
