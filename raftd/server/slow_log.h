#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "raftd/log/raft_log.h"

namespace bedrock::raft {

/// A log whose syncs take `delay_ms` longer: shows on a fast disk how a slow one behaves
/// (--sync-delay-ms). `sleep_ms` blocks the calling thread.
std::unique_ptr<RaftLog> MakeSlowLog(std::unique_ptr<RaftLog> log, std::uint64_t delay_ms,
                                     std::function<void(std::uint64_t)> sleep_ms);

}  // namespace bedrock::raft
