#pragma once

// Included ahead of every file of the mutated tree (tests/mutants/README.md); the product's own
// build never sees it.

#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <type_traits>

namespace bedrock::mutants {

/// FNV-1a, so that a mutant more or less changes no other file.
constexpr std::uint64_t IdOf(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

inline std::uint64_t ChosenId() {
  const char* name = std::getenv("BEDROCK_MUTANT");
  return name == nullptr ? 0 : IdOf(name);
}

/// The one that this process runs; 0: none, and the program is what it is.
inline const std::uint64_t chosen = ChosenId();

}  // namespace bedrock::mutants

/// Whether the process runs the mutant of this name.
#define BEDROCK_MUTANT(name)     \
  (::bedrock::mutants::chosen == \
   std::integral_constant<std::uint64_t, ::bedrock::mutants::IdOf(#name)>::value)
