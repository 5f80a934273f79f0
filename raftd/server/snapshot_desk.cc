#include "raftd/server/snapshot_desk.h"

#include <algorithm>
#include <utility>

namespace bedrock::raft {

void SnapshotDesk::OnWanted(const SnapshotWanted& wanted) {
  if (wanted.at_least && !wanted_.at_least) {
    log::Info("this node needs a snapshot", {{"from", wanted.from}, {"at_least", wanted.at_least}});
  } else if (!wanted.at_least && wanted_.at_least) {
    log::Info("this node needs no snapshot any more");
  }
  wanted_ = wanted;
  said_at_ms_.reset();
  if (!wanted.at_least) installing_ = LogIndex();
}

void SnapshotDesk::OnProgress(const proto::FetchProgress& progress, std::uint64_t now_ms) {
  if (!wanted()) return;
  if (!progress.error.ok()) {
    if (const auto repeats = trouble_limit_.Admit(now_ms)) {
      log::Warning("the snapshot can't be fetched",
                   {{"from", wanted_.from},
                    {"code", proto::ErrorCodeName(progress.error.code)},
                    {"detail", progress.error.detail},
                    {"repeats", *repeats}});
    }
  }
  // After a failure another source may be chosen.
  const LogIndex installing = progress.error.ok() ? progress.installing : LogIndex();
  if (installing && installing != installing_) {
    log::Info("fetching a snapshot",
              {{"from", wanted_.from}, {"index", installing}, {"bytes", progress.bytes_total}});
  }
  installing_ = installing;
  core_.SnapshotProgress(installing);
}

void SnapshotDesk::Step(std::uint64_t now_ms) {
  if (!wanted() || !wanted_.from) return;
  if (said_at_ms_ && now_ms - *said_at_ms_ < kRepeatMs) return;
  said_at_ms_ = now_ms;
  const std::vector<config::Member>& known = peers_.known();
  const auto source =
      std::find_if(known.begin(), known.end(),
                   [this](const config::Member& member) { return member.id == wanted_.from; });
  if (source == known.end() || source->storage.empty()) {
    if (const auto repeats = trouble_limit_.Admit(now_ms)) {
      log::Error("a snapshot's source has no storage endpoint: name it in a --member flag",
                 {{"source", wanted_.from}, {"repeats", *repeats}});
    }
    return;
  }
  last_request_ = last_request_.Next();
  frames_.ToStorage(last_request_, proto::FetchSnapshot{.source = wanted_.from,
                                                        .endpoint = source->storage,
                                                        .at_least = wanted_.at_least});
}

}  // namespace bedrock::raft
