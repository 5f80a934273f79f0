#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "bedrock/result.h"
#include "common/env/file_system.h"

namespace bedrock::engine {

/// Reads ahead for a cursor that walks a file's blocks one after another: a system call fetches
/// many of them, twice as many each time, up to kWindowMax bytes. Borrows the file, which must not
/// change. One thread at a time.
class ReadAhead {
 public:
  enum class Direction : std::uint8_t { kForward, kBackward };

  static constexpr std::size_t kWindowMin = std::size_t{16} << 10;
  static constexpr std::size_t kWindowMax = std::size_t{128} << 10;

  /// Nothing at or behind `end` is fetched.
  ReadAhead(const File& file, std::uint64_t end) : file_(&file), file_end_(end) {}

  /// As file.ReadAt(offset, n, out). What fails of bytes that were not asked for goes unnoticed.
  Result<std::size_t> ReadAt(std::uint64_t offset, std::size_t n, char* out, Direction direction);
  /// What was fetched is wrong.
  void Forget() { begin_ = end_ = 0; }

 private:
  /// Whether the bytes are there now.
  bool Fetch(std::uint64_t offset, std::size_t n, Direction direction);

  const File* file_;
  std::uint64_t file_end_;
  std::size_t window_ = kWindowMin / 2;
  std::unique_ptr<char[]> bytes_;  // NOLINT: a buffer that is written over and over
  std::size_t capacity_ = 0;
  // Which bytes of the file these are: [begin, end).
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace bedrock::engine
