#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "storaged/engine/keys/range_tombstones.h"

// A table's range tombstones: any bytes are refused or are the one encoding of a set, and pieces of
// it put together are the set.

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bedrock;
  using namespace bedrock::engine;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto set = FragmentedTombstones::Decode(text);
  if (!set.ok()) return 0;
  CHECK(set->Encode() == text);
  for (std::size_t i = 0; i < set->size(); ++i) {
    const auto one = set->fragment(i);
    CHECK(set->FindFragment(one.begin) == i);
    CHECK(set->Covering(one.begin, kVersionMax) == one.versions.front());
    CHECK(set->Covering(one.begin, one.versions.back().Prev()) == Version());
    if (i > 16) continue;
    const FragmentedTombstones left = set->Clip("", one.begin);
    const FragmentedTombstones right = set->Clip(one.begin, "");
    // An empty end has no end: there is nothing left of the empty key.
    if (one.begin.empty()) continue;
    const std::array<const FragmentedTombstones*, 2> pieces = {&left, &right};
    CHECK(FragmentedTombstones::Merge(pieces) == *set);
  }
  return 0;
}
