#pragma once

#include <memory>
#include <string>

#include "bedrock/result.h"
#include "common/env/file_system.h"
#include "storaged/engine/manifest/manifest_log.h"
#include "storaged/engine/manifest/table_set.h"
#include "storaged/engine/manifest/version_edit.h"

namespace bedrock::engine {

/// A directory brought back to life.
struct Recovered {
  std::unique_ptr<FileLock> lock;
  ManifestState state;
  std::unique_ptr<ManifestWriter> manifest;  ///< Null where the disk is full.
  std::shared_ptr<const TableSet> tables;
};

/// Opens the directory, made where missing: takes LOCK, adds up what CURRENT names, opens every
/// live table, begins a new MANIFEST, and only then removes the engine's files that nothing names.
///
/// unavailable: another process has it. corruption: it must not be served; nothing was changed. A
/// directory without CURRENT is new only where nothing in it can be of a database.
///
/// A full disk must not keep a database from being read: without space for the new MANIFEST it is
/// opened all the same, nothing is removed, and the first commit has to begin a MANIFEST. A new
/// database needs the space, though.
Result<Recovered> Recover(FileSystem& file_system, const std::string& directory,
                          const std::shared_ptr<BlockCache>& cache);

}  // namespace bedrock::engine
