#include <algorithm>
#include <utility>

#include "common/base/status_macros.h"
#include "storaged/engine/engine_impl.h"
#include "storaged/engine/iterator/merging_iterator.h"
#include "storaged/engine/snapshot_iterator.h"

namespace bedrock::engine {

Result<EngineImpl::View> EngineImpl::TakeView(std::optional<Version> at) const {
  const Version seen = newest();
  MutexLock lock(mutex_);
  // Checked against what was used for the very tables that will be read: there is no race with a
  // compaction that ends meanwhile. What is newest was loaded before, so never above it: a commit
  // that is being applied is not seen in part.
  const Version watermark = read_state_->tables->watermark;
  if (!at) return View{read_state_, std::max(seen, watermark)};
  if (*at < watermark && !snapshots_->IsPinned(*at)) {
    return Status::InvalidArgument("version " + std::to_string(at->value()) +
                                   " is below the watermark " + std::to_string(watermark.value()));
  }
  return View{read_state_, std::min(*at, std::max(seen, watermark))};
}

Result<Lookup> EngineImpl::Find(std::string_view key, const View& view) const {
  for (const auto& memtable : view.state->memtables) {
    const auto entry = memtable->Find(key, view.at);
    if (!entry) continue;
    return Lookup{entry->trailer.kind() == EntryKind::kPut, entry->trailer.version(),
                  std::string(entry->value)};
  }
  ASSIGN_OR_RETURN(FoundEntry entry, view.state->tables->Find(key, view.at));
  if (!entry.found) return Lookup{};
  return Lookup{entry.trailer.kind() == EntryKind::kPut, entry.trailer.version(),
                std::string(entry.value)};
}

namespace {

Status PinLookup(Result<Lookup> found, PinnedValue* value) {
  value->Reset();
  if (!found.ok()) return std::move(found).status();
  if (!found->found) return Status::NotFound("absent");
  auto held = std::make_unique<std::string>(std::move(found->value));
  const std::string_view view = *held;
  value->Pin(view, found->version, held.release(),
             [](void* pinned) { std::unique_ptr<std::string>(static_cast<std::string*>(pinned)); });
  return {};
}

}  // namespace

Status EngineImpl::Get(std::string_view key, const ReadSettings& settings,
                       PinnedValue* value) const {
  ASSIGN_OR_RETURN(const View view, TakeView(settings.at));
  return PinLookup(Find(key, view), value);
}

std::vector<Result<PinnedValue>> EngineImpl::MultiGet(std::span<const std::string_view> keys,
                                                      const ReadSettings& settings) const {
  std::vector<Result<PinnedValue>> values;
  values.reserve(keys.size());
  const auto view = TakeView(settings.at);
  for (const std::string_view key : keys) {
    PinnedValue value;
    Status status = view.ok() ? PinLookup(Find(key, *view), &value) : view.status();
    if (status.ok()) {
      values.emplace_back(std::move(value));
    } else {
      values.emplace_back(std::move(status));
    }
  }
  return values;
}

Result<Lookup> EngineImpl::Get(std::string_view key, Version at) const {
  ASSIGN_OR_RETURN(const View view, TakeView(at));
  return Find(key, view);
}

Result<Version> EngineImpl::NewestVersion(std::string_view key) const {
  ASSIGN_OR_RETURN(const View view, TakeView(std::nullopt));
  ASSIGN_OR_RETURN(const Lookup found, Find(key, view));
  return found.version;
}

std::unique_ptr<Iterator> EngineImpl::NewIterator(const ReadSettings& settings,
                                                  Range bounds) const {
  auto view = TakeView(settings.at);
  if (!view.ok()) return NewFailedIterator(view.status());
  std::vector<std::unique_ptr<InternalIterator>> sources;
  for (const auto& memtable : view->state->memtables) {
    sources.push_back(Memtable::NewIterator(memtable));
  }
  view->state->tables->AppendIterators(settings.fill_cache, sources);
  return NewSnapshotIterator(NewMergingIterator(std::move(sources)),
                             {view->at, std::string(bounds.begin), std::string(bounds.end)});
}

Snapshot EngineImpl::GetSnapshot() const {
  return snapshots_->Take(environment_.clock->MonotonicMs(), [this] { return newest(); });
}

}  // namespace bedrock::engine
