#include "tests/unit/raftd/server/driver_cluster.h"

#include <algorithm>

#include "common/base/check.h"
#include "proto/codec.h"
#include "proto/command.h"
#include "raftd/core/quorum.h"
#include "raftd/log/log_number.h"
#include "raftd/log/raft_log.h"
#include "raftd/server/log_writer.h"

namespace bedrock::raft {

namespace {

/// Calls back before each sync.
class WatchedLog final : public RaftLog {
 public:
  WatchedLog(std::unique_ptr<RaftLog> log, std::function<void()> before_sync)
      : log_(std::move(log)), before_sync_(std::move(before_sync)) {}
  const Recovered& recovered() const override { return log_->recovered(); }
  Status Submit(const Write& write) override { return log_->Submit(write); }
  Result<WriteSeq> Sync() override {
    before_sync_();
    return log_->Sync();
  }
  Status SyncIdle() override { return log_->SyncIdle(); }
  Result<std::vector<Entry>> Read(LogIndex first, LogIndex last, std::size_t bytes_max) override {
    return log_->Read(first, last, bytes_max);
  }
  Status Compact(LogIndex index) override { return log_->Compact(index); }
  Result<Scrubbed> Scrub(std::size_t bytes_max) override { return log_->Scrub(bytes_max); }
  Room RoomLeft() override { return log_->RoomLeft(); }
  std::uint64_t SizeOnDisk() const override { return log_->SizeOnDisk(); }
  LogIndex LastBeyond(std::uint64_t bytes_max) const override {
    return log_->LastBeyond(bytes_max);
  }

 private:
  std::unique_ptr<RaftLog> log_;
  std::function<void()> before_sync_;
};

std::string KindOf(const proto::Packet& packet) {
  if (std::holds_alternative<AppendRequest>(packet.message)) return "append";
  if (std::holds_alternative<AppendReply>(packet.message)) return "append reply";
  if (std::holds_alternative<VoteRequest>(packet.message)) return "vote request";
  if (std::holds_alternative<VoteReply>(packet.message)) return "vote reply";
  if (std::holds_alternative<Heartbeat>(packet.message)) return "heartbeat";
  return "other";
}

}  // namespace

/// One raftd: its log, writer, transport and driver.
class DriverCluster::NodeUnderTest final : public Transport {
 public:
  NodeUnderTest(DriverCluster& cluster, int id) : cluster_(cluster), id_(id) {
    boot_ = cluster_.next_boot_++;
    config_.node = NodeId(static_cast<std::uint64_t>(id));
    config_.cluster = kCluster;
    Membership membership;
    const bool joining = cluster_.joining_.contains(id);
    for (const int i : joining ? cluster_.joining_[id] : cluster_.Founders()) {
      config_.members.push_back(*config::ParseMember(MemberLine(i)));
      if (joining) continue;
      membership.voters.emplace_back(static_cast<std::uint64_t>(i));
      membership.addresses.push_back({membership.voters.back(), MemberLine(i)});
    }
    if (joining) config_.members.push_back(*config::ParseMember(MemberLine(id)));
    const Environment environment{
        .file_system = &cluster_.disks_[id], .clock = &cluster_.clock_, .executor = &background_};
    auto log = RaftLog::Open(environment,
                             {.directory = "raft",
                              .cluster = kCluster,
                              .node = config_.node,
                              .segment_bytes = cluster_.settings_.segment_bytes},
                             membership);
    CHECK_MSG(log.ok(), log.status().ToString());
    const auto number = TakeLogNumber(
        cluster_.disks_[id], {.directory = "raft", .cluster = kCluster, .node = config_.node},
        LogNumber(1000 + boot_));
    CHECK_MSG(number.ok(), number.status().ToString());
    log_ = std::make_unique<WatchedLog>(std::move(log).value(), [this] {
      cluster_.Trace("n" + std::to_string(id_) + " sync");
      if (cluster_.on_sync_) cluster_.on_sync_(id_);
    });
    writer_ = cluster_.settings_.writer == Writer::kInline
                  ? MakeInlineLogWriter(*log_)
                  : MakeThreadedLogWriter(
                        *log_, writer_thread_,
                        [this](std::function<void()> task) { posted_.push_back(std::move(task)); });
    driver_ = std::make_unique<Driver>(
        DriverOptions{
            .node = &config_,
            .core_limits = cluster_.settings_.limits,
            .tick_ms = kTickMs,
            .election_ms_min = 500,
            .log_bytes_max = cluster_.settings_.log_bytes_max,
            .scrub_ms = cluster_.settings_.scrub_ms,
            .checks = {.check_ms = cluster_.settings_.check_ms},
            .boot = BootId(boot_),
            .seed = boot_,
            .log_number = *number,
            .founder = !joining,
            .apply = {},
            .desk = {},
            .clock = &cluster_.clock_,
            .log = writer_.get(),
            .transport = this,
            .on_fatal = [this](const Status& s) { cluster_.fatals_[id_] = s; },
            .on_refused = [this](const std::string& why) { cluster_.refusals_[id_] = why; },
            .on_damaged = [this] { cluster_.damaged_.insert(id_); }},
        log_->recovered());
    driver_->ConnectPeers();
  }

  void SetPeer(NodeId peer, const std::string& endpoint) override {
    if (endpoint.empty()) {
      links_.erase(peer);
    } else {
      links_[peer] = endpoint;
    }
  }

  bool SendToPeer(NodeId peer, std::string frame) override {
    const int to = static_cast<int>(peer.value());
    if (!links_.contains(peer)) return false;
    EXPECT_EQ(links_[peer], "tcp://h" + std::to_string(to) + ":1");
    const Bytes bytes(std::move(frame));
    const proto::Frame decoded = *proto::DecodeFrame(bytes);
    for (const proto::Packet& packet : decoded.packets) {
      cluster_.Trace("n" + std::to_string(id_) + " -> n" + std::to_string(to) + " " +
                     KindOf(packet));
    }
    if (!cluster_.running(to)) return false;
    cluster_.network_.push_back({id_, to, Sender(), bytes});
    return true;
  }
  bool SendToStorage(std::string frame) override {
    if (!cluster_.storages_[id_].up) return false;
    to_storage_.push_back(Bytes(std::move(frame)));
    return true;
  }
  bool SendToCaller(std::string_view to, std::string frame) override {
    const Bytes bytes(std::move(frame));
    for (const auto& [id, node] : cluster_.nodes_) {
      if (node->Sender() == to) cluster_.network_.push_back({id_, id, Sender(), bytes, true});
    }
    if (to != kRouter) return false;
    const proto::Frame decoded = *proto::DecodeFrame(bytes);
    cluster_.answers_.insert(cluster_.answers_.end(), decoded.packets.begin(),
                             decoded.packets.end());
    return true;
  }

  std::string Sender() const {
    return "raftd/n" + std::to_string(id_) + "/" + std::to_string(boot_);
  }
  Driver& driver() { return *driver_; }
  const Driver& driver() const { return *driver_; }
  bool LinkedTo(int node) const {
    return links_.contains(NodeId(static_cast<std::uint64_t>(node)));
  }
  void set_disk_held(bool held) { disk_held_ = held; }

  /// One turn. True where anything happened outside of the driver.
  bool Turn() {
    driver_->EndTurn();
    bool worked = background_.RunAll() > 0;
    if (!disk_held_) worked = writer_thread_.RunAll() > 0 || worked;
    for (; !posted_.empty(); posted_.pop_front()) {
      posted_.front()();
      worked = true;
    }
    for (const Bytes& frame : std::exchange(to_storage_, {})) {
      cluster_.OnStorageFrame(id_, frame);
      worked = true;
    }
    return worked;
  }

 private:
  DriverCluster& cluster_;
  int id_;
  std::uint64_t boot_ = 0;
  bool disk_held_ = false;
  config::NodeConfig config_;
  ManualExecutor background_;
  ManualExecutor writer_thread_;
  std::deque<std::function<void()>> posted_;
  std::vector<Bytes> to_storage_;
  std::map<NodeId, std::string> links_;
  std::unique_ptr<RaftLog> log_;
  std::unique_ptr<LogWriter> writer_;
  std::unique_ptr<Driver> driver_;
};

DriverCluster::DriverCluster() = default;
DriverCluster::~DriverCluster() = default;

void DriverCluster::StartCluster(const Settings& settings) {
  settings_ = settings;
  for (int node = 1; node <= settings.nodes; ++node) StartNode(node);
}

void DriverCluster::TearDownCluster() {
  nodes_.clear();
  network_.clear();
  isolated_.clear();
  joining_.clear();
  storages_.clear();
  disks_.clear();
  answers_.clear();
}

std::string DriverCluster::MemberLine(int node) {
  const std::string n = std::to_string(node);
  return "n" + n + ",raft=tcp://h" + n + ":1,storage=tcp://h" + n + ":2,client=tcp://h" + n +
         ":3,http=h" + n + ":4";
}

std::vector<int> DriverCluster::Founders() const {
  std::vector<int> founders;
  for (int node = 1; node <= settings_.nodes; ++node) founders.push_back(node);
  return founders;
}

void DriverCluster::StartJoiningNode(int node, std::vector<int> named) {
  joining_[node] = named.empty() ? Founders() : std::move(named);
  StartNode(node);
}

void DriverCluster::StartNode(int node) {
  refusals_.erase(node);
  damaged_.erase(node);
  nodes_[node] = std::make_unique<NodeUnderTest>(*this, node);
}

void DriverCluster::StopNode(int node) {
  nodes_.erase(node);
  std::erase_if(network_, [node](const Parcel& parcel) { return parcel.to == node; });
  Random random(1);
  disks_[node].Crash(random, MemoryFileSystem::CrashMode::kProcessOnly);
}

void DriverCluster::Trace(std::string line) {
  if (tracing_) trace_.push_back(std::move(line));
}

bool DriverCluster::running(int node) const { return nodes_.contains(node); }

Driver& DriverCluster::driver(int node) { return nodes_.at(node)->driver(); }

void DriverCluster::HoldDisk(int node, bool held) { nodes_.at(node)->set_disk_held(held); }

void DriverCluster::LimitDisk(int node, std::optional<std::uint64_t> bytes) {
  MemoryFileSystem& disk = disks_[node];
  disk.SetCapacity(MemoryFileSystem::kUnlimited);
  if (!bytes) return;
  const std::uint64_t used = MemoryFileSystem::kUnlimited - *disk.FreeSpace("raft");
  disk.SetCapacity(used + *bytes);
}

void DriverCluster::Settle() {
  for (bool worked = true; worked;) {
    worked = false;
    for (auto& [id, node] : nodes_) worked = node->Turn() || worked;
    worked = worked || !network_.empty();
    // One batch: what these bring forth belongs to the next turn.
    for (std::size_t n = network_.size(); n > 0; --n) DeliverOne();
  }
}

void DriverCluster::DeliverOne() {
  const Parcel parcel = std::move(network_.front());
  network_.pop_front();
  if (!running(parcel.to) || isolated_.contains(parcel.from) || isolated_.contains(parcel.to)) {
    return;
  }
  if (!parcel.back) {
    driver(parcel.to).OnFrame(parcel.sender, parcel.frame);
  } else if (nodes_.at(parcel.to)->LinkedTo(parcel.from)) {
    driver(parcel.to).OnPeerFrame(NodeId(static_cast<std::uint64_t>(parcel.from)), parcel.frame);
  }
}

void DriverCluster::Run(std::uint64_t ms) {
  for (std::uint64_t passed = 0; passed < ms; passed += kTickMs) {
    clock_.AdvanceMs(kTickMs);
    for (auto& [id, node] : nodes_) node->driver().Tick();
    Settle();
  }
}

int DriverCluster::Leader() const {
  for (const auto& [id, node] : nodes_) {
    if (node->driver().GetView().role == Role::kLeader && !isolated_.contains(id)) return id;
  }
  return 0;
}

bool DriverCluster::LogsAreNoted(int leader) const {
  const Membership& membership = nodes_.at(leader)->driver().membership();
  return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& node) {
    const NodeId id(static_cast<std::uint64_t>(node.first));
    const auto is_its = [id](const MemberLog& log) { return log.id == id; };
    return isolated_.contains(node.first) || !storages_.at(node.first).up ||
           !IsMember(membership, id) ||
           std::any_of(membership.logs.begin(), membership.logs.end(), is_its);
  });
}

int DriverCluster::RunUntilLeader() {
  for (int i = 0; i < 1000; ++i) {
    Run(kTickMs);
    const int leader = Leader();
    if (leader == 0) continue;
    const View view = driver(leader).GetView();
    const bool applied = std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& node) {
      return isolated_.contains(node.first) || !storages_[node.first].up ||
             storages_[node.first].last() == view.last_index.value();
    });
    if (applied && view.commit == view.last_index && LogsAreNoted(leader)) return leader;
  }
  ADD_FAILURE() << "nobody leads";
  return 1;
}

void DriverCluster::OnStorageFrame(int node, const Bytes& bytes) {
  Storage& storage = storages_[node];
  if (!storage.up) return;
  if (storage.frames_to_lose > 0) {
    --storage.frames_to_lose;
    return;
  }
  const proto::Frame frame = *proto::DecodeFrame(bytes);
  for (const proto::Packet& packet : frame.packets) {
    if (const auto* fetch = std::get_if<proto::FetchSnapshot>(&packet.message)) {
      FetchSnapshot(node, *fetch);
      continue;
    }
    if (const auto* quarantine = std::get_if<proto::Quarantine>(&packet.message)) {
      OnQuarantine(node, quarantine->check);
      continue;
    }
    for (const proto::Apply::Item& item : std::get<proto::Apply>(packet.message).items) {
      if (item.entry.index.value() != storage.last() + 1) continue;  // known, or behind a gap
      storage.applied.push_back(item);
      if (!item.reply_to.router.empty()) storage.replies.push_back(item.reply_to);
    }
  }
  SendFromStorage(node, ProgressOf(node));
}

proto::ApplyProgress DriverCluster::ProgressOf(int node) const {
  const Storage& storage = storages_.at(node);
  const std::uint64_t durable = std::min(storage.durable, storage.last());
  proto::ApplyProgress progress{.applied = LogIndex(storage.last()),
                                .durable_applied = LogIndex(durable),
                                .health = storage.health};
  for (std::uint64_t i = 0; i < durable; ++i) {
    const Entry& entry = storage.applied[i].entry;
    progress.applied_term = entry.term;
    if (entry.kind != EntryKind::kMembership) continue;
    progress.membership_index = entry.index;
    progress.membership = entry.payload;
  }
  progress.state = StateOf(node);
  if (storage.diverged_at != 0) progress.health = proto::ErrorCode::kDiverged;
  return progress;
}

proto::StateReport DriverCluster::StateOf(int node) const {
  const Storage& storage = storages_.at(node);
  proto::StateReport state;
  std::uint64_t slices = 0;
  bool wrong = false;
  for (const proto::Apply::Item& item : storage.applied) {
    const auto check = proto::DecodeCheckState(item.entry.payload.view());
    if (!check.ok()) continue;
    slices = check->from.empty() ? 1 : slices + 1;
    const std::uint64_t index = item.entry.index.value();
    // As the chain has it: from that slice on to the end of the pass, and what the next pass
    // begins with speaks of the pass before, too.
    wrong =
        index >= storage.wrong_from && (slices >= storage.wrong_slice || (slices == 1 && wrong));
    StateCheck found{.index = item.entry.index,
                     .kind = StateCheck::Kind::kHash,
                     .hash = 1'000 + index + (wrong ? storage.boot : 0)};
    if (wrong && storage.damaged) {
      found = {.index = found.index, .kind = StateCheck::Kind::kDamaged, .hash = 0};
    } else if (state.passes < storage.passes_unknown) {
      found = {.index = found.index, .kind = StateCheck::Kind::kUnknown, .hash = 0};
    }
    state.checks.push_back(found);
    state.next = slices < 3 ? Bytes("u" + std::to_string(slices)) : Bytes();
    if (slices == 3) ++state.passes;
  }
  if (state.checks.size() > kStateChecksMax) {
    state.checks.erase(state.checks.begin(),
                       state.checks.end() - static_cast<std::ptrdiff_t>(kStateChecksMax));
  }
  state.diverged_at = LogIndex(storage.diverged_at);
  return state;
}

void DriverCluster::OnQuarantine(int node, const StateCheck& check) {
  Storage& storage = storages_[node];
  ++storage.quarantines;
  const std::vector<StateCheck> checks = StateOf(node).checks;
  const bool gave = std::find(checks.begin(), checks.end(), check) != checks.end();
  if (gave && !storage.holds_quarantines) storage.diverged_at = check.index.value();
}

void DriverCluster::SendFromStorage(int node, const proto::Message& message) {
  proto::FrameWriter writer({.cluster = kCluster,
                             .node = NodeId(static_cast<std::uint64_t>(node)),
                             .boot = BootId(storages_[node].boot)});
  writer.Add(RequestId(), 0, message);
  driver(node).OnStorageFrame(Bytes(writer.Finish()));
}

/// A source that is down, or has not applied enough, is told as storaged does.
void DriverCluster::FetchSnapshot(int node, const proto::FetchSnapshot& fetch) {
  Storage& storage = storages_[node];
  storage.asked_for.push_back(fetch.endpoint);
  const Storage& source = storages_[static_cast<int>(fetch.source.value())];
  if (!source.up || source.last() < fetch.at_least.value()) {
    SendFromStorage(node, proto::FetchProgress{
                              .error = {.code = source.up ? proto::ErrorCode::kTooStale
                                                          : proto::ErrorCode::kStorageUnavailable},
                              .installing = {}});
    return;
  }
  SendFromStorage(
      node,
      proto::FetchProgress{
          .error = {}, .installing = LogIndex(source.last()), .bytes_done = 1, .bytes_total = 2});
  if (storage.hold_snapshots) return;
  storage.applied = source.applied;
  storage.durable = source.last();
  ++storage.snapshots;
  SendFromStorage(node, ProgressOf(node));
}

void DriverCluster::Ask(int node, std::vector<proto::Packet> packets) {
  AskWithHeader(node, {.cluster = kCluster, .node = NodeId(1), .boot = BootId(1)},
                std::move(packets));
}

void DriverCluster::AskWithHeader(int node, const proto::FrameHeader& header,
                                  std::vector<proto::Packet> packets) {
  proto::FrameWriter writer(header);
  for (const proto::Packet& packet : packets) {
    writer.Add(packet.request, packet.timeout_ms, packet.message);
  }
  driver(node).OnFrame(kRouter, Bytes(writer.Finish()));
}

proto::Packet DriverCluster::Propose(std::uint64_t request, std::string command,
                                     std::uint32_t timeout_ms) {
  return {.request = RequestId(request),
          .timeout_ms = timeout_ms,
          .message = proto::Propose{Bytes(std::move(command))}};
}

std::vector<std::string> DriverCluster::Commands(int node) const {
  std::vector<std::string> commands;
  for (const proto::Apply::Item& item : storages_.at(node).applied) {
    if (item.entry.kind == EntryKind::kCommand) commands.emplace_back(item.entry.payload.view());
  }
  return commands;
}

}  // namespace bedrock::raft
