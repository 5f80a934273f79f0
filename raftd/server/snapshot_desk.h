#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/base/ids.h"
#include "common/config/node_config.h"
#include "common/logging/log.h"
#include "proto/storage_messages.h"
#include "raftd/core/raft.h"
#include "raftd/server/outgoing_frames.h"
#include "raftd/server/peers.h"

namespace bedrock::raft {

/// Sees to it that the own storaged fetches the snapshots that the core wants: says which, again
/// and again as long as it is wanted, and tells the core how that goes. What storaged has become
/// then, it says by its ApplyProgress.
///
/// Knows no socket or clock; one thread. Borrows the core, the peers and the frames.
class SnapshotDesk {
 public:
  /// Between two wishes: an answer is lost, or an attempt has failed.
  static constexpr std::uint64_t kRepeatMs = 500;

  SnapshotDesk(Raft& core, Peers& peers, OutgoingFrames& frames)
      : core_(core), peers_(peers), frames_(frames) {}

  /// The core's wish has changed.
  void OnWanted(const SnapshotWanted& wanted);
  void OnProgress(const proto::FetchProgress& progress, std::uint64_t now_ms);
  /// Says what is due. Once a turn.
  void Step(std::uint64_t now_ms);

  bool wanted() const { return static_cast<bool>(wanted_.at_least); }
  /// Where the snapshot that is being fetched ends; 0: none is, or it isn't known yet.
  LogIndex installing() const { return installing_; }

 private:
  /// Who the core named. A node that waits to be taken in may not know a leader that came after its
  /// flags were written: then one after the other of those that it knows; who has not applied
  /// enough says so. Null: nobody is known.
  const config::Member* ChooseSource();

  Raft& core_;
  Peers& peers_;
  OutgoingFrames& frames_;
  SnapshotWanted wanted_;
  std::optional<std::uint64_t> said_at_ms_;
  RequestId last_request_;
  std::size_t others_asked_ = 0;
  LogIndex installing_;  // as the core was told
  log::RateLimit trouble_limit_{5000};
};

}  // namespace bedrock::raft
