#include <algorithm>
#include <string>
#include <utility>

#include "common/base/status_macros.h"
#include "storaged/engine/engine_impl.h"
#include "storaged/engine/read/changed_since.h"
#include "storaged/engine/read/iterator.h"
#include "storaged/engine/read/point_read.h"

namespace bedrock::engine {

// Every read loads what is newest before it takes a state, so that the state has all of it: a
// commit that is being applied is not seen in part. The watermark is that of the very tables that
// will be read: there is no race with a compaction that ends meanwhile.
Result<Version> EngineImpl::VersionOf(const ReadState& state, std::optional<Version> at,
                                      Version newest) const {
  const Version watermark = state.tables()->watermark;
  const Version last = std::max(newest, watermark);
  if (!at) return last;
  if (*at < watermark && !snapshots_->IsPinned(*at)) {
    return Status::InvalidArgument("version " + std::to_string(at->value()) +
                                   " is below the watermark " + std::to_string(watermark.value()));
  }
  return std::min(*at, last);
}

Status EngineImpl::Noticed(Status status) const {
  if (status.IsCorruption()) care_lane_.Wake();
  return status;
}

Status EngineImpl::Get(std::string_view key, const ReadSettings& settings,
                       PinnedValue* value) const {
  gets_.Add(1);
  const Version seen = newest();
  const ReadStateCell::Read state(live_.cell());
  ASSIGN_OR_RETURN(const Version at, VersionOf(*state, settings.at, seen));
  return Noticed(
      ReadPoint({state, at, {settings.fill_cache, settings.verify_checksums}}, key, value));
}

std::vector<Result<PinnedValue>> EngineImpl::MultiGet(std::span<const std::string_view> keys,
                                                      const ReadSettings& settings) const {
  gets_.Add(keys.size());
  const Version seen = newest();
  const ReadStateCell::Read state(live_.cell());
  const auto at = VersionOf(*state, settings.at, seen);
  if (at.ok()) {
    auto values = ReadPoints({state, *at, {settings.fill_cache, settings.verify_checksums}}, keys);
    for (const auto& value : values) (void)Noticed(value.status());
    return values;
  }
  std::vector<Result<PinnedValue>> values;
  values.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) values.emplace_back(at.status());
  return values;
}

Result<Lookup> EngineImpl::Get(std::string_view key, Version at) const {
  const Version seen = newest();
  const ReadStateCell::Read state(live_.cell());
  ASSIGN_OR_RETURN(const Version version, VersionOf(*state, at, seen));
  const PointRead read{state, version, {}};
  const auto entry = FindNewest(read, key);
  if (!entry.ok()) return Noticed(entry.status());
  Lookup found{entry->found(), entry->trailer.version(), {}};
  if (found.found) {
    ASSIGN_OR_RETURN(found.value, CopyValue(read, *entry));
  }
  return found;
}

Result<Version> EngineImpl::NewestVersion(std::string_view key) const {
  const Version seen = newest();
  const ReadStateCell::Read state(live_.cell());
  ASSIGN_OR_RETURN(const Version at, VersionOf(*state, std::nullopt, seen));
  ASSIGN_OR_RETURN(const NewestEntry entry, FindNewest({state, at, {}}, key));
  return entry.trailer.version();
}

Result<bool> EngineImpl::ChangedSince(Range range, Version since) const {
  return ChangedBetween(range, since, kVersionMax);
}

Result<bool> EngineImpl::ChangedBetween(Range range, Version after, Version until) const {
  return ChangedWithin(*live_.cell().Get(), range, {.after = after, .until = until});
}

std::unique_ptr<Iterator> EngineImpl::NewIterator(const ReadSettings& settings,
                                                  Range bounds) const {
  const Version seen = newest();
  auto state = live_.cell().Get();
  const auto at = VersionOf(*state, settings.at, seen);
  if (!at.ok()) return NewFailedIterator(at.status());
  return engine::NewIterator({.state = std::move(state),
                              .at = *at,
                              .bounds = bounds,
                              .options = {settings.fill_cache, settings.verify_checksums},
                              .resolver = nullptr,
                              .link = reader_link_});
}

Snapshot EngineImpl::GetSnapshot() const {
  return snapshots_->Take(environment_.clock->MonotonicMs(), [this] { return newest(); });
}

}  // namespace bedrock::engine
