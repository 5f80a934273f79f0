#include "tests/sim/cluster/sim_storaged.h"

#include <utility>
#include <variant>

#include "common/base/check.h"
#include "proto/codec.h"
#include "proto/command.h"
#include "storaged/core/keyspace.h"
#include "storaged/engine/change_reader.h"
#include "tests/sim/cluster/histories.h"
#include "tests/sim/cluster/sim_machine.h"

namespace bedrock::sim {

using Kind = ClusterTrace::Kind;

namespace {

constexpr TimeUs kTickUs = 1'000'000;
constexpr TimeUs kStopUsMax = 10'000'000;
/// Questions that were never answered (their sender's fault): older ones are forgotten.
constexpr std::size_t kQuestionsMax = 10'000;

/// The command, archiving another value; empty: it archives none.
std::string WithOtherValue(const raft::Entry& entry) {
  auto command = proto::DecodeCommand(entry.payload.view());
  if (entry.kind != raft::EntryKind::kCommand || !command.ok()) return "";
  for (proto::Operation& operation : command->operations) {
    const bool archives = operation.kind == proto::Operation::Kind::kPut &&
                          operation.key.starts_with(Histories::kArchive);
    if (!archives || operation.value.empty()) continue;
    std::string other(operation.value);
    other.front() ^= 1;
    operation.value = other;
    return proto::EncodeCommand(*command);
  }
  return "";
}

const proto::Error& ErrorOf(const proto::Message& answer) {
  if (const auto* got = std::get_if<proto::GetReply>(&answer)) return got->error;
  if (const auto* evaluated = std::get_if<proto::QueryReply>(&answer)) return evaluated->error;
  return std::get<proto::LockReply>(answer).error;
}

}  // namespace

/// The engine, with somebody who looks at what is applied and flushed.
class SimStoraged::WatchedEngine final : public engine::Engine {
 public:
  WatchedEngine(SimStoraged& storaged, std::unique_ptr<engine::Engine> real)
      : storaged_(storaged), real_(std::move(real)) {}

  Status Admit(std::string_view changes) override { return real_->Admit(changes); }
  Status ApplyAdmitted(std::string_view changes, engine::AppliedMark mark) override {
    const auto sabotage = static_cast<Sabotage>(storaged_.world_.options.sabotage);
    const bool broken = storaged_.recovered_ && sabotage != Sabotage::kNone;
    CHECK_MSG(!broken || sabotage != Sabotage::kChecks, "sabotage");
    std::string altered;
    if (storaged_.machine_.to_be_altered() == Alteration::kInEngine) {
      altered = storaged_.Altered(changes);
    }
    const std::string_view done = altered.empty() ? changes : std::string_view(altered);
    Status applied = real_->ApplyAdmitted(broken ? std::string_view() : done, mark);
    if (!applied.ok()) return applied;
    if (!altered.empty()) storaged_.machine_.OnAltered(mark.index);
    storaged_.OnApply(changes, mark);
    return applied;
  }
  bool writes_slowed() const override { return real_->writes_slowed(); }
  std::uint64_t WriteDelayUs(std::size_t bytes) override { return real_->WriteDelayUs(bytes); }
  bool WantsFlush() const override { return real_->WantsFlush(); }
  void StartFlush(std::string client_state) override {
    ++storaged_.world_.stats.flushes;
    real_->StartFlush(std::move(client_state));
  }
  void SetWatermark(Version watermark) override { real_->SetWatermark(watermark); }
  void OnProgress(std::function<void()> callback) override {
    real_->OnProgress(std::move(callback));
  }
  engine::AppliedMark applied() const override { return real_->applied(); }
  Version newest() const override { return real_->newest(); }
  engine::AppliedMark durable_applied() const override { return real_->durable_applied(); }
  std::string client_state() const override { return real_->client_state(); }
  Status Get(std::string_view key, const engine::ReadSettings& settings,
             PinnedValue* value) const override {
    return real_->Get(key, settings, value);
  }
  std::vector<Result<PinnedValue>> MultiGet(std::span<const std::string_view> keys,
                                            const engine::ReadSettings& settings) const override {
    return real_->MultiGet(keys, settings);
  }
  Result<engine::Lookup> Get(std::string_view key, Version at) const override {
    return real_->Get(key, at);
  }
  Result<Version> NewestVersion(std::string_view key) const override {
    return real_->NewestVersion(key);
  }
  Result<bool> ChangedSince(Range range, Version since) const override {
    return real_->ChangedSince(range, since);
  }
  Result<bool> ChangedBetween(Range range, Version after, Version until) const override {
    return real_->ChangedBetween(range, after, until);
  }
  std::unique_ptr<Iterator> NewIterator(const engine::ReadSettings& settings,
                                        Range bounds) const override {
    return real_->NewIterator(settings, bounds);
  }
  Snapshot GetSnapshot() const override { return real_->GetSnapshot(); }
  void Tick() override { real_->Tick(); }
  void RetryNow() override { real_->RetryNow(); }
  void CompactRange(Range range, std::function<void(Status)> done) override {
    real_->CompactRange(range, std::move(done));
  }
  Status Checkpoint(const std::string& directory) override { return real_->Checkpoint(directory); }
  std::uint64_t ApproximateSize(Range range) const override {
    return real_->ApproximateSize(range);
  }
  engine::EngineHealth health() const override { return real_->health(); }
  EngineStats Stats() const override { return real_->Stats(); }
  Status Verify() const override { return real_->Verify(); }

 private:
  SimStoraged& storaged_;
  const std::unique_ptr<engine::Engine> real_;
};

SimStoraged::SimStoraged(const Address& address, const ClusterWorld& world, SimMachine& machine,
                         Random random)
    : SimProcess(address, world, machine, random),
      background_(random.Fork(1)),
      files_(random.Fork(2)) {}

SimStoraged::~SimStoraged() { SimStoraged::Close(); }

LogIndex SimStoraged::applied() const {
  return node_ == nullptr ? LogIndex() : node_->machine().applied();
}

std::optional<ClusterCheckers::Replica> SimStoraged::replica() const {
  if (node_ == nullptr) return std::nullopt;
  return ClusterCheckers::Replica{address_.node, &node_->engine(), &node_->machine()};
}

bool SimStoraged::full() const {
  return node_ != nullptr && node_->core().health() == proto::ErrorCode::kStorageFull;
}

bool SimStoraged::comparable() const {
  if (node_ == nullptr) return false;
  const std::vector<raft::StateCheck>& checks = node_->machine().chain().checks();
  return !checks.empty() && checks.back().kind == raft::StateCheck::Kind::kHash;
}

void SimStoraged::Open() {
  const Environment environment{.file_system = &machine_.disk(kStorageDisk),
                                .clock = &machine_.clock(),
                                .executor = &background_.executor};
  auto node = storage::StorageNode::Open(
      environment, files_.executor,
      {.cluster = kSimCluster,
       .node = address_.node,
       .software = "simulated",
       .engine = world_.options.Engine(),
       .snapshot_bytes_per_second = world_.options.snapshot_bytes_per_second,
       .seed = boot().value(),
       .observe =
           [this](std::unique_ptr<engine::Engine> real) {
             return std::make_unique<WatchedEngine>(*this, std::move(real));
           }},
      [this] { woken_ = true; });
  if (!node.ok()) return Doom("open the data: " + node.status().ToString());
  node_ = std::move(node).value();
  if (machine_.disk(kStorageDisk).crashed()) return;  // in the middle of it: the machine is dead
  const engine::AppliedMark recovered = node_->engine().applied();
  checked_ = LogIndex();
  quarantined_before_ = static_cast<bool>(node_->core().diverged_at());
  if (!recovered.index) machine_.OnDataReplaced();  // it never was on the disk
  if (machine_.quarantined() && !quarantined_before_) {
    world_.checkers.Fail("a quarantine that was noted outlasts a restart", FormatAddress(address_));
  }
  world_.checkers.OnOpened(address_.node, node_->engine());
  if (world_.checkers.failed()) return;
  recovered_ = static_cast<bool>(recovered.index);
  if (recovered_) ++world_.stats.recoveries;
  // What was altered and not yet on the disk is applied once more, as it should be; but a
  // quarantine that was noted stays, whatever the data are.
  if (machine_.altered_at() && recovered.index < machine_.altered_at() &&
      !node_->core().diverged_at()) {
    machine_.OnFoundWhole();
  }
  if (machine_.storage_rots() && machine_.calm() && !machine_.altered_at()) LookForRot();
  frames_ = std::make_unique<proto::PeerFrames>(
      proto::FrameHeader{.cluster = kSimCluster, .node = address_.node, .boot = boot()},
      [this](const std::string& to, std::string frame) {
        // Who is gone asks again when it is back.
        Reply(to, Door::kLink, std::move(frame));
      });
  durable_ = node_->engine().durable_applied().index;
  applied_before_ = recovered.index;
  Trace(Kind::kStart, 1, recovered.index.value(), recovered.term.value());
  Later(machine_.FromOwnTime(kTickUs), [this] { Tick(); });
  RunJobs();
}

/// What is found to be whole must be readable from here on, every byte of it.
void SimStoraged::LookForRot() {
  if (node_->engine().Verify().ok()) {
    machine_.OnFoundWhole();
  } else {
    machine_.OnRotFound();
  }
}

void SimStoraged::Close() {
  if (node_ != nullptr && node_->source() != nullptr) ++world_.stats.fetches_broken;
  background_.executor.Clear();
  files_.executor.Clear();
  node_.reset();
  frames_.reset();
  background_.executor.Clear();
  files_.executor.Clear();
  background_.scheduled = files_.scheduled = false;
  out_.messages.clear();
  out_.to_source.clear();
  entries_.clear();
  questions_.clear();
  altered_command_ = LogIndex();
  locks_term_ = Term();
  locks_asked_for_ = 0;
  woken_ = stopping_ = false;
  source_ = NodeId();
  installed_ = 0;
  fetch_state_ = FetchState::kFinding;
  wakeup_at_ms_.reset();
}

void SimStoraged::OnFrame(const Parcel& parcel) {
  auto frame = proto::DecodeFrame(parcel.frame);
  if (parcel.door == Door::kLink) {
    // Over a link that was given up nothing comes any more.
    if (frame.ok() && parcel.from.node == source_) {
      node_->ReceiveFromSource(std::move(frame).value(), now_ms());
    }
    return;
  }
  if (!frame.ok()) {
    node_->ReceiveMalformed(parcel.sender, frame.status().message());
    return;
  }
  for (const proto::Packet& packet : frame->packets) Note(parcel.sender, packet);
  const bool may_alter = altered_command_ <= applied();
  if (may_alter && machine_.to_be_altered() == Alteration::kInCommand) AlterCommand(*frame);
  node_->Receive(parcel.sender, std::move(frame).value(), now_ms());
}

/// Remembers what the checks will need.
void SimStoraged::Note(const std::string& from, const proto::Packet& packet) {
  if (questions_.size() > kQuestionsMax) questions_.clear();
  if (const auto* apply = std::get_if<proto::Apply>(&packet.message)) {
    for (const proto::Apply::Item& item : apply->items) {
      if (item.entry.index > applied()) entries_.insert_or_assign(item.entry.index, item.entry);
    }
  } else if (const auto* get = std::get_if<proto::Get>(&packet.message)) {
    questions_[{from, packet.request}] = {*get, {}, get->min_version, get->at};
  } else if (const auto* query = std::get_if<proto::Query>(&packet.message)) {
    questions_[{from, packet.request}] = {{}, query->command, query->min_version, query->at};
  } else if (const auto* lock = std::get_if<proto::Lock>(&packet.message)) {
    questions_[{from, packet.request}] = {{}, lock->query, {}, {}};
    OnTerm(lock->term);
    if (lock->term == locks_term_) ++locks_asked_for_;
  }
}

void SimStoraged::OnApply(std::string_view changes, const engine::AppliedMark& mark) {
  const auto entry = entries_.find(mark.index);
  if (entry == entries_.end() || entry->second.term != mark.term) {
    world_.checkers.Fail("storaged applies what raftd gave it",
                         FormatAddress(address_) + " index " + std::to_string(mark.index.value()));
    return;
  }
  Trace(Kind::kApply, mark.index.value(), changes.size());
  if (mark.index.value() <= world_.checkers.applied_entries()) ++world_.stats.replayed;
  const bool altered =
      mark.index == altered_command_ && world_.checkers.IsOtherThan(entry->second.index, changes);
  if (altered) {
    ++world_.stats.altered_commands;
    machine_.OnAltered(mark.index);
    world_.checkers.OnOtherApply(address_.node, entry->second);
  } else {
    world_.checkers.OnApply(address_.node, entry->second, changes);
  }
  entries_.erase(entries_.begin(), std::next(entry));
  OnTerm(mark.term);
}

void SimStoraged::EndTurn() {
  woken_ = false;
  const bool more = node_->Run(now_ms(), out_);
  if (node_->installed() != installed_) OnInstalled();
  for (const storage::Outgoing& answer : out_.messages) {
    if (CheckAnswer(answer)) frames_->Add(answer.to, answer.request, answer.message);
  }
  frames_->Flush();
  out_.messages.clear();
  SendToSource();
  CheckDurable();
  CheckChain();
  CheckLocks();
  applied_before_ = applied();
  quarantined_before_ = static_cast<bool>(node_->core().diverged_at());
  WatchFetch();
  if (!Well()) return;
  if (stopping_ && node_->stopped()) return Stopped();
  if (more || woken_) Later(1, [] {});
  ArmWakeup();
  RunJobs();
}

void SimStoraged::OnStop() {
  stopping_ = true;
  node_->BeginStop();
  Later(machine_.FromOwnTime(kStopUsMax), [this] { Stopped(); });
}

void SimStoraged::OnInstalled() {
  installed_ = node_->installed();
  ++world_.stats.snapshots;
  machine_.OnDataReplaced();
  if (machine_.altered_at()) machine_.OnFoundWhole();  // gone with the data that it was in
  Trace(Kind::kSnapshot, applied().value());
  world_.checkers.OnSnapshot(address_.node, node_->engine());
  checked_ = LogIndex();
  entries_.erase(entries_.begin(), entries_.upper_bound(applied()));
  durable_ = node_->engine().durable_applied().index;
}

void SimStoraged::CheckDurable() {
  const LogIndex durable = node_->engine().durable_applied().index;
  if (durable == durable_) return;
  durable_ = durable;
  Trace(Kind::kFlush, durable.value());
  world_.checkers.OnDurable(address_.node, durable);
}

/// Counts fetches, and lets the machine die where it was to.
void SimStoraged::WatchFetch() {
  const FetchState before = std::exchange(fetch_state_, node_->fetch().state());
  if (fetch_state_ == before) return;
  if (fetch_state_ == FetchState::kOpening) ++world_.stats.fetches;
  if (!fetch_crash_ || static_cast<std::uint64_t>(fetch_state_) != fetch_crash_->stage) return;
  ++world_.stats.fetch_crashes;
  machine_.ArmCrashPoint(kStorageDisk, std::exchange(fetch_crash_, std::nullopt)->calls);
}

bool SimStoraged::Well() {
  const storage::StorageCore& core = node_->core();
  if (core.health() == proto::ErrorCode::kDiverged) machine_.OnQuarantined();
  if (node_->failed() || core.engine_state() == EngineState::kReadOnly) {
    Doom("the engine: " + core.health_detail());
    return false;
  }
  const bool unavailable = core.health() == proto::ErrorCode::kStorageUnavailable;
  const bool rots = machine_.storage_rots() && !machine_.altered_at();
  const bool differs = machine_.storage_rots() && core.diverged_at();
  // It says so, and goes on with what it can, until somebody does something about it.
  if (differs || (rots && (unavailable || core.corrupt_reads() > 0))) machine_.OnRotFound();
  if (rots || differs) return true;
  if (core.diverged_at()) {
    world_.checkers.Fail("only a replica that differs is quarantined", FormatAddress(address_));
    return false;
  }
  if (unavailable) {
    world_.checkers.Fail("storaged goes on", FormatAddress(address_) + ": " + core.health_detail());
    return false;
  }
  if (core.corrupt_reads() > 0) {
    world_.checkers.Fail("reads meet no damage",
                         FormatAddress(address_) + ": " + core.last_corruption());
    return false;
  }
  return true;
}

/// As storage_server.cc: one link at a time, to whom the fetch names.
void SimStoraged::SendToSource() {
  if (out_.to_source.empty()) return;
  if (const proto::FetchSnapshot* wanted = node_->source()) {
    if (wanted->endpoint != "tcp://h" + std::to_string(wanted->source.value()) + ":2") {
      world_.checkers.Fail("a snapshot's source is named by its own endpoint",
                           FormatAddress(address_) + ": " + wanted->endpoint);
      return;
    }
    source_ = wanted->source;
  }
  proto::FrameWriter frame({.cluster = kSimCluster, .node = address_.node, .boot = boot()});
  for (const proto::Message& message : out_.to_source) frame.Add(RequestId(1), 0, message);
  out_.to_source.clear();
  // What is lost is asked for again.
  if (source_) Send({source_, Program::kStoraged}, Door::kListener, frame.Finish());
}

/// While nobody has noticed that the state was altered, wrong answers are kept from whoever asked,
/// as if they were lost: those who read there before that may see anything. Not one leaves later.
bool SimStoraged::CheckAnswer(const storage::Outgoing& answer) {
  if (const auto* reply = std::get_if<proto::CommandReply>(&answer.message)) {
    world_.checkers.OnReply(address_.node, reply->result);
    return true;
  }
  if (!MayLend(answer.message)) return false;
  const auto question = questions_.find({answer.to, answer.request});
  if (question == questions_.end()) return true;
  const Question asked = question->second;
  const bool answers = std::holds_alternative<proto::GetReply>(answer.message) ||
                       std::holds_alternative<proto::QueryReply>(answer.message) ||
                       std::holds_alternative<proto::LockReply>(answer.message);
  if (!answers) return true;
  questions_.erase(question);
  if (quarantined_before_ && ErrorOf(answer.message).ok()) {
    world_.checkers.Fail("who is quarantined serves no reads", FormatAddress(address_));
    return false;
  }
  if (machine_.altered_at() && !node_->core().diverged_at() && !IsRight(asked, answer.message)) {
    ++world_.stats.wrong_answers;
    return false;
  }
  if (const auto* got = std::get_if<proto::GetReply>(&answer.message)) {
    if (got->error.ok()) {
      world_.checkers.OnServed(address_.node, got->read_version, applied_before_);
    }
    if (asked.get) world_.checkers.OnGet(address_.node, *asked.get, *got);
  } else if (const auto* evaluated = std::get_if<proto::QueryReply>(&answer.message)) {
    if (!evaluated->error.ok()) return true;
    world_.checkers.OnServed(address_.node, evaluated->read_version, applied_before_);
    const bool right = evaluated->read_version >= asked.min_version &&
                       (!asked.at || evaluated->read_version == asked.at);
    if (!right) {
      world_.checkers.Fail("a query is at the version it asks for", FormatAddress(address_));
    }
    world_.checkers.OnQuery(address_.node, asked.query.view(), evaluated->result,
                            evaluated->read_version);
  } else if (const auto* locked = std::get_if<proto::LockReply>(&answer.message)) {
    if (locked->error.ok() && !asked.query.empty()) {
      world_.checkers.OnQuery(address_.node, asked.query.view(), locked->result,
                              locked->read_version);
    }
  }
  return true;
}

bool SimStoraged::IsRight(const Question& asked, const proto::Message& answer) const {
  if (const auto* got = std::get_if<proto::GetReply>(&answer)) {
    return !asked.get || world_.checkers.WrongIn(*asked.get, *got).empty();
  }
  const std::string_view query = asked.query.view();
  if (const auto* evaluated = std::get_if<proto::QueryReply>(&answer)) {
    return !evaluated->error.ok() ||
           world_.checkers.WrongIn(query, evaluated->result, evaluated->read_version).empty();
  }
  const auto& locked = std::get<proto::LockReply>(answer);
  return !locked.error.ok() || query.empty() ||
         world_.checkers.WrongIn(query, locked.result, locked.read_version).empty();
}

/// The same for its data as a whole: whoever took it in would be wrong, too.
bool SimStoraged::MayLend(const proto::Message& message) {
  if (!machine_.altered_at()) return true;
  const auto* manifest = std::get_if<proto::SnapshotManifest>(&message);
  const auto* chunk = std::get_if<proto::SnapshotChunk>(&message);
  const bool lends =
      (manifest != nullptr && manifest->id) || (chunk != nullptr && chunk->error.ok());
  if (!lends) return true;
  if (node_->core().diverged_at()) {
    world_.checkers.Fail("who is quarantined lends nobody its data", FormatAddress(address_));
  }
  return false;
}

void SimStoraged::CheckChain() {
  using Found = raft::StateCheck::Kind;
  const storage::StateChain& chain = node_->machine().chain();
  if (chain.checked() <= checked_ || machine_.disk(kStorageDisk).crashed()) return;
  Found before = Found::kUnknown;
  for (const raft::StateCheck& check : chain.checks()) {
    if (before == Found::kHash && check.kind == Found::kUnknown) {
      world_.checkers.Fail(
          "nothing but damage ends what a replica knows of its state",
          FormatAddress(address_) + " index " + std::to_string(check.index.value()));
    }
    before = check.kind;
    if (check.index <= checked_) continue;
    checked_ = check.index;
    ++world_.stats.checks;
    world_.checkers.OnCheck(address_.node, check);
  }
  if (chain.checks().back().kind == raft::StateCheck::Kind::kHash) {
    world_.checkers.OnNextSlice(address_.node, chain.checked(), chain.next());
  }
}

void SimStoraged::OnTerm(Term term) {
  if (term <= locks_term_) return;
  locks_term_ = term;
  locks_asked_for_ = 0;
}

/// Another leader may have given the locks of another term to others.
void SimStoraged::CheckLocks() {
  const std::size_t locks = node_->core().locks();
  if (locks <= locks_asked_for_) return;
  world_.checkers.Fail("locks are those of one term",
                       FormatAddress(address_) + " has " + std::to_string(locks) +
                           ", was asked for " + std::to_string(locks_asked_for_) + " in term " +
                           std::to_string(locks_term_.value()));
}

/// A value that another replica has archived already becomes another one before it is executed.
void SimStoraged::AlterCommand(proto::Frame& frame) {
  for (proto::Packet& packet : frame.packets) {
    auto* apply = std::get_if<proto::Apply>(&packet.message);
    if (apply == nullptr) continue;
    for (proto::Apply::Item& item : apply->items) {
      const LogIndex index = item.entry.index;
      const bool others_did = index.value() <= world_.checkers.applied_entries();
      if (index <= applied() || !others_did) continue;
      std::string other = WithOtherValue(item.entry);
      if (other.empty()) continue;
      item.entry.payload = Bytes(std::move(other));
      altered_command_ = index;
      return;
    }
  }
}

/// Only what is never written again, so that the wrong value stays, and follows from no other.
std::string SimStoraged::Altered(std::string_view changes) const {
  const std::string prefix = storage::EngineKey(Histories::kArchive);
  engine::ChangeReader reader(changes);
  while (reader.Next()) {
    const bool archives = reader.kind() == engine::ChangeReader::Kind::kPut &&
                          reader.key().substr(0, prefix.size()) == prefix;
    if (!archives) continue;
    std::string altered(changes);
    altered[static_cast<std::size_t>(reader.value().data() - changes.data())] ^= 1;
    return altered;
  }
  return "";
}

void SimStoraged::Tick() {
  node_->Tick();
  if (node_->source() == nullptr) source_ = NodeId();
  Later(machine_.FromOwnTime(kTickUs), [this] { Tick(); });
}

void SimStoraged::ArmWakeup() {
  const auto next = node_->NextWakeup();
  if (next == wakeup_at_ms_) return;
  wakeup_at_ms_ = next;
  if (!next) return;
  const TimeUs own = *next > now_ms() ? (*next - now_ms()) * 1'000 : 0;
  Later(machine_.FromOwnTime(own) + 1'000, [this, wakeup = ++wakeup_] {
    if (wakeup == wakeup_) wakeup_at_ms_.reset();
  });
}

void SimStoraged::RunJobs() {
  RunJobs(background_);
  RunJobs(files_);
}

void SimStoraged::RunJobs(Worker& worker) {
  worker.executor.AdvanceMs(now_ms() - std::exchange(worker.at_ms, now_ms()));
  if (worker.executor.waiting() == 0 || std::exchange(worker.scheduled, true)) return;
  const TimeUs delay = machine_.StalledFor(kStorageDisk) +
                       random_.Below(machine_.calm() ? 200 : world_.options.job_us_max + 1);
  Later(delay, [this, &worker] {
    worker.scheduled = false;
    worker.executor.RunOne();
    RunJobs(worker);
  });
}

}  // namespace bedrock::sim
