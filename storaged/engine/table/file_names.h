#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"

namespace bedrock::engine {

// The names in the engine's directory:
//   CURRENT          which MANIFEST counts
//   LOCK             held while the engine is open
//   RESERVE          zeros, to be given back when the disk is full
//   MANIFEST-000001  version edits
//   000002.sst       a table
//   000003.blob      large values
//   CURRENT.tmp      left by a crash
// MANIFESTs, tables and blob files draw their numbers from one sequence. Other names are not the
// engine's: it leaves them alone.

inline constexpr std::string_view kCurrentName = "CURRENT";
inline constexpr std::string_view kCurrentTemporaryName = "CURRENT.tmp";
inline constexpr std::string_view kLockName = "LOCK";
inline constexpr std::string_view kReserveName = "RESERVE";

std::string TableName(FileNumber number);
std::string BlobName(FileNumber number);
std::string ManifestName(FileNumber number);

struct ParsedName {
  enum class Kind { kTable, kBlob, kManifest };
  Kind kind;
  FileNumber number;
};
/// Nothing unless TableName, BlobName or ManifestName would give exactly this name.
std::optional<ParsedName> ParseName(std::string_view name);

}  // namespace bedrock::engine
