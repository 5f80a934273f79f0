#include "tests/sim/cluster/sim_storaged.h"

#include <utility>
#include <variant>

#include "proto/codec.h"
#include "tests/sim/cluster/sim_machine.h"

namespace bedrock::sim {

using Kind = ClusterTrace::Kind;

namespace {

constexpr TimeUs kTickUs = 1'000'000;
/// Questions that were never answered (their sender's fault): older ones are forgotten.
constexpr std::size_t kQuestionsMax = 10'000;

}  // namespace

/// The engine, with somebody who looks at what is applied and flushed.
class SimStoraged::WatchedEngine final : public engine::Engine {
 public:
  WatchedEngine(SimStoraged& storaged, std::unique_ptr<engine::Engine> real)
      : storaged_(storaged), real_(std::move(real)) {}

  Status Admit(std::string_view changes) override { return real_->Admit(changes); }
  Status ApplyAdmitted(std::string_view changes, engine::AppliedMark mark) override {
    Status applied = real_->ApplyAdmitted(changes, mark);
    if (applied.ok()) storaged_.OnApply(changes, mark);
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
    : SimProcess(address, world, machine, random), executor_(random.Fork(1)) {}

SimStoraged::~SimStoraged() { SimStoraged::Close(); }

LogIndex SimStoraged::applied() const {
  return machine_state_ == nullptr ? LogIndex() : machine_state_->applied();
}

std::optional<ClusterCheckers::Replica> SimStoraged::replica() const {
  if (core_ == nullptr) return std::nullopt;
  return ClusterCheckers::Replica{address_.node, engine_.get(), machine_state_.get()};
}

void SimStoraged::Open() {
  const Environment environment{.file_system = &machine_.disk(kStorageDisk),
                                .clock = &machine_.clock(),
                                .executor = &executor_};
  auto engine = engine::Engine::Open(environment, world_.options.Engine());
  if (!engine.ok()) return Doom("open the engine: " + engine.status().ToString());
  engine_ = std::make_unique<WatchedEngine>(*this, std::move(engine).value());
  if (machine_.disk(kStorageDisk).crashed()) return;  // in the middle of it: the machine is dead
  const engine::AppliedMark recovered = engine_->applied();
  world_.checkers.OnOpened(address_.node, *engine_);
  if (world_.checkers.failed()) return;
  if (recovered.index) ++world_.stats.recoveries;
  auto state = storage::StateMachine::Open(*engine_);
  if (!state.ok()) return Doom("open the state machine: " + state.status().ToString());
  machine_state_ = std::move(state).value();
  core_ = std::make_unique<storage::StorageCore>(
      *engine_, *machine_state_,
      storage::StorageCore::Options{
          .cluster = kSimCluster, .node = address_.node, .software = "simulated"});
  engine_->OnProgress([this] { progressed_ = true; });
  frames_ = std::make_unique<proto::PeerFrames>(
      proto::FrameHeader{.cluster = kSimCluster, .node = address_.node, .boot = boot()},
      [this](const std::string& to, std::string frame) {
        // Who is gone asks again when it is back.
        Reply(to, Door::kLink, std::move(frame));
      });
  durable_ = engine_->durable_applied().index;
  Trace(Kind::kStart, 1, recovered.index.value(), recovered.term.value());
  Later(machine_.FromOwnTime(kTickUs), [this] { Tick(); });
  RunJobs();
}

void SimStoraged::Close() {
  executor_.Clear();
  core_.reset();
  machine_state_.reset();
  engine_.reset();
  frames_.reset();
  executor_.Clear();
  outgoing_.clear();
  entries_.clear();
  questions_.clear();
  jobs_scheduled_ = progressed_ = false;
  wakeup_at_ms_.reset();
}

void SimStoraged::OnFrame(const Parcel& parcel) {
  auto frame = proto::DecodeFrame(parcel.frame);
  if (!frame.ok()) {
    core_->ReceiveMalformed(parcel.sender, frame.status().message());
    return;
  }
  for (const proto::Packet& packet : frame->packets) Note(parcel.sender, packet);
  core_->Receive(parcel.sender, std::move(frame).value(), now_ms());
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
  world_.checkers.OnApply(address_.node, entry->second, changes);
  entries_.erase(entries_.begin(), std::next(entry));
}

void SimStoraged::EndTurn() {
  if (std::exchange(progressed_, false)) core_->EngineProgressed();
  const bool more = core_->Run(now_ms(), outgoing_);
  for (const storage::Outgoing& answer : outgoing_) {
    CheckAnswer(answer);
    frames_->Add(answer.to, answer.request, answer.message);
  }
  frames_->Flush();
  outgoing_.clear();
  if (const LogIndex durable = engine_->durable_applied().index; durable != durable_) {
    durable_ = durable;
    Trace(Kind::kFlush, durable.value());
    world_.checkers.OnDurable(address_.node, durable);
  }
  const EngineState state = core_->engine_state();
  if (state == EngineState::kFailed || state == EngineState::kReadOnly) {
    return Doom("the engine: " + core_->health_detail());
  }
  if (core_->health() == proto::ErrorCode::kStorageUnavailable) {
    world_.checkers.Fail("storaged goes on",
                         FormatAddress(address_) + ": " + core_->health_detail());
    return;
  }
  if (core_->corrupt_reads() > 0) {
    world_.checkers.Fail("reads meet no damage",
                         FormatAddress(address_) + ": " + core_->last_corruption());
    return;
  }
  if (more) Later(1, [] {});
  ArmWakeup();
  RunJobs();
}

void SimStoraged::CheckAnswer(const storage::Outgoing& answer) {
  if (const auto* reply = std::get_if<proto::CommandReply>(&answer.message)) {
    world_.checkers.OnReply(address_.node, reply->result);
    return;
  }
  const auto question = questions_.find({answer.to, answer.request});
  if (question == questions_.end()) return;
  const Question& asked = question->second;
  if (const auto* got = std::get_if<proto::GetReply>(&answer.message)) {
    if (asked.get) world_.checkers.OnGet(address_.node, *asked.get, *got);
  } else if (const auto* evaluated = std::get_if<proto::QueryReply>(&answer.message)) {
    if (evaluated->error.ok()) {
      const bool right = evaluated->read_version >= asked.min_version &&
                         (!asked.at || evaluated->read_version == asked.at);
      if (!right) {
        world_.checkers.Fail("a query is at the version it asks for", FormatAddress(address_));
      }
      world_.checkers.OnQuery(address_.node, asked.query.view(), evaluated->result,
                              evaluated->read_version);
    }
  } else if (const auto* locked = std::get_if<proto::LockReply>(&answer.message)) {
    if (locked->error.ok() && !asked.query.empty()) {
      world_.checkers.OnQuery(address_.node, asked.query.view(), locked->result,
                              locked->read_version);
    }
  } else {
    return;
  }
  questions_.erase(question);
}

void SimStoraged::Tick() {
  core_->Tick();
  Later(machine_.FromOwnTime(kTickUs), [this] { Tick(); });
}

void SimStoraged::ArmWakeup() {
  const auto next = core_->NextWakeup();
  if (next == wakeup_at_ms_) return;
  wakeup_at_ms_ = next;
  if (!next) return;
  const TimeUs own = *next > now_ms() ? (*next - now_ms()) * 1'000 : 0;
  Later(machine_.FromOwnTime(own) + 1'000, [this, wakeup = ++wakeup_] {
    if (wakeup == wakeup_) wakeup_at_ms_.reset();
  });
}

void SimStoraged::RunJobs() {
  executor_.AdvanceMs(now_ms() - std::exchange(executor_ms_, now_ms()));
  if (executor_.waiting() == 0 || std::exchange(jobs_scheduled_, true)) return;
  const TimeUs delay = machine_.StalledFor(kStorageDisk) +
                       random_.Below(machine_.calm() ? 200 : world_.options.job_us_max + 1);
  Later(delay, [this] {
    jobs_scheduled_ = false;
    executor_.RunOne();
    RunJobs();
  });
}

}  // namespace bedrock::sim
