#pragma once

#include <string>

#include "bedrock/status.h"
#include "common/base/ids.h"
#include "common/env/file_system.h"

namespace bedrock::storage {

/// Whose data stand beside the file at `path`: "cluster 00000000000000c1 node n3\n".
///
/// Writes the file where it is missing. invalid_argument: the data belong to another cluster or
/// node, and entries of this one's log would be mixed into them. corruption: the file says nothing.
Status ClaimIdentity(FileSystem& file_system, const std::string& path, ClusterId cluster,
                     NodeId node);

}  // namespace bedrock::storage
