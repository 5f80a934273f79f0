#pragma once

#include <string>

#include "proto/raft_messages.h"
#include "raftd/core/raft.h"

namespace bedrock::raft {

// The core's values as text: stable, complete and short, for scripts and for comparing runs.

std::string Describe(const Message& message);
std::string Describe(const Entry& entry);
std::string Describe(Role role);
std::string Describe(Refused reason);
std::string Describe(Transferring result);
/// One line for each thing to do, indented; nothing for an empty output.
std::string Describe(const Output& output);
std::string Describe(const View& view);

}  // namespace bedrock::raft
