#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/ids.h"
#include "common/env/file_system.h"
#include "proto/storage_messages.h"

namespace bedrock::storage {

// What a snapshot consists of travels as proto::SnapshotManifest, and stands beside its files, at
// the source and at the receiver, so that both go on after a restart where they were:
//
//   SNAPSHOT   0  8  magic "BRSNAPSH"
//              8  4  format version, 1
//              12 4  CRC-32C of what follows
//              16 8  id
//              24 8  index of the last entry in it
//              32 8  that entry's term
//              40    count of files, varint; then each: length of its name and the name, size,
//                    hashed: varints; hash: 8 bytes
//
// All numbers little-endian. It is written with ReplaceFile: whole, or not there.

inline constexpr std::string_view kSnapshotFileName = "SNAPSHOT";

using proto::SnapshotId;
using proto::SnapshotManifest;

/// Whether a manifest can be that of a snapshot: its files are a database's and nothing else, by
/// name, of sizes that add up. invalid_argument says what is not so. Any manifest may come in; what
/// passes names no file outside its folder.
Status CheckManifest(const SnapshotManifest& manifest);

/// Of all files. REQUIRES: CheckManifest is ok.
std::uint64_t BytesOf(const SnapshotManifest& manifest);

std::string EncodeManifest(const SnapshotManifest& manifest);
/// corruption: no manifest, or one that CheckManifest refuses.
Result<SnapshotManifest> DecodeManifest(std::string_view bytes);

/// The manifest beside a snapshot's files. not_found: there is none.
Result<SnapshotManifest> ReadManifest(FileSystem& file_system, const std::string& folder);
Status WriteManifest(FileSystem& file_system, const std::string& folder,
                     const SnapshotManifest& manifest);

/// Describes the engine's checkpoint in `folder`, under `id`. Reads its MANIFEST alone: the hashes
/// of tables and blobs were made when they were built, so that what has rotted since is found.
/// corruption: also where a table is known to be damaged here.
Result<SnapshotManifest> DescribeCheckpoint(FileSystem& file_system, const std::string& folder,
                                            SnapshotId id);

/// What SnapshotChunk::hash has to be: a chunk that went astray differs, too.
std::uint64_t HashOf(const proto::SnapshotChunk& chunk);

/// Removes a folder and the files in it, as far as the disk lets it: CURRENT first and durably, so
/// that what any crash leaves is no database. Fine where there is none.
Status RemoveFolder(FileSystem& file_system, const std::string& folder);

}  // namespace bedrock::storage
