#include "storaged/engine/table/hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "common/env/random.h"

namespace bedrock::engine {
namespace {

TEST(HashTest, IsXxh3ForEver) {
  // As the reference implementation gives them, for bytes 0, 7, 14, …: no seed, and seed 99.
  struct Golden {
    std::size_t bytes;
    std::uint64_t plain;
    std::uint64_t seeded;
  };
  const Golden goldens[] = {
      {0, 0x2d06800538d394c2, 0xb32460eae9511fc4},
      {1, 0xc44bdff4074eecdb, 0x5daed7009ac3064f},
      {16, 0x9da23836adf2be1e, 0x99b62926032771fe},
      {240, 0x4917a75c0ef8eed7, 0x1d42a637464894a5},
      {241, 0x541b19226f0052e8, 0x162847d2a2be1fd8},
      {1000, 0x10ad30264426c830, 0x2101a5e4a2054734},
      {5000, 0x6abe8be5abcb2760, 0x9404f48116f103c6},
  };
  for (const Golden& golden : goldens) {
    std::string bytes;
    for (std::size_t i = 0; i < golden.bytes; ++i) bytes += static_cast<char>(i * 7);
    EXPECT_EQ(Hash64(bytes), golden.plain) << golden.bytes;
    EXPECT_EQ(Hash64(bytes, 99), golden.seeded) << golden.bytes;
    Random random(golden.bytes);
    StreamingHash64 pieces;
    for (std::string_view rest = bytes; !rest.empty();) {
      const std::size_t n = std::min(rest.size(), random.Below(700));
      pieces.Update(rest.substr(0, n));
      rest.remove_prefix(n);
    }
    EXPECT_EQ(pieces.Digest(), golden.plain) << golden.bytes;
  }
}

}  // namespace
}  // namespace bedrock::engine
