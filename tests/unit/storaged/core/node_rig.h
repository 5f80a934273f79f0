#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/check.h"
#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "proto/codec.h"
#include "proto/errors.h"
#include "storaged/core/storage_node.h"
#include "tests/unit/storaged/core/entries.h"

namespace bedrock::storage {

inline constexpr ClusterId kRigCluster{0xc1};

/// All that an engine holds at a version: "key@version=value" lines.
inline std::string DumpOf(const engine::Engine& engine, Version at) {
  std::string out;
  const auto walk = engine.NewIterator({.at = at}, {"", ""});
  for (walk->SeekToFirst(); walk->Valid(); walk->Next()) {
    out += std::string(walk->key()) + "@" + std::to_string(walk->version().value()) + "=" +
           std::string(walk->value()) + "\n";
  }
  CHECK_MSG(walk->status().ok(), walk->status().ToString());
  return out;
}

/// A log whose entries are the same whoever makes them: puts of `sessions` clients, some values
/// large enough for blob files, and now and then other members.
class RigLog {
 public:
  explicit RigLog(std::size_t large_bytes = 0) : large_bytes_(large_bytes) {}

  static constexpr std::uint64_t kSessions = 5;
  static constexpr std::uint64_t kMembershipEvery = 40;

  raft::Entry At(std::uint64_t index) const {
    if (index % kMembershipEvery == 7) {
      return MakeEntry(index, "members of " + std::to_string(index), raft::EntryKind::kMembership);
    }
    std::string value = "value " + std::to_string(index) + std::string(60, 'v');
    if (large_bytes_ > 0 && index % 100 == 50) value = Large(index);
    // Some keys are overwritten, some stay.
    const std::string key = "key " + std::to_string(index % 2 == 0 ? index : index % 50);
    return MakeEntry(index, PutCommand(1 + index % kSessions, index, key, value));
  }
  /// The newest membership entry at or below.
  static std::uint64_t MembershipAt(std::uint64_t index) {
    if (index < 7) return 0;
    return (index - 7) / kMembershipEvery * kMembershipEvery + 7;
  }

 private:
  /// Does not compress.
  std::string Large(std::uint64_t index) const {
    Random random(index);
    std::string value(large_bytes_, '\0');
    for (char& c : value) c = static_cast<char>(random.Below(256));
    return value;
  }

  std::size_t large_bytes_;
};

/// A storage node on a disk in memory, whose background work runs when the test says so.
class NodeRig {
 public:
  NodeRig(std::uint64_t id, std::uint64_t seed, RigLog log = RigLog())
      : id_(id), log_(std::move(log)), random_(seed) {
    CHECK(Open().ok());
  }

  StorageNode& node() { return *node_; }
  bool is_open() const { return node_ != nullptr; }
  const RigLog& log() const { return log_; }
  MemoryFileSystem& files() { return files_; }
  ManualExecutor& executor() { return *executor_; }
  ManualClock& clock() { return clock_; }
  std::uint64_t now_ms() const { return clock_.MonotonicMs(); }
  std::uint64_t applied() const { return node_->machine().applied().value(); }
  std::uint64_t durable() const { return node_->engine().durable_applied().index.value(); }
  NodeId id() const { return NodeId(id_); }

  ClusterId cluster = kRigCluster;
  std::uint64_t bytes_per_second = kGiB;

  Status Open() {
    executor_ = std::make_unique<ManualExecutor>(random_.Fork(random_.Next()));
    StorageNode::Options options;
    options.cluster = cluster;
    options.node = NodeId(id_);
    options.software = "1.2.3";
    options.engine.directory = "data/storage";
    options.engine.memtable_bytes = 16 * kKiB;
    options.engine.table_bytes = 16 * kKiB;
    options.engine.reserve_bytes = 0;
    options.snapshot_bytes_per_second = bytes_per_second;
    options.seed = random_.Next();
    auto node =
        StorageNode::Open({.file_system = &files_, .clock = &clock_, .executor = executor_.get()},
                          *executor_, options, [] {});
    if (!node.ok()) return std::move(node).status();
    node_ = std::move(node).value();
    return Status::Ok();
  }
  void Close() {
    executor_->Clear();
    node_.reset();
  }
  void Crash(MemoryFileSystem::CrashMode mode) {
    Close();
    files_.Crash(random_, mode);
  }
  void Restart() {
    Crash(MemoryFileSystem::CrashMode::kProcessOnly);
    const Status opened = Open();
    CHECK_MSG(opened.ok(), opened.ToString());
  }

  proto::FrameHeader Header() const {
    proto::FrameHeader header;
    header.cluster = cluster;
    header.node = NodeId(id_);
    return header;
  }
  void Receive(std::string_view from, RequestId request, proto::Message message) {
    proto::Frame frame{.header = Header()};
    frame.packets.push_back({request, 0, std::move(message)});
    node_->Receive(from, std::move(frame), now_ms());
  }
  StorageNode::Output Run() {
    StorageNode::Output out;
    while (node_->Run(now_ms(), out)) {
    }
    return out;
  }
  /// Runs the node and its background until there is nothing left to do at this time.
  StorageNode::Output Settle() {
    StorageNode::Output all;
    for (int idle = 0; idle < 2;) {
      idle = executor_->RunOne() ? 0 : idle + 1;
      StorageNode::Output out = Run();
      std::move(out.messages.begin(), out.messages.end(), std::back_inserter(all.messages));
      std::move(out.to_source.begin(), out.to_source.end(), std::back_inserter(all.to_source));
    }
    return all;
  }

  /// Applies the log up to `index`.
  void ApplyTo(std::uint64_t index) {
    for (int tries = 0; applied() < index; ++tries) {
      CHECK_MSG(tries < 100'000, "busy for ever");
      proto::Apply batch;
      for (std::uint64_t i = applied() + 1; i <= std::min(index, applied() + 20); ++i) {
        batch.items.push_back({.entry = log_.At(i), .reply_to = {}});
      }
      Receive("raftd", RequestId(), std::move(batch));
      Run();
      if (!executor_->RunOne()) clock_.AdvanceMs(20);
    }
  }
  void Flush() {
    node_->BeginStop();  // flushes; entries come no more
    while (!node_->stopped()) {
      CHECK(executor_->RunOne());
      Run();
    }
    Settle();
    Restart();
  }

 private:
  std::uint64_t id_;
  RigLog log_;
  Random random_;
  MemoryFileSystem files_;
  ManualClock clock_{1'000'000};
  std::unique_ptr<ManualExecutor> executor_;
  std::unique_ptr<StorageNode> node_;
};

/// Two nodes and what is between them: `target` fetches from `source`, and its raftd asks it to,
/// again and again.
class RigPair {
 public:
  struct Faults {
    std::uint64_t drop = 0;  ///< Of a thousand frames.
    std::uint64_t duplicate = 0;
    std::uint64_t reorder = 0;
    std::uint64_t corrupt = 0;
  };

  RigPair(NodeRig& source, NodeRig& target, std::uint64_t seed)
      : source_(source), target_(target), random_(seed), installed_(target.node().installed()) {}

  Faults faults;
  std::uint64_t at_least = 0;  ///< 0: more than the target has.
  NodeId source_id = NodeId(1);
  bool link_up = true;

  // What was seen.
  std::uint64_t bytes_asked = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t held_bytes_max = 0;
  std::size_t asked_max = 0;
  std::vector<proto::FetchProgress> progress;
  std::optional<proto::ApplyProgress> applied;
  std::vector<Outgoing> to_others;

  void Want() {
    proto::FetchSnapshot wanted{source_id, "tcp://source:1",
                                LogIndex(at_least == 0 ? target_.applied() + 1 : at_least)};
    target_.Receive("raftd", RequestId(9), wanted);
  }
  /// One thing happens, somewhere. False: nothing could but that time passes, which it did.
  bool Step() {
    Collect();
    switch (random_.Below(4)) {
      case 0:
        if (source_.is_open() && source_.executor().RunOne()) return true;
        break;
      case 1:
        if (target_.executor().RunOne()) return true;
        break;
      case 2:
        if (Deliver(to_source_, true)) return true;
        break;
      default:
        if (Deliver(to_target_, false)) return true;
        break;
    }
    if (!to_source_.empty() || !to_target_.empty() || target_.executor().waiting() > 0 ||
        (source_.is_open() && source_.executor().waiting() > 0)) {
      return true;
    }
    Pass(1 + random_.Below(20));
    return false;
  }
  void Pass(std::uint64_t ms) {
    for (NodeRig* rig : {&source_, &target_}) {
      rig->clock().AdvanceMs(ms);
      if (rig->is_open()) rig->executor().AdvanceMs(ms);
    }
    passed_ms_ += ms;
    if (passed_ms_ < 500) return;
    passed_ms_ = 0;
    if (target_.node().source() == nullptr && target_.node().installed() == installed_) Want();
  }
  /// Until `done`; false: not within `steps`.
  bool Until(const std::function<bool()>& done, std::uint64_t steps = 2'000'000) {
    for (std::uint64_t i = 0; i < steps; ++i) {
      if (done()) return true;
      Step();
    }
    return done();
  }
  bool UntilInstalled() {
    if (target_.node().source() == nullptr) Want();
    return Until([this] { return target_.node().installed() > installed_; });
  }
  /// Wants a snapshot, until more than so many bytes of one have left the source.
  bool UntilSent(std::uint64_t bytes) {
    Want();
    return Until([this, bytes] { return bytes_sent > bytes; });
  }
  /// Until the target tells its raftd of an error: of this one, where one is named.
  bool UntilError(std::optional<proto::ErrorCode> code = {}) {
    return Until([this, code] {
      if (progress.empty() || last().error.ok()) return false;
      return !code || last().error.code == *code;
    });
  }
  /// Frames under way are gone.
  void Cut() {
    to_source_.clear();
    to_target_.clear();
  }
  const proto::FetchProgress& last() const { return progress.back(); }

 private:
  void Collect() {
    if (source_.is_open()) {
      StorageNode::Output out = source_.Run();
      for (auto& message : out.messages) {
        if (message.to != "target") continue;
        if (const auto* chunk = std::get_if<proto::SnapshotChunk>(&message.message)) {
          bytes_sent += chunk->data.size();
        }
        Post(to_target_, source_.Header(), message.request, message.message);
      }
    }
    StorageNode::Output out = target_.Run();
    asked_max = std::max(asked_max, out.to_source.size());
    for (auto& message : out.to_source) {
      if (const auto* read = std::get_if<proto::SnapshotRead>(&message)) bytes_asked += read->bytes;
      Post(to_source_, target_.Header(), RequestId(1), message);
    }
    for (auto& message : out.messages) {
      if (const auto* fetch = std::get_if<proto::FetchProgress>(&message.message)) {
        progress.push_back(*fetch);
      } else if (const auto* apply = std::get_if<proto::ApplyProgress>(&message.message)) {
        applied = *apply;
      } else {
        to_others.push_back(std::move(message));
      }
    }
    held_bytes_max = std::max(held_bytes_max, target_.node().fetch().held_bytes());
  }
  void Post(std::deque<std::string>& wire, const proto::FrameHeader& header, RequestId request,
            const proto::Message& message) {
    if (!link_up || random_.Chance(faults.drop, 1000)) return;
    proto::FrameWriter writer(header);
    writer.Add(request, 0, message);
    wire.push_back(writer.Finish());
    if (random_.Chance(faults.duplicate, 1000)) wire.push_back(wire.back());
  }
  bool Deliver(std::deque<std::string>& wire, bool to_source) {
    if (wire.empty()) return false;
    std::size_t at = 0;
    if (random_.Chance(faults.reorder, 1000)) at = random_.Below(wire.size());
    std::string bytes = std::move(wire[at]);
    wire.erase(wire.begin() + static_cast<std::ptrdiff_t>(at));
    if (random_.Chance(faults.corrupt, 1000)) {
      bytes[random_.Below(bytes.size())] ^= static_cast<char>(1 + random_.Below(255));
    }
    auto frame = proto::DecodeFrame(Bytes(std::move(bytes)));
    if (!frame.ok()) return true;
    if (!to_source) {
      target_.node().ReceiveFromSource(std::move(frame).value(), target_.now_ms());
    } else if (source_.is_open()) {
      source_.node().Receive("target", std::move(frame).value(), source_.now_ms());
    }
    return true;
  }

  NodeRig& source_;
  NodeRig& target_;
  Random random_;
  std::deque<std::string> to_source_;
  std::deque<std::string> to_target_;
  std::uint64_t passed_ms_ = 0;
  std::uint64_t installed_;  // so many before
};

}  // namespace bedrock::storage
