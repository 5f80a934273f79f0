#include "raftd/server/snapshot_desk.h"

#include <utility>
#include <vector>

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
  const config::Member* source = ChooseSource();
  if (source == nullptr) {
    if (const auto repeats = trouble_limit_.Admit(now_ms)) {
      log::Error("a snapshot's source has no storage endpoint: name it in a --member flag",
                 {{"source", wanted_.from}, {"repeats", *repeats}});
    }
    return;
  }
  last_request_ = last_request_.Next();
  frames_.ToStorage(last_request_, proto::FetchSnapshot{.source = source->id,
                                                        .endpoint = source->storage,
                                                        .at_least = wanted_.at_least});
}

const config::Member* SnapshotDesk::ChooseSource() {
  std::vector<const config::Member*> others;
  for (const config::Member& member : peers_.known()) {
    if (member.storage.empty()) continue;
    if (member.id == wanted_.from) return &member;
    if (peers_.links().contains(member.id)) others.push_back(&member);
  }
  if (others.empty()) return nullptr;
  return others[others_asked_++ % others.size()];
}

}  // namespace bedrock::raft
