#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "storaged/engine/change_reader.h"
#include "storaged/engine/engine.h"
#include "storaged/engine/read/iterator.h"

namespace bedrock::storage {

/// What a FakeEngine leaves behind when it crashes.
struct FakeDisk {
  using Versions = std::map<std::uint64_t, std::pair<bool, std::string>>;  // found, value
  using Content = std::map<std::string, Versions, std::less<>>;
  Content content;
  engine::AppliedMark mark;
  std::string client_state;
};

/// An engine of maps whose flushes end when the test says so, and which fails as it is told: for
/// what the real one does only under load or on a broken disk. Keeps every version.
class FakeEngine final : public engine::Engine {
 public:
  explicit FakeEngine(FakeDisk& disk)
      : disk_(disk), content_(disk.content), applied_(disk.mark), frozen_(disk.mark) {}

  // What the test turns.
  Status apply_status;                 ///< Unless ok, Apply gives this and does nothing.
  Status get_status;                   ///< Unless ok, Get gives this.
  bool wants_flush = false;            ///< Wants it once there is something to be flushed.
  std::size_t flushes_max = SIZE_MAX;  ///< With so many waiting, StartFlush does nothing.
  engine::EngineHealth reported;

  /// Ends the oldest flush: what it froze is durable.
  void FinishFlush() {
    CHECK(!flushes_.empty());
    disk_ = std::move(flushes_.front());
    flushes_.pop_front();
    Progress();
  }
  void FinishFlushes() {
    while (!flushes_.empty()) FinishFlush();
  }
  /// Tells the owner that something changed.
  void Progress() {
    if (on_progress_) on_progress_();
  }
  std::size_t waiting_flushes() const { return flushes_.size(); }
  std::size_t flushes_started() const { return flushes_started_; }
  Version watermark() const { return watermark_; }

  Status Admit(std::string_view /*changes*/) override { return apply_status; }
  Status ApplyAdmitted(std::string_view changes, engine::AppliedMark mark) override {
    using Kind = engine::ChangeReader::Kind;
    CHECK(mark.index == applied_.index.Next());
    engine::ChangeReader reader(changes);
    while (reader.Next()) {
      if (reader.kind() == Kind::kDeleteRange) {
        DeleteRange({reader.key(), reader.value()}, mark);
        continue;
      }
      content_[std::string(reader.key())][mark.index.value()] = {reader.kind() == Kind::kPut,
                                                                 std::string(reader.value())};
    }
    applied_ = mark;
    return Status::Ok();
  }
  bool writes_slowed() const override { return false; }
  std::uint64_t WriteDelayUs(std::size_t) override { return 0; }
  engine::AppliedMark applied() const override { return applied_; }
  Version newest() const override { return Version(applied_.index.value()); }
  engine::AppliedMark durable_applied() const override { return disk_.mark; }
  std::string client_state() const override { return disk_.client_state; }
  bool WantsFlush() const override { return wants_flush && applied_ != frozen_; }
  void StartFlush(std::string client_state) override {
    if (applied_ == frozen_ || flushes_.size() >= flushes_max) return;
    wants_flush = false;
    frozen_ = applied_;
    ++flushes_started_;
    flushes_.push_back({content_, applied_, std::move(client_state)});
  }
  void OnProgress(std::function<void()> callback) override { on_progress_ = std::move(callback); }

  void Tick() override {}
  void RetryNow() override {}

  Result<engine::Lookup> Get(std::string_view key, Version at) const override {
    if (!get_status.ok()) return get_status;
    const auto found = content_.find(std::string(key));
    if (found == content_.end()) return engine::Lookup{};
    const auto above = found->second.upper_bound(at.value());
    if (above == found->second.begin()) return engine::Lookup{};
    const auto& [version, state] = *std::prev(above);
    return engine::Lookup{state.first, Version(version), state.second};
  }
  Status Get(std::string_view, const engine::ReadSettings&, PinnedValue*) const override {
    return NotNeeded();
  }
  std::vector<Result<PinnedValue>> MultiGet(std::span<const std::string_view>,
                                            const engine::ReadSettings&) const override {
    CHECK(NotNeeded().ok());
    return {};
  }
  Result<Version> NewestVersion(std::string_view key) const override {
    const auto found = content_.find(std::string(key));
    if (found == content_.end()) return Version();
    return Version(found->second.rbegin()->first);
  }
  Result<bool> ChangedSince(Range range, Version since) const override {
    return ChangedBetween(range, since, Version(UINT64_MAX));
  }
  Result<bool> ChangedBetween(Range range, Version after, Version until) const override {
    for (auto key = content_.lower_bound(range.begin); IsIn(key, range); ++key) {
      const auto change = key->second.upper_bound(after.value());
      if (change != key->second.end() && change->first <= until.value()) return true;
    }
    return false;
  }
  std::unique_ptr<Iterator> NewIterator(const engine::ReadSettings& settings,
                                        Range bounds) const override {
    auto walk = std::make_unique<Walk>();
    const std::uint64_t at = settings.at.value_or(newest()).value();
    for (auto key = content_.lower_bound(bounds.begin); IsIn(key, bounds); ++key) {
      const auto above = key->second.upper_bound(at);
      if (above == key->second.begin() || !std::prev(above)->second.first) continue;
      walk->items.push_back(
          {key->first, std::prev(above)->second.second, Version(std::prev(above)->first)});
    }
    walk->failure = get_status;
    return engine::NewIterator(std::move(walk));
  }
  Snapshot GetSnapshot() const override { return {newest(), nullptr}; }
  void CompactRange(Range, std::function<void(Status)>) override { CHECK(NotNeeded().ok()); }
  Status Checkpoint(const std::string&) override { return NotNeeded(); }
  std::uint64_t ApproximateSize(Range) const override { return 0; }
  void SetWatermark(Version watermark) override {
    CHECK(watermark_ <= watermark);
    watermark_ = watermark;
  }
  engine::EngineHealth health() const override { return reported; }
  EngineStats Stats() const override {
    CHECK(NotNeeded().ok());
    return {};
  }
  Status Verify() const override { return Status::Ok(); }

 private:
  /// Over what was there when it was made.
  struct Walk final : engine::CustomWalk {
    struct Item {
      std::string key;
      std::string value;
      Version version;
    };
    std::vector<Item> items;
    Status failure;
    std::size_t at = 0;

    bool Valid() const override { return failure.ok() && at < items.size(); }
    void SeekToFirst() override { at = 0; }
    void SeekToLast() override { at = items.size() - 1; }
    void Seek(std::string_view key) override {
      for (at = 0; at < items.size() && items[at].key < key;) ++at;
    }
    void SeekForPrev(std::string_view key) override {
      for (at = items.size() - 1; at < items.size() && items[at].key > key;) --at;
    }
    void Next() override { ++at; }
    void Prev() override { --at; }
    std::string_view key() const override { return items[at].key; }
    std::string_view value() const override { return items[at].value; }
    Version version() const override { return items[at].version; }
    Status status() const override { return failure; }
  };

  bool IsIn(FakeDisk::Content::const_iterator key, Range range) const {
    return key != content_.end() && (range.end.empty() || key->first < range.end);
  }
  void DeleteRange(Range range, engine::AppliedMark mark) {
    for (auto key = content_.lower_bound(range.begin); IsIn(key, range); ++key) {
      if (key->second.rbegin()->second.first) key->second[mark.index.value()] = {false, ""};
    }
  }
  static Status NotNeeded() {
    CHECK_MSG(false, "not needed");
    return Status::Ok();
  }

  FakeDisk& disk_;
  FakeDisk::Content content_;
  engine::AppliedMark applied_;
  engine::AppliedMark frozen_;  // at the last StartFlush that did anything
  std::deque<FakeDisk> flushes_;
  std::size_t flushes_started_ = 0;
  Version watermark_;
  std::function<void()> on_progress_;
};

}  // namespace bedrock::storage
