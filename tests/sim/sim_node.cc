#include "tests/sim/sim_node.h"

#include <algorithm>
#include <sstream>
#include <string>
#include <utility>

#include "common/codec/coding.h"
#include "raftd/core/membership.h"
#include "tests/sim/sim_rot.h"

namespace bedrock::sim {

using Kind = SimTrace::Kind;
using CrashMode = MemoryFileSystem::CrashMode;

namespace {

constexpr std::size_t kPausedInputsMax = 20'000;
/// One append in so many comes with a copy that makes no sense.
constexpr std::uint64_t kGarbledOneIn = 100;
/// Before one heartbeat in so many the leader asks a node to stand, whoever it is.
constexpr std::uint64_t kStrayWishOneIn = 2'000;
/// One request for a vote in so many reaches another node as well.
constexpr std::uint64_t kStrayRequestOneIn = 20;
/// Nodes' wall clocks are that far apart.
constexpr std::uint64_t kWallClocksMs = 1'700;
/// A lease beyond it is that of a leader that needs nobody.
constexpr std::uint64_t kTicksMax = std::uint64_t{1} << 32;
constexpr std::size_t kReadBytesMax = std::size_t{1} << 20;

std::string Payload(std::uint64_t proposal, std::uint64_t bytes) {
  std::string payload;
  PutFixed(payload, proposal);
  payload.resize(std::max<std::size_t>(payload.size(), bytes), static_cast<char>(proposal));
  return payload;
}

/// What no leader could have sent (R24), made of what one did.
raft::AppendRequest Garbled(raft::AppendRequest append, Random& random) {
  const std::uint64_t kind = random.Below(4);
  if (kind == 0 && !append.entries.empty()) {
    append.entries.front().index = append.entries.front().index.Next();
  } else if (kind == 1 && !append.entries.empty()) {
    append.entries.back().term = append.term.Next();
  } else if (kind == 2 && append.prev_index) {
    append.prev_term = Term();
  } else {
    append.prev_term = append.term.Next();
  }
  return append;
}

/// A bit a node.
std::uint64_t MaskOf(const std::vector<NodeId>& nodes) {
  std::uint64_t mask = 0;
  for (const NodeId node : nodes) mask |= std::uint64_t{1} << node.value();
  return mask;
}

}  // namespace

SimNode::SimNode(NodeId id, const SimWorld& world, SimNetwork& network, const Random& random)
    : id_(id),
      world_(world),
      network_(network),
      disk_(random.Fork(1)),
      machine_random_(random.Fork(2)),
      core_random_(random.Fork(3)),
      garble_random_(random.Fork(5)),
      executor_(random.Fork(4)),
      environment_{.file_system = &disk_.files(), .clock = &clock_, .executor = &executor_} {}

SimNode::~SimNode() = default;

std::optional<raft::View> SimNode::view() const {
  if (raft_ == nullptr) return std::nullopt;
  return raft_->GetView();
}

void SimNode::Run(std::uint64_t incarnation, Source source, const std::function<void()>& input) {
  if (incarnation != incarnation_ || life_ == Life::kDown || world_.checkers.failed()) return;
  if (life_ == Life::kPaused) {
    auto& inputs = paused_inputs_.at(static_cast<std::size_t>(source));
    // Only what may be lost is dropped: what the process waits for itself comes in any case.
    if (inputs.size() < kPausedInputsMax || source == Source::kProcess) inputs.push_back(input);
    return;
  }
  clock_.AdvanceMonotonicUs(now() - clock_.MonotonicUs());
  input();
}

void SimNode::Later(TimeUs delay, std::function<void()> input) {
  world_.scheduler.After(delay, [this, incarnation = incarnation_, input = std::move(input)] {
    Run(incarnation, Source::kProcess, input);
  });
}

void SimNode::Start() {
  if (life_ != Life::kDown || gone_ || world_.checkers.failed()) return;
  ++incarnation_;
  life_ = Life::kUp;
  clock_.AdvanceMonotonicUs(now() - clock_.MonotonicUs());
  const bool hurt = world_.checkers.IsHurt(id_);
  vote_slot_lost_ = hurt && IsVoteSlotLost(disk_.files(), kDirectory);
  auto log =
      raft::RaftLog::Open(environment_, MakeLogOptions(), InitialMembership(world_.options, id_));
  if (hurt && !disk_.crashed() && log.status().IsCorruption()) return RefuseToStart(log.status());
  if (!Survives(log.status(), "open the log")) return;
  TakeUp(std::move(log).value());
}

raft::LogOptions SimNode::MakeLogOptions() const {
  return {.directory = kDirectory,
          .cluster = ClusterId(1),
          .node = id_,
          .segment_bytes = world_.options.segment_bytes,
          .spare_segments = world_.options.spare_segments};
}

void SimNode::TakeUp(std::unique_ptr<raft::RaftLog> log) {
  log_ = std::move(log);
  const raft::Recovered& recovered = log_->recovered();
  CheckCommitted(recovered);
  auto entries = ReadBack(recovered);
  if (!Survives(entries.status(), "read the log back")) return;
  world_.checkers.OnOpened(id_, recovered, *entries);
  if (world_.checkers.failed()) return;
  if (recovered.health.torn_tail) ++world_.stats.torn_tails;
  if (recovered.health.damaged) ++world_.stats.damaged_logs;
  if (recovered.health.lost_up_to) ++world_.stats.lost_logs;
  Trace(Kind::kStart, recovered.last_index.value(), recovered.vote.term.value(),
        machine_.now.applied.value());
  raft::Recovered with_promise = recovered;
  // As raftd's file tells: leases may have been on in an earlier life.
  if (promised_) with_promise.promised_ticks = world_.options.limits.election_ticks_min;
  const raft::Limits limits = DrawLimits();
  raft_ = std::make_unique<raft::Raft>(id_, limits, with_promise, core_random_.Next());
  role_ = raft::Role::kFollower;
  rules_ = std::make_unique<SimRules>(*raft_, world_.options, with_promise,
                                      SimRules::LeaseReads(lease_reads_), world_.checkers);
  TellMachine();
  TellPressure();
  TellRoom();
  RunJobs();
  if (world_.options.scrub_us > 0) Later(world_.options.scrub_us, [this] { Scrub(); });
  Tick();
}

/// The vote file may be newer than the end that was lost, and of what stood there in the place of
/// what stands there now.
void SimNode::CheckCommitted(const raft::Recovered& recovered) {
  const auto told = std::exchange(committed_by_rest_, std::nullopt);
  if (!told || recovered.commit_hint <= *told) return;
  world_.checkers.Fail("a log that lost its end takes for committed only what the rest tells",
                       FormatNodeId(id_) + " " + std::to_string(recovered.commit_hint.value()) +
                           " instead of " + std::to_string(told->value()));
}

/// All that may be read; what is in doubt must not be.
Result<std::vector<raft::Entry>> SimNode::ReadBack(const raft::Recovered& recovered) {
  const LogIndex first = recovered.prev_index.Next();
  const auto& damaged = recovered.health.damaged;
  if (!damaged) return ReadAll(first, recovered.last_index);
  const auto doubtful = log_->Read(std::max(first, damaged->first), damaged->last, kReadBytesMax);
  if (!doubtful.status().IsCorruption()) {
    world_.checkers.Fail("what is in doubt is not read", FormatNodeId(id_));
  }
  auto entries = ReadAll(first, damaged->first.Prev());
  if (!entries.ok()) return entries;
  auto behind = ReadAll(damaged->last.Next(), recovered.last_index);
  if (!behind.ok()) return behind;
  for (raft::Entry& entry : *behind) entries->push_back(std::move(entry));
  return entries;
}

raft::Limits SimNode::DrawLimits() {
  raft::Limits limits = world_.options.limits;
  const PerMille chance = world_.options.lease_reads;
  lease_reads_ = chance == 1000 || (chance > 0 && machine_random_.Chance(chance, 1000));
  limits.lease_reads = lease_reads_;
  promised_ = promised_ || lease_reads_;
  return limits;
}

/// Not always, so that what is heard and asked for is also answered by the clock's own tick.
void SimNode::TellTime() {
  if (!lease_reads_ || raft_ == nullptr || machine_random_.Chance(1, 2)) return;
  raft_->Tick(now() / TickInterval());
  rules_->OnTick(now() / TickInterval());
  Drain();
}

Result<std::vector<raft::Entry>> SimNode::ReadAll(LogIndex first, LogIndex last) {
  std::vector<raft::Entry> entries;
  while (first <= last) {
    auto part = log_->Read(first, last, kReadBytesMax);
    if (!part.ok()) return std::move(part).status();
    if (part->empty()) return Status::Corruption("a read gave no entry");
    first = part->back().index.Next();
    for (raft::Entry& entry : *part) entries.push_back(std::move(entry));
  }
  return entries;
}

bool SimNode::Survives(const Status& status, std::string_view doing) {
  if (disk_.crashed()) {
    ++world_.stats.crash_points;
    Crash(CrashMode::kRandom, LoseStateMachine::kYes, DrawDown());
    return false;
  }
  if (status.ok()) return true;
  if (status.IsCorruption() && log_ != nullptr && world_.checkers.IsHurt(id_)) {
    // What was read has rotted. The process ends, and recovery has to look at it.
    ++world_.stats.rot_reads;
    Crash(CrashMode::kProcessOnly, LoseStateMachine::kNo, DrawDown());
    return false;
  }
  // Without room no log is begun; one that is there goes on (R75).
  if (disk_.fails() || (status.IsNoSpace() && disk_.full() && log_ == nullptr)) {
    // raftd ends at the first failed write, and may be started again on a cache that shows what a
    // failed sync never wrote (fsyncgate); or somebody restarts the machine.
    const bool power = disk_.random().Chance(1, 3);
    Crash(power ? CrashMode::kRandom : CrashMode::kProcessOnly, LoseStateMachine(power),
          DrawDown());
    return false;
  }
  world_.checkers.Fail("the log works on a disk that does",
                       std::string(doing) + " on " + FormatNodeId(id_) + ": " + status.ToString());
  return false;
}

void SimNode::Crash(CrashMode mode, LoseStateMachine lose, TimeUs down_us) {
  if (life_ == Life::kDown) return;
  const bool power = mode != CrashMode::kProcessOnly;
  ++(power ? world_.stats.power_cuts : world_.stats.process_crashes);
  // A power cut takes the state machine's process along.
  const bool lost = static_cast<bool>(lose) || power;
  Trace(Kind::kCrash, static_cast<std::uint64_t>(mode), lost ? 1 : 0);
  // The files die first: what the log does in its destructor must not reach them.
  disk_.Crash(mode);
  Die();
  if (lost) machine_.now = machine_.durable;
  world_.scheduler.After(calm_ ? 0 : down_us, [this] { Start(); });
}

/// Forgets everything that only the process knew.
void SimNode::Die() {
  life_ = Life::kDown;
  ++incarnation_;
  executor_.Clear();
  rules_.reset();
  raft_.reset();
  log_.reset();
  executor_.Clear();
  for (auto& inputs : paused_inputs_) inputs.clear();
  held_.clear();
  waiting_.clear();
  stuck_ = room_wanted_ = false;
  synced_ = {};
  to_apply_.clear();
  proposed_.clear();
  commit_ = {};
  wish_ = {};
  if (fetching_) ++world_.stats.snapshots_broken;
  fetching_.reset();
  pressure_ = {};
  installed_ = fetch_scheduled_ = false;
  sync_scheduled_ = apply_scheduled_ = jobs_scheduled_ = told_stalled_ = false;
  unsynced_since_ = report_at_ = 0;
  crash_in_sync_ = 0;
  world_.checkers.OnStopped(id_);
}

void SimNode::Receive(NodeId from, const SimNetwork::MessagePtr& message) {
  Run(incarnation_, Source::kPeers, [this, from, message] {
    world_.trace.AddMessage(now(), Kind::kDeliver, from, id_, message);
    HearGarbled(from, *message);
    if (raft_ == nullptr) return;
    raft_->Receive(from, *message);
    rules_->OnMessage(from, *message);
    Drain();
    TellTime();
  });
}

/// Sometimes a peer's bug says something first that no leader would.
void SimNode::HearGarbled(NodeId from, const raft::Message& message) {
  raft::Message garbled;
  if (const auto* append = std::get_if<raft::AppendRequest>(&message)) {
    if (!garble_random_.Chance(1, kGarbledOneIn)) return;
    garbled = Garbled(*append, garble_random_);
  } else if (const auto* heartbeat = std::get_if<raft::Heartbeat>(&message)) {
    if (calm_ || !garble_random_.Chance(1, kStrayWishOneIn)) return;
    // Of the log as it is, or of what it was or will be: that wish is void. No lease outlives a
    // wish that its leader knows nothing of, so where there are leases all are void.
    LogIndex last = raft_->GetView().last_index;
    if (garble_random_.Chance(1, 2) || world_.options.lease_reads > 0)
      last = last ? last.Prev() : last.Next();
    garbled = raft::TimeoutNow{.term = heartbeat->term, .last_index = last};
    world_.checkers.OnStrayWish(id_, heartbeat->term);
  } else {
    return;
  }
  raft_->Receive(from, garbled);
  rules_->OnMessage(from, garbled);
  Drain();
}

void SimNode::Propose(const std::vector<std::uint64_t>& proposals, std::uint64_t payload_bytes) {
  Run(incarnation_, Source::kClients, [this, proposals, payload_bytes] {
    std::vector<Bytes> payloads;
    for (const std::uint64_t proposal : proposals) {
      payloads.emplace_back(Payload(proposal, payload_bytes));
    }
    const bool moving = static_cast<bool>(raft_->GetView().handing_over_to);
    std::uint64_t bytes = 0;
    for (const Bytes& payload : payloads) bytes += payload.size();
    const std::uint64_t wall_ms = now() / 1000 + id_.value() % 3 * kWallClocksMs;
    const raft::FreesRoom frees_room(told_low_ && machine_random_.Chance(1, 2));
    const raft::Proposed proposed = raft_->Propose(payloads, wall_ms, frees_room);
    if (told_low_ && !frees_room && !proposed.refused.has_value()) {
      world_.checkers.Fail("a leader with little room takes what frees room", FormatNodeId(id_));
    }
    rules_->OnProposed(proposals.size(), bytes, proposed);
    if (moving != (proposed.refused == raft::Refused::kMoving)) {
      world_.checkers.Fail("a leader takes no proposals while it hands over", FormatNodeId(id_));
    }
    Trace(Kind::kPropose, proposed.first.value(), proposed.count,
          proposed.refused.has_value() ? 1 : 0);
    if (proposed.refused.has_value()) {
      for (const std::uint64_t proposal : proposals) world_.checkers.OnRefused(proposal);
    }
    for (std::uint64_t i = 0; i < proposed.count; ++i) {
      proposed_[proposed.first + i] = proposed.term;
    }
    Drain();
  });
}

void SimNode::Read(raft::Ticket ticket) {
  Run(incarnation_, Source::kClients, [this, ticket] {
    Trace(Kind::kRead, ticket.value());
    world_.checkers.OnRead(id_, ticket);
    raft_->Read(ticket);
    rules_->OnRead(ticket);
    Drain();
    TellTime();
  });
}

void SimNode::Transfer(NodeId to) {
  Run(incarnation_, Source::kClients, [this, to] {
    const raft::Transferring result = raft_->Transfer(to);
    Trace(Kind::kTransfer, to.value(), static_cast<std::uint64_t>(result));
    if (result == raft::Transferring::kStarted) ++world_.stats.transfers;
    Drain();
  });
}

void SimNode::Reconfigure(const raft::Delta& delta) {
  Run(incarnation_, Source::kClients, [this, delta] {
    const raft::Reconfiguring result = raft_->Reconfigure(delta);
    Trace(Kind::kReconfigure, static_cast<std::uint64_t>(result));
    if (result == raft::Reconfiguring::kStarted) ++world_.stats.reconfigurations;
    Drain();
  });
}

void SimNode::LinkReset(NodeId member) {
  Run(incarnation_, Source::kPeers, [this, member] {
    raft_->LinkReset(member);
    rules_->OnLinkReset(member);
    Drain();
  });
}

void SimNode::Tick() {
  const TimeUs interval = TickInterval();
  Trace(Kind::kTick, now() / interval);
  raft_->Tick(now() / interval);
  rules_->OnTick(now() / interval);
  Drain();
  if (raft_ != nullptr) CheckStall();
  if (raft_ != nullptr) Later(interval, [this] { Tick(); });
}

/// As the driver does: a write that has waited for an election timeout is a stalled disk (R77).
void SimNode::CheckStall() {
  const TimeUs timeout = world_.options.limits.election_ticks_min * world_.options.tick_us;
  if (told_stalled_ || unsynced_since_ == 0 || now() - unsynced_since_ < timeout) return;
  told_stalled_ = true;
  raft_->DiskStalled(true);
  rules_->OnDiskStalled();
  Drain();
}

void SimNode::Drain() {
  // A core that always has something to say would hang the run; nothing real comes near this.
  constexpr int kPollsMax = 1'000'000;
  for (int polls = 0; raft_ != nullptr && !world_.checkers.failed(); ++polls) {
    raft::Output output = raft_->Poll();
    Observe(output);
    if (output.empty()) break;
    if (polls == kPollsMax) {
      world_.checkers.Fail("a core comes to rest", FormatNodeId(id_));
      return;
    }
    CarryOut(std::move(output));
  }
}

/// Looks at the core before anything of the output is carried out, since that may end the process.
void SimNode::Observe(const raft::Output& output) {
  const raft::View view = raft_->GetView();
  const raft::Membership& members = raft_->membership();
  const bool for_ever = view.lease_until > kTicksMax;
  world_.checkers.OnLease(view, for_ever ? UINT64_MAX : view.lease_until * TickInterval(), now());
  world_.checkers.OnOutput(view, members, output);
  rules_->OnOutput(*raft_, view, output);
  if (output.membership_changed) {
    Trace(Kind::kMembers, view.membership_index.value(), MaskOf(members.voters),
          MaskOf(members.outgoing));
  }
  if (view.role != role_) {
    role_ = view.role;
    const bool stands = role_ == raft::Role::kPreCandidate || role_ == raft::Role::kCandidate;
    if (stands && told_full_ && !IsSoleVoter()) {
      world_.checkers.Fail("a node without room does not stand", FormatNodeId(id_));
    }
    Trace(Kind::kRole, static_cast<std::uint64_t>(role_), view.term.value(), view.leader.value());
  }
  if (view.commit != commit_) {
    commit_ = view.commit;
    Trace(Kind::kCommit, commit_.value());
  }
}

void SimNode::CarryOut(raft::Output output) {
  if (world_.checkers.failed()) return;
  if (output.write.has_value()) Submit(*output.write);
  if (raft_ == nullptr) return;  // the write's call crashed: nothing left this node
  for (raft::Outgoing& outgoing : output.now) Send(std::move(outgoing));
  for (raft::HeldMessage& held : output.held) held_.push_back(std::move(held));
  // A state machine that has just become another one takes nothing until the core knows.
  if (output.apply.has_value() && !installed_) {
    if (output.apply->first != handed_.Next()) {
      world_.checkers.Fail("ranges to apply have no gaps", FormatNodeId(id_));
      return;
    }
    handed_ = output.apply->last;
    to_apply_.push_back(std::move(*output.apply));
    if (!std::exchange(apply_scheduled_, true)) {
      Later(DrawApply(), [this] { Apply(); });
    }
  }
  for (const raft::ReadReady& ready : output.reads_ready) {
    ++world_.stats.reads_served;
    if (ready.leased) ++world_.stats.lease_reads;
    Trace(Kind::kReadReady, ready.ticket.value(), ready.index.value());
    if (world_.checkers.OnReadReady(ready)) ++world_.stats.stale_leases;
  }
  for (const raft::Ticket ticket : output.reads_failed) {
    Trace(Kind::kReadFailed, ticket.value());
    world_.checkers.OnReadFailed(ticket);
  }
  for (const raft::Fetch& fetch : output.fetches) {
    DoFetch(fetch);
    if (raft_ == nullptr) return;
  }
  if (output.compact_up_to) {
    ++world_.stats.compactions;
    Trace(Kind::kCompact, output.compact_up_to.value());
    if (output.compact_up_to > machine_.durable.applied) {
      world_.checkers.Fail("only what is durably applied is compacted", FormatNodeId(id_));
    }
    if (!Survives(log_->Compact(output.compact_up_to), "compact")) return;
    RunJobs();
    TellPressure();
  }
  if (output.snapshot_wanted) OnWish(*output.snapshot_wanted);
}

/// A request for a vote sometimes reaches another node as well: an address may be somebody else's
/// by now, and whoever is asked has to know what its vote is worth.
void SimNode::Send(raft::Outgoing outgoing) {
  const bool asks = std::holds_alternative<raft::VoteRequest>(outgoing.message);
  if (asks && garble_random_.Chance(1, kStrayRequestOneIn) && !calm_) {
    const NodeId stray(garble_random_.Between(1, world_.options.nodes));
    if (stray != id_) network_.Send(id_, stray, outgoing.message);
  }
  network_.Send(id_, outgoing.to, std::move(outgoing.message));
}

bool SimNode::IsSoleVoter() const {
  const raft::Membership& members = raft_->membership();
  return members.outgoing.empty() && members.voters == std::vector<NodeId>{id_};
}

void SimNode::DoFetch(const raft::Fetch& fetch) {
  ++world_.stats.fetches;
  auto entries = log_->Read(fetch.first, fetch.last, fetch.bytes_max);
  if (!Survives(entries.status(), "fetch")) return;
  Trace(Kind::kFetch, fetch.follower.value(), fetch.first.value(), entries->size());
  // The disk takes its time: the log may have been cut when the core gets what it asked for.
  Later(disk_.random().Below(world_.options.report_us_max + 1),
        [this, follower = fetch.follower, entries = std::move(*entries)] {
          raft_->Fetched(follower, entries);
          Drain();
        });
}

void SimNode::Pause(TimeUs us) {
  if (life_ != Life::kUp || calm_) return;
  ++world_.stats.pauses;
  Trace(Kind::kPause, us);
  life_ = Life::kPaused;
  world_.scheduler.After(us, [this, incarnation = incarnation_] {
    if (incarnation != incarnation_ || life_ != Life::kPaused) return;
    Resume();
  });
}

/// A burst, as when a stopped process goes on: each source's inputs in the order in which they
/// came, but the sources in any: they are different sockets.
void SimNode::Resume() {
  Trace(Kind::kResume);
  life_ = Life::kUp;
  auto inputs = std::exchange(paused_inputs_, {});
  std::size_t left = 0;
  for (const auto& queue : inputs) left += queue.size();
  const std::uint64_t incarnation = incarnation_;
  for (; left > 0; --left) {
    std::size_t source = machine_random_.Below(inputs.size());
    while (inputs.at(source).empty()) source = (source + 1) % inputs.size();
    const auto input = std::move(inputs.at(source).front());
    inputs.at(source).pop_front();
    Run(incarnation, static_cast<Source>(source), input);
  }
}

void SimNode::SetClock(std::uint64_t rate_per_mille) { rate_per_mille_ = rate_per_mille; }

void SimNode::Calm() {
  calm_ = true;
  crash_in_sync_ = 0;
  low_on_space_ = false;
  disk_.Calm();
  TellSpace();
  Start();
}

void SimNode::StopForEver() {
  gone_ = true;
  if (life_ == Life::kDown) return;
  Crash(CrashMode::kProcessOnly, LoseStateMachine::kNo, 0);
}

}  // namespace bedrock::sim
