#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "proto/command.h"
#include "proto/errors.h"
#include "proto/raft_messages.h"

namespace bedrock::proto {

// ---- raftd and its storaged ----

/// Where the reply to a command goes: the routing id of the router that proposed it, and its
/// request.
struct ReplyTo {
  std::string router;  ///< Empty: nobody waits (the entry came from another node or another life).
  RequestId request;

  friend bool operator==(const ReplyTo&, const ReplyTo&) = default;
};

/// raftd to storaged: committed and locally durable entries, in order, contiguous from
/// `entries.front()`. Entries at or below storaged's applied index are skipped; a gap is answered
/// with ApplyProgress alone.
struct Apply {
  struct Item {
    raft::Entry entry;
    ReplyTo reply_to;

    friend bool operator==(const Item&, const Item&) = default;
  };
  std::vector<Item> items;  ///< Empty: asks for an ApplyProgress.

  friend bool operator==(const Apply&, const Apply&) = default;
};

/// storaged to raftd: after every Apply, after every flush, and as the answer to an empty Apply.
struct ApplyProgress {
  LogIndex applied;          ///< In memory.
  LogIndex durable_applied;  ///< In its files: the log below may go.
  ErrorCode health =
      ErrorCode::kOk;  ///< kStorageFull or kStorageUnavailable where it cannot take writes.

  friend bool operator==(const ApplyProgress&, const ApplyProgress&) = default;
};

// ---- routerd and any storaged ----

/// Reads a key at the newest applied version, once the node has applied `min_version`.
struct Get {
  Bytes key;
  Version min_version;  ///< 0: whatever is applied (a stale read).

  friend bool operator==(const Get&, const Get&) = default;
};

struct GetReply {
  Error error;  ///< kOk also where the key is absent.
  bool found = false;
  Bytes value;
  Version version;       ///< Of the key; 0 where absent.
  Version read_version;  ///< The applied version that was read.

  friend bool operator==(const GetReply&, const GetReply&) = default;
};

/// storaged to the router that proposed a command, once it is applied.
struct CommandReply {
  CommandResult result;

  friend bool operator==(const CommandReply&, const CommandReply&) = default;
};

struct StorageStatusQuery {
  friend bool operator==(const StorageStatusQuery&, const StorageStatusQuery&) = default;
};

struct StorageStatus {
  LogIndex applied;
  LogIndex durable_applied;
  ErrorCode health = ErrorCode::kOk;
  std::string detail;  ///< Why it is not healthy.
  std::string software;

  friend bool operator==(const StorageStatus&, const StorageStatus&) = default;
};

}  // namespace bedrock::proto
