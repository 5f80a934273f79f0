#include "tests/sim/cluster/sim_raftd.h"

#include <algorithm>
#include <type_traits>
#include <variant>

#include "common/base/check.h"
#include "proto/codec.h"
#include "raftd/log/log_number.h"
#include "tests/sim/cluster/sim_machine.h"

namespace bedrock::sim {

using Kind = ClusterTrace::Kind;

namespace {

constexpr std::size_t kReadBytesMax = std::size_t{1} << 20;
/// What was proposed longer ago than so many is forgotten.
constexpr std::size_t kProposalsMax = 10'000;
constexpr TimeUs kReportUsMax = 300;  ///< Between the log's thread and the loop.

/// The Raft message in a packet; none where it is another one.
std::optional<raft::Message> RaftMessageOf(const proto::Message& message) {
  return std::visit(
      [](const auto& alternative) -> std::optional<raft::Message> {
        using T = std::decay_t<decltype(alternative)>;
        if constexpr (std::is_constructible_v<raft::Message, const T&>) {
          return raft::Message(alternative);
        } else {
          return std::nullopt;
        }
      },
      message);
}

}  // namespace

/// The real log; its syncs are told to the checkers.
class SimRaftd::WatchedLog final : public raft::RaftLog {
 public:
  WatchedLog(SimRaftd& raftd, std::unique_ptr<raft::RaftLog> real)
      : raftd_(raftd), real_(std::move(real)) {}

  const raft::Recovered& recovered() const override { return real_->recovered(); }
  Status Submit(const raft::Write& write) override { return real_->Submit(write); }
  Result<raft::WriteSeq> Sync() override {
    // Where the loop syncs itself, it waits: what it flushed before is on its way, what comes has
    // to wait, too.
    if (!raftd_.on_thread()) raftd_.Block(1 + raftd_.machine_.DrawSync(kRaftDisk));
    auto synced = real_->Sync();
    if (synced.ok()) {
      raftd_.Trace(Kind::kSync, synced->value());
      if (raftd_.forgetful_) return synced;
      raftd_.world_.checkers.raft().OnSynced(raftd_.address_.node, *synced);
    }
    return synced;
  }
  Status SyncIdle() override { return real_->SyncIdle(); }
  Result<std::vector<raft::Entry>> Read(LogIndex first, LogIndex last,
                                        std::size_t bytes_max) override {
    return real_->Read(first, last, bytes_max);
  }
  Status Compact(LogIndex index) override { return real_->Compact(index); }
  std::uint64_t SizeOnDisk() const override { return real_->SizeOnDisk(); }
  LogIndex LastBeyond(std::uint64_t bytes_max) const override {
    return real_->LastBeyond(bytes_max);
  }
  Result<raft::Scrubbed> Scrub(std::size_t bytes_max) override { return real_->Scrub(bytes_max); }
  raft::Room RoomLeft() override { return real_->RoomLeft(); }

 private:
  SimRaftd& raftd_;
  const std::unique_ptr<raft::RaftLog> real_;
};

/// The log's thread: one job after the other, each as long as the disk takes.
class SimRaftd::LogThread final : public Executor {
 public:
  explicit LogThread(SimRaftd& raftd) : raftd_(raftd) {}

  void Post(Priority /*priority*/, std::function<void()> job) override {
    jobs_.push_back(std::move(job));
    Next();
  }
  void PostAfter(std::uint64_t /*delay_ms*/, Priority priority,
                 std::function<void()> job) override {
    Post(priority, std::move(job));
  }
  bool RunsByItself() const override { return true; }
  bool RunOne() override { return false; }

  /// Some time later, in order: the loop takes up what this thread has posted.
  void Tell(std::function<void()> news) {
    const TimeUs now = raftd_.now();
    told_at_ = std::max(told_at_, now + raftd_.random_.Below(kReportUsMax));
    raftd_.Later(told_at_ - now, std::move(news));
  }

 private:
  void Next() {
    if (busy_ || jobs_.empty()) return;
    busy_ = true;
    raftd_.Later(raftd_.machine_.DrawSync(kRaftDisk), [this] { RunFront(); });
  }

  void RunFront() {
    if (const TimeUs stalled = raftd_.machine_.StalledFor(kRaftDisk); stalled > 0) {
      raftd_.Later(stalled, [this] { RunFront(); });
      return;
    }
    busy_ = false;
    const std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    job();
    Next();
  }

  SimRaftd& raftd_;
  std::deque<std::function<void()>> jobs_;
  bool busy_ = false;
  TimeUs told_at_ = 0;
};

/// One of the real writers; what it tells the driver the checkers hear first.
class SimRaftd::WatchedWriter final : public raft::LogWriter {
 public:
  WatchedWriter(SimRaftd& raftd, std::unique_ptr<raft::LogWriter> real)
      : raftd_(raftd), real_(std::move(real)) {}

  void Start(Callbacks callbacks) override {
    auto on_durable = std::move(callbacks.on_durable);
    callbacks.on_durable = [this, on_durable = std::move(on_durable)](raft::WriteSeq seq) {
      raftd_.OnReported(seq);
      on_durable(seq);
    };
    real_->Start(std::move(callbacks));
  }
  void Submit(raft::Write write) override {
    raftd_.Trace(Kind::kWrite, write.seq.value(), write.cut_from.value_or(LogIndex()).value(),
                 write.entries.size());
    real_->Submit(std::move(write));
  }
  void Flush() override { real_->Flush(); }
  void SyncIdle() override { real_->SyncIdle(); }
  void Read(LogIndex first, LogIndex last, std::size_t bytes_max, OnRead on_read) override {
    real_->Read(first, last, bytes_max, std::move(on_read));
  }
  void Compact(LogIndex index) override { real_->Compact(index); }
  void Retry() override { real_->Retry(); }
  void Scrub(std::size_t bytes_max, OnScrubbed on_scrubbed) override {
    real_->Scrub(bytes_max, std::move(on_scrubbed));
  }
  void Measure(std::uint64_t bytes_max, OnMeasured on_measured) override {
    real_->Measure(bytes_max, std::move(on_measured));
  }

 private:
  SimRaftd& raftd_;
  const std::unique_ptr<raft::LogWriter> real_;
};

SimRaftd::SimRaftd(const Address& address, const ClusterWorld& world, SimMachine& machine,
                   Random random)
    : SimProcess(address, world, machine, random), executor_(random.Fork(1)) {
  config_.node = address.node;
  config_.cluster = kSimCluster;
  config_.members = SimFlagMembers(world.options, address.node);
}

SimRaftd::~SimRaftd() { SimRaftd::Close(); }

std::optional<raft::View> SimRaftd::view() const {
  if (driver_ == nullptr) return std::nullopt;
  return driver_->GetView();
}

void SimRaftd::Open() {
  const Environment environment{
      .file_system = &machine_.disk(kRaftDisk), .clock = &machine_.clock(), .executor = &executor_};
  const raft::LogOptions log_options{
      .directory = "raft",
      .cluster = kSimCluster,
      .node = address_.node,
      .segment_bytes = world_.options.segment_bytes,
      .spare_segments = static_cast<std::uint32_t>(world_.options.spare_segments)};
  raft::Membership membership;
  const bool founder = address_.node.value() <= world_.options.nodes;
  for (const config::Member& member : config_.members) {
    if (founder) membership.voters.push_back(member.id);
  }
  auto log = raft::RaftLog::Open(environment, log_options, membership);
  if (!log.ok()) return Doom("open the log: " + log.status().ToString());
  log_ = std::make_unique<WatchedLog>(*this, std::move(log).value());
  const auto number =
      raft::TakeLogNumber(machine_.disk(kRaftDisk),
                          {.directory = "raft", .cluster = kSimCluster, .node = address_.node},
                          raft::LogNumber(random_.Next() | 1));
  if (!number.ok()) return Doom("take the log's number: " + number.status().ToString());
  auto entries = ReadAll();
  if (!entries.ok()) return Doom("read the log back: " + entries.status().ToString());
  const raft::Recovered& recovered = log_->recovered();
  if (!forgetful_) world_.checkers.raft().OnOpened(address_.node, recovered, *entries);
  if (world_.checkers.failed()) return;
  Trace(Kind::kStart, recovered.prev_index.Next().value(), recovered.last_index.value(),
        recovered.vote.term.value());
  thread_ = std::make_unique<LogThread>(*this);
  writer_ = std::make_unique<WatchedWriter>(
      *this, on_thread() ? raft::MakeThreadedLogWriter(*log_, *thread_,
                                                       [this](std::function<void()> news) {
                                                         thread_->Tell(std::move(news));
                                                       })
                         : raft::MakeInlineLogWriter(*log_));
  const ClusterOptions& options = world_.options;
  driver_ = std::make_unique<raft::Driver>(
      raft::DriverOptions{
          .node = &config_,
          .core_limits = options.RaftLimits(),
          .tick_ms = options.tick_ms,
          .election_ms_min = options.election_ticks_min * options.tick_ms,
          .log_bytes_max = options.log_bytes_max,
          .scrub_ms = options.scrub_ms,
          .checks = {.check_ms = options.check_ms,
                     .slice_bytes = static_cast<std::uint32_t>(options.slice_bytes)},
          .boot = boot(),
          .seed = random_.Next(),
          .log_number = *number,
          .founder = founder,
          .apply = {.probe_ms = options.probe_ms,
                    .reconnect_ms = options.probe_ms / 2,
                    .unresponsive_ms = options.unresponsive_ms,
                    .load_bytes_max = options.load_bytes_max},
          .desk = {.hand_over_ms = 2 * options.election_ticks_max * options.tick_ms},
          .clock = &machine_.clock(),
          .log = writer_.get(),
          .transport = this,
          .on_fatal = [this](const Status& status) { Doom("fatal: " + status.ToString()); },
          .on_refused =
              [this](const std::string& why) {
                refused_ = true;
                Doom("refused: " + why);
              },
          .on_damaged =
              [this] { world_.checkers.Fail("a crash damages no entry", FormatAddress(address_)); },
          .observe = [this](const raft::View& view, const raft::Membership& members,
                            const raft::Output& output) { Observe(view, members, output); }},
      recovered);
  driver_->ConnectPeers();
  RunJobs();
  Tick();
}

bool SimRaftd::on_thread() const { return world_.options.log_on_thread != 0; }

Result<std::vector<raft::Entry>> SimRaftd::ReadAll() {
  const raft::Recovered& recovered = log_->recovered();
  std::vector<raft::Entry> entries;
  for (LogIndex next = recovered.prev_index.Next(); next <= recovered.last_index;) {
    auto part = log_->Read(next, recovered.last_index, kReadBytesMax);
    if (!part.ok()) return std::move(part).status();
    if (part->empty()) return Status::Corruption("a read gave no entry");
    next = part->back().index.Next();
    for (raft::Entry& entry : *part) entries.push_back(std::move(entry));
  }
  return entries;
}

void SimRaftd::Close() {
  executor_.Clear();
  driver_.reset();
  writer_.reset();
  thread_.reset();
  log_.reset();
  links_.clear();
  executor_.Clear();
  jobs_scheduled_ = stopping_ = told_to_stop_ = false;
  storage_life_ = 0;
  role_ = raft::Role::kFollower;
  notice_ = {};
  term_ = {};
  commit_ = {};
  applied_ = {};
  held_.clear();
  proposed_.clear();
  storage_boot_ = BootId();
  sent_ = LogIndex();
  free_to_leave_.clear();
  if (!forgetful_) world_.checkers.raft().OnStopped(address_.node);
}

void SimRaftd::OnFrame(const Parcel& parcel) {
  if (parcel.from.program == Program::kRaftd) {
    OnPeerFrame(parcel);
  } else if (parcel.door == Door::kListener) {
    if (parcel.from.program == Program::kRouterd) NoteProposals(parcel.sender, parcel.frame);
    driver_->OnFrame(parcel.sender, parcel.frame);
  } else {
    NoteProgress(parcel.frame);
    driver_->OnStorageFrame(parcel.frame);
  }
}

/// Terms only rise, and whoever leads one is the only one who ever does.
void SimRaftd::OnPeerFrame(const Parcel& parcel) {
  const Term term = driver_->GetView().term;
  const LogIndex settled = driver_->divergence().settled();
  if (parcel.door == Door::kListener) {
    driver_->OnFrame(parcel.sender, parcel.frame);
  } else {
    driver_->OnPeerFrame(parcel.from.node, parcel.frame);
  }
  if (driver_->divergence().settled() <= settled) return;
  const auto frame = proto::DecodeFrame(parcel.frame);
  CHECK(frame.ok());
  const bool may =
      std::any_of(frame->packets.begin(), frame->packets.end(), [&](const proto::Packet& packet) {
        const auto* verdict = std::get_if<raft::StateVerdict>(&packet.message);
        return verdict != nullptr && verdict->term >= term &&
               world_.checkers.raft().IsLeaderOf(verdict->term, parcel.from.node);
      });
  if (!may) {
    world_.checkers.Fail("a verdict counts only from the leader of the term",
                         FormatAddress(address_) + " settled " +
                             std::to_string(driver_->divergence().settled().value()) + " by " +
                             FormatNodeId(parcel.from.node));
  }
}

void SimRaftd::EndTurn() {
  driver_->EndTurn();
  WatchNotice();
  RunJobs();
}

void SimRaftd::WatchNotice() {
  const raft::View view = driver_->GetView();
  const raft::DivergenceDesk& desk = driver_->divergence();
  const Notice before =
      std::exchange(notice_, {.term = view.role == raft::Role::kLeader ? view.term : Term(),
                              .differing = desk.differing()});
  if (notice_.differing) {
    if (!before.differing) ++world_.stats.differences_told;
    world_.checkers.OnDiffering(address_.node, notice_.differing);
    const std::vector<raft::StateCheck>& own = desk.state().checks;
    if (desk.state().next.empty() && !own.empty()) {
      world_.checkers.OnDifferenceHeld(address_.node, notice_.differing, desk.agreed(), own.back());
    }
  } else if (before.differing && notice_.term && before.term == notice_.term) {
    world_.checkers.OnDifferenceOver(address_.node, before.differing, desk.agreed(),
                                     driver_->membership());
  }
}

/// As server.cc.
void SimRaftd::Tick() {
  // A tick after it could, so that what it said last has left.
  if (told_to_stop_ && driver_->MayStop()) return Stopped();
  driver_->Tick();
  if (stopping_ && !std::exchange(told_to_stop_, true)) driver_->BeginStop();
  Later(machine_.FromOwnTime(world_.options.tick_ms * 1'000), [this] { Tick(); });
}

void SimRaftd::RunJobs() {
  if (executor_.waiting() == 0 || std::exchange(jobs_scheduled_, true)) return;
  Later(random_.Below(world_.options.job_us_max + 1), [this] {
    jobs_scheduled_ = false;
    executor_.RunOne();
    RunJobs();
  });
}

void SimRaftd::SetPeer(NodeId peer, const std::string& endpoint) {
  if (endpoint.empty()) {
    links_.erase(peer);
  } else {
    links_.insert(peer);
  }
}

bool SimRaftd::SendToPeer(NodeId peer, std::string frame) {
  CheckLeaving(peer, Bytes::Copy(frame));
  return links_.contains(peer) && Send({peer, Program::kRaftd}, Door::kListener, std::move(frame));
}

bool SimRaftd::SendToStorage(std::string frame) {
  CheckApply(Bytes::Copy(frame));
  return Send({address_.node, Program::kStoraged}, Door::kListener, std::move(frame));
}

bool SimRaftd::SendToCaller(std::string_view to, std::string frame) {
  const Address peer = world_.network.Find(to);
  if (peer.node && peer.program == Program::kRaftd) CheckLeaving(peer.node, Bytes::Copy(frame));
  return Reply(to, Door::kLink, std::move(frame));
}

void SimRaftd::Observe(const raft::View& view, const raft::Membership& members,
                       const raft::Output& output) {
  if (forgetful_) return;
  SimCheckers& checkers = world_.checkers.raft();
  const std::uint64_t storage_life = machine_.storaged().incarnation();
  if (view.applied < applied_ && storage_life != storage_life_) {
    storage_life_ = storage_life;
    checkers.OnStateMachineLost(address_.node, view.applied);
  }
  applied_ = view.applied;
  checkers.OnOutput(view, members, output);
  for (const raft::Outgoing& outgoing : output.now) {
    ++free_to_leave_[{outgoing.to, HashMessage(outgoing.message)}];
  }
  held_.insert(held_.end(), output.held.begin(), output.held.end());
  if (view.role != role_ || view.term != term_) {
    role_ = view.role;
    term_ = view.term;
    Trace(Kind::kRole, static_cast<std::uint64_t>(role_), view.term.value(), view.leader.value());
  }
  if (view.commit != commit_) {
    commit_ = view.commit;
    Trace(Kind::kCommit, commit_.value());
  }
}

void SimRaftd::OnReported(raft::WriteSeq seq) {
  if (forgetful_) return;
  SimCheckers& checkers = world_.checkers.raft();
  checkers.OnReported(address_.node, seq);
  for (; !held_.empty() && held_.front().after <= seq; held_.pop_front()) {
    checkers.OnReleased(address_.node, held_.front());
    const raft::Outgoing& outgoing = held_.front().outgoing;
    ++free_to_leave_[{outgoing.to, HashMessage(outgoing.message)}];
  }
}

void SimRaftd::NoteProposals(const std::string& from, const Bytes& bytes) {
  const auto frame = proto::DecodeFrame(bytes);
  if (!frame.ok()) return;
  if (proposed_.size() > kProposalsMax) proposed_.clear();
  for (const proto::Packet& packet : frame->packets) {
    const auto* propose = std::get_if<proto::Propose>(&packet.message);
    if (propose != nullptr) proposed_[{from, packet.request}] = HashFrame(propose->command.view());
  }
}

void SimRaftd::NoteProgress(const Bytes& bytes) {
  const auto frame = proto::DecodeFrame(bytes);
  if (!frame.ok()) return;
  for (const proto::Packet& packet : frame->packets) {
    const auto* progress = std::get_if<proto::ApplyProgress>(&packet.message);
    if (progress == nullptr) continue;
    // What was sent to a life before is gone with it.
    if (std::exchange(storage_boot_, frame->header.boot) != frame->header.boot) sent_ = LogIndex();
    sent_ = std::max(sent_, progress->applied);
  }
}

void SimRaftd::CheckApply(const Bytes& bytes) {
  const auto frame = proto::DecodeFrame(bytes);
  if (!frame.ok()) return world_.checkers.Fail("what is sent can be read", FormatAddress(address_));
  for (const proto::Packet& packet : frame->packets) {
    const auto* apply = std::get_if<proto::Apply>(&packet.message);
    if (apply == nullptr || apply->items.empty()) continue;
    const LogIndex first = apply->items.front().entry.index;
    if (first > sent_.Next()) {
      return world_.checkers.Fail("what storaged is sent follows on what it has",
                                  FormatAddress(address_) + " sends from " +
                                      std::to_string(first.value()) + " on after " +
                                      std::to_string(sent_.value()));
    }
    sent_ = std::max(sent_, apply->items.back().entry.index);
    CheckAddresses(*apply);
  }
}

void SimRaftd::CheckAddresses(const proto::Apply& apply) {
  for (const proto::Apply::Item& item : apply.items) {
    const auto proposed = proposed_.find({item.reply_to.router, item.reply_to.request});
    if (proposed == proposed_.end()) continue;
    if (proposed->second == HashFrame(item.entry.payload.view())) continue;
    return world_.checkers.Fail(
        "a reply goes to who has proposed the command",
        FormatAddress(address_) + " index " + std::to_string(item.entry.index.value()));
  }
}

/// The driver may drop what its core said, but add nothing, send nothing twice, and nothing early.
void SimRaftd::CheckLeaving(NodeId peer, const Bytes& bytes) {
  const auto frame = proto::DecodeFrame(bytes);
  if (!frame.ok()) {
    world_.checkers.Fail("what is sent can be read", FormatAddress(address_));
    return;
  }
  for (const proto::Packet& packet : frame->packets) {
    const auto message = RaftMessageOf(packet.message);
    if (!message) continue;
    if (forgetful_) {
      world_.checkers.Fail(
          "a node that lost its log takes no part under its old id",
          FormatAddress(address_) + " to " + FormatNodeId(peer) + ": " + Describe(*message));
      return;
    }
    const auto found = free_to_leave_.find({peer, HashMessage(*message)});
    if (found == free_to_leave_.end()) {
      world_.checkers.Fail(
          "only what the core said leaves, once it may",
          FormatAddress(address_) + " to " + FormatNodeId(peer) + ": " + Describe(*message));
      return;
    }
    if (--found->second == 0) free_to_leave_.erase(found);
  }
}

}  // namespace bedrock::sim
