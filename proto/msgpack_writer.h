#pragma once

#include <cstddef>
#include <msgpack.hpp>
#include <string>

namespace bedrock::proto {

// Private to proto/: what msgpack::packer writes to.

/// Appends to a string that it borrows.
class StringSink {
 public:
  explicit StringSink(std::string& out) : out_(out) {}
  void write(const char* data, std::size_t size) { out_.append(data, size); }

 private:
  std::string& out_;
};

/// Counts what would be written.
class CountingSink {
 public:
  void write(const char* /*data*/, std::size_t size) { size_ += size; }
  std::size_t size() const { return size_; }

 private:
  std::size_t size_ = 0;
};

}  // namespace bedrock::proto
