#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace bedrock::engine {

/// XXH3-64 of the bytes. On disk: the function never changes.
std::uint64_t Hash64(std::string_view bytes, std::uint64_t seed = 0);

/// Hash64 of bytes that come piece by piece.
class StreamingHash64 {
 public:
  StreamingHash64();
  ~StreamingHash64();
  void Update(std::string_view bytes);
  std::uint64_t Digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bedrock::engine
