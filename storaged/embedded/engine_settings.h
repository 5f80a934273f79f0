#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "bedrock/options.h"
#include "storaged/engine/engine.h"

namespace bedrock::embedded {

/// How much waits in memory at most: the memtable that is written to and those behind it.
inline constexpr std::size_t kMemtablesMax = 4;

/// What the options of a database mean for its engine. The budget's fourth for memtables is for
/// kMemtablesMax of them, an eighth is given to nobody (buffers at work, the log's mapped files),
/// the rest is for blocks and what is held of tables, unless one of the two is fixed apart.
/// REQUIRES: options.Validate().ok().
engine::EngineOptions EngineSettings(const std::string& directory, const Options& options);

/// The size of a file of the write-ahead log, 256 KiB to 64 MiB: a quarter of a memtable, so that
/// what is kept of the log stays close to what the memtables hold, and of whole huge pages where it
/// is as large. Files are kept until all of their commits are in tables.
std::uint64_t LogSegmentBytes(std::size_t memtable_bytes);

}  // namespace bedrock::embedded
