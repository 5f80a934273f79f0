#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bedrock::engine {

// Heads: the first bytes of a key as a number that sorts as the bytes do, so that most comparisons
// of keys are comparisons of numbers. Shorter keys are filled up with zeros; so a head that is
// below another one tells the order of the keys, an equal one does not.

/// The first four bytes, signed: vector instructions compare signed numbers.
std::int32_t Head32(std::string_view key);
/// The first eight bytes.
std::uint64_t Head64(std::string_view key);

/// How many of `n` sorted heads are below `head`: its lower bound. REQUIRES: kHeadsPadding numbers
/// behind them can be read.
std::size_t LowerBound32(const std::int32_t* heads, std::size_t n, std::int32_t head);
inline constexpr std::size_t kHeadsPadding = 8;
/// The first of `n` sorted heads that is above `head`, looked for from `from` on.
std::size_t UpperBound32(const std::int32_t* heads, std::size_t from, std::size_t n,
                         std::int32_t head);

std::size_t LowerBound64(const std::uint64_t* heads, std::size_t n, std::uint64_t head);
std::size_t UpperBound64(const std::uint64_t* heads, std::size_t from, std::size_t n,
                         std::uint64_t head);

}  // namespace bedrock::engine
