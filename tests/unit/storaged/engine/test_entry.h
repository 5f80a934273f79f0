#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "storaged/engine/keys/internal_key.h"

namespace bedrock::engine {

struct TestEntry {
  InternalKey key;
  std::string value;
};

inline void SortEntries(std::vector<TestEntry>& entries) {
  std::sort(entries.begin(), entries.end(),
            [](const TestEntry& a, const TestEntry& b) { return a.key.view() < b.key.view(); });
}

}  // namespace bedrock::engine
