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
std::string Describe(Reconfiguring result);
/// "{1 2 3}", joint "{1 2 4 | 1 2 3}", then what else there is.
std::string Describe(const Membership& membership);
/// One line for each thing to do, indented; nothing for an empty output.
std::string Describe(const Output& output);
std::string Describe(const View& view);

}  // namespace bedrock::raft
