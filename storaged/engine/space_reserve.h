#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "bedrock/status.h"
#include "common/env/file_system.h"

namespace bedrock::engine {

/// A file of zeros, kept so that there is something to be given back when the disk is full: with
/// its space what is in memory can still be flushed, and what was deleted be compacted away. One
/// thread at a time.
class SpaceReserve {
 public:
  /// A file of the same name from an earlier life counts, if it has the right size.
  SpaceReserve(FileSystem& file_system, const std::string& directory, std::uint64_t bytes);

  /// Whether it is all there; always where it has no bytes.
  bool whole() const { return written_ == bytes_; }
  /// Writes the next kStepBytes. Not before there is twice as much room as it takes: no_space. An
  /// error leaves nothing behind.
  Status Grow();
  /// Gives its space back.
  void Release();

  static constexpr std::uint64_t kStepBytes = std::uint64_t{1} << 20;

 private:
  Status Write();

  FileSystem& file_system_;
  const std::string directory_;
  const std::string path_;
  const std::uint64_t bytes_;
  std::uint64_t written_ = 0;
  std::unique_ptr<File> file_;  ///< While it grows.
};

}  // namespace bedrock::engine
