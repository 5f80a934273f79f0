#include "storaged/core/certifier.h"

#include "common/base/status_macros.h"
#include "storaged/core/keyspace.h"

namespace bedrock::storage {

Result<bool> Certifier::Changed(std::string_view key, Version since) const {
  if (recent_ != nullptr && !recent_->MayHaveChanged(key, since)) return false;
  ASSIGN_OR_RETURN(const Version newest, engine_.NewestVersion(EngineKey(key)));
  return newest > since;
}

Result<bool> Certifier::ChangedIn(std::string_view begin, std::string_view end,
                                  Version since) const {
  if (recent_ != nullptr && !recent_->MayHaveChangedIn(begin, end, since)) return false;
  return engine_.ChangedSince({EngineKey(begin), EngineEnd(end)}, since);
}

Result<std::optional<std::size_t>> Certifier::FindConflict(std::span<const proto::Read> reads,
                                                           Version read_version) {
  if (reads.empty()) return std::optional<std::size_t>();
  uncertified_ = 0;
  if (recent_ == nullptr) {
    recent_ = std::make_unique<txn::RecentCommits>(Version(engine_.applied().index.value()));
  }
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const Version since = VersionOf(reads[i], read_version);
    ASSIGN_OR_RETURN(const bool changed, reads[i].kind == proto::Read::Kind::kKey
                                             ? Changed(reads[i].key, since)
                                             : ChangedIn(reads[i].key, reads[i].end, since));
    if (changed) return std::optional(i);
  }
  return std::optional<std::size_t>();
}

void Certifier::Remember(std::span<const proto::Operation> operations, Version version) {
  if (++uncertified_ > kUncertifiedMax) {
    recent_.reset();
    return;
  }
  using Kind = proto::Operation::Kind;
  for (const auto& operation : operations) {
    switch (operation.kind) {
      case Kind::kPut:
      case Kind::kDelete:
      case Kind::kAdd:
        recent_->AddKey(operation.key, version);
        break;
      case Kind::kDeleteRange:
        recent_->AddRange(operation.key, operation.value, version);
        break;
      case Kind::kGet:
      case Kind::kScan:
      case Kind::kDropHistory:
        break;
    }
  }
}

}  // namespace bedrock::storage
