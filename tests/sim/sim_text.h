#pragma once

#include <sstream>
#include <string>

#include "common/base/ids.h"

namespace bedrock::sim {

/// Joins what it is given into one text.
template <typename... Parts>
std::string Text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

inline std::string Name(NodeId node) { return FormatNodeId(node); }

}  // namespace bedrock::sim
