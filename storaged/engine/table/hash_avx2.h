#pragma once

#include <cstddef>
#include <cstdint>

namespace bedrock::engine {

// XXH3 by AVX2 instructions, for hash.cc alone: the same numbers, twice as fast on long input. Its
// .cc is compiled for such processors, so it includes nothing whose inline functions might be
// linked into code for all. REQUIRES of all: the processor has AVX2.

std::uint64_t Xxh3Avx2(const char* bytes, std::size_t n, std::uint64_t seed);
/// `state` is an XXH3_state_t.
bool UpdateXxh3Avx2(void* state, const char* bytes, std::size_t n);

}  // namespace bedrock::engine
