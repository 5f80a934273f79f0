#pragma once

#include <string>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/ids.h"
#include "common/env/file_system.h"
#include "raftd/core/types.h"

namespace bedrock::raft {

// The file `members`: the newest configuration whose entry the log may have dropped. Replaced as a
// whole, durably, before that entry goes; those of later entries are found in the log.
//
//   0  8 magic           12 4 format      24 8 node
//   8  4 crc of 12..end  16 8 cluster     32 8 index of the entry that held it; 0: none did
//                                         40 … the configuration (raftd/core/membership.h)

/// Until this returns ok either content may be found; never a mixture.
Status WriteMembershipFile(FileSystem& file_system, const std::string& path, ClusterId cluster,
                           NodeId node, const MembershipChange& content);
/// corruption where it can't be read as it was written, or is another cluster's or node's.
Result<MembershipChange> ReadMembershipFile(FileSystem& file_system, const std::string& path,
                                            ClusterId cluster, NodeId node);

}  // namespace bedrock::raft
