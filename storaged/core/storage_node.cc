#include "storaged/core/storage_node.h"

#include <iterator>
#include <utility>
#include <variant>

#include "common/base/status_macros.h"
#include "storaged/snapshot/manifest.h"

namespace bedrock::storage {
namespace {

using proto::ErrorCode;

constexpr std::uint64_t kNoteAgainMs = 1'000;

Environment FilesOf(const Environment& environment, Executor& files) {
  Environment own = environment;
  own.executor = &files;
  return own;
}

}  // namespace

Result<StorageNode::Data> StorageNode::OpenData(const Environment& environment,
                                                const Options& options,
                                                const std::string& directory) {
  engine::EngineOptions own = options.engine;
  own.directory = directory;
  Data data;
  ASSIGN_OR_RETURN(data.engine, engine::Engine::Open(environment, own));
  if (options.observe) data.engine = options.observe(std::move(data.engine));
  ASSIGN_OR_RETURN(data.machine, StateMachine::Open(*data.engine));
  return data;
}

Result<std::unique_ptr<StorageNode>> StorageNode::Open(const Environment& environment,
                                                       Executor& files, Options options,
                                                       std::function<void()> wake) {
  ASSIGN_OR_RETURN(DataFolder folder,
                   DataFolder::Open(*environment.file_system, options.engine.directory));
  ASSIGN_OR_RETURN(Data data, OpenData(environment, options, folder.engine()));
  ASSIGN_OR_RETURN(const LogIndex quarantined_at, folder.quarantined_at());
  // Data that hold nothing can't be wrong: they are new, in a folder of the old one's name. What
  // was noted of the old ones must not come upon them at a later start.
  const bool empty = !data.engine->applied().index;
  if (empty) RETURN_IF_ERROR(folder.ForgetQuarantine());
  const bool quarantined = quarantined_at && !empty;
  std::unique_ptr<StorageNode> node(new StorageNode(
      environment, files, std::move(options), std::move(folder), std::move(data), std::move(wake)));
  if (quarantined) {
    node->core_->Quarantine(quarantined_at);
    node->core_->QuarantineNoted();
  }
  return node;
}

StorageNode::StorageNode(const Environment& environment, Executor& files, Options options,
                         DataFolder folder, Data data, std::function<void()> wake)
    : environment_(environment),
      options_(std::move(options)),
      wake_(std::move(wake)),
      folder_(std::move(folder)),
      data_(std::move(data)),
      engine_(data_.engine.get()),
      machine_(data_.machine.get()),
      source_(FilesOf(environment, files), folder_,
              {.bytes_per_second = options_.snapshot_bytes_per_second, .seed = options_.seed},
              wake_),
      fetch_(FilesOf(environment, files), folder_, wake_),
      errands_(files, wake_) {
  StartCore();
}

StorageNode::~StorageNode() = default;

void StorageNode::StartCore() {
  core_ = std::make_unique<StorageCore>(
      *engine_, *machine_,
      StorageCore::Options{
          .cluster = options_.cluster,
          .node = options_.node,
          .software = options_.software,
          .other = [this](std::string_view from, const proto::Frame& frame, proto::Packet& packet) {
            return OnOther(from, frame, packet);
          }});
  engine_->OnProgress([this] {
    progressed_.store(true, std::memory_order_release);
    wake_();
  });
  source_.Attach(*engine_);
}

void StorageNode::Receive(std::string_view from, proto::Frame frame, std::uint64_t now_ms) {
  now_ms_ = now_ms;
  core_->Receive(from, std::move(frame), now_ms);
}

void StorageNode::ReceiveMalformed(std::string_view from, std::string_view reason) {
  core_->ReceiveMalformed(from, reason);
}

bool StorageNode::OnOther(std::string_view from, const proto::Frame& frame, proto::Packet& packet) {
  if (const auto* fetch = std::get_if<proto::FetchSnapshot>(&packet.message)) {
    OnFetch(from, frame, packet, *fetch);
  } else if (const auto* quarantine = std::get_if<proto::Quarantine>(&packet.message)) {
    OnQuarantine(from, frame, packet, *quarantine);
  } else if (core_->diverged_at() && RefuseReader(from, packet)) {
    return true;
  } else if (const auto* open = std::get_if<proto::SnapshotOpen>(&packet.message)) {
    source_.Open(from, packet.request, *open, now_ms_);
  } else if (const auto* read = std::get_if<proto::SnapshotRead>(&packet.message)) {
    source_.Read(from, packet.request, *read, now_ms_);
  } else if (const auto* close = std::get_if<proto::SnapshotClose>(&packet.message)) {
    source_.Close(from, *close);
  } else {
    return false;
  }
  return true;
}

bool StorageNode::RefuseReader(std::string_view from, const proto::Packet& packet) {
  const proto::Error error =
      MakeError(ErrorCode::kStorageUnavailable, "what this node holds differs from other replicas");
  if (std::holds_alternative<proto::SnapshotOpen>(packet.message)) {
    proto::SnapshotManifest manifest;
    manifest.error = error;
    out_.push_back({std::string(from), packet.request, std::move(manifest)});
    return true;
  }
  if (const auto* read = std::get_if<proto::SnapshotRead>(&packet.message)) {
    proto::SnapshotChunk chunk;
    chunk.error = error;
    chunk.id = read->id;
    chunk.file = read->file;
    chunk.offset = read->offset;
    out_.push_back({std::string(from), packet.request, std::move(chunk)});
    return true;
  }
  return false;
}

// ---- Quarantine

void StorageNode::OnQuarantine(std::string_view from, const proto::Frame& frame,
                               const proto::Packet& packet, const proto::Quarantine& quarantine) {
  if (frame.header.node != options_.node) {
    core_->Refuse(from, packet.request, ErrorCode::kInvalidArgument,
                  "only a node's own raftd may judge what its storaged holds");
    return;
  }
  core_->TellProgressTo(std::string(from));  // also where nothing comes of it
  // About other data than these: what was said of them came late.
  const raft::StateCheck& check = quarantine.check;
  if (!machine_->chain().Gave(check) || check.kind == raft::StateCheck::Kind::kUnknown) return;
  if (core_->diverged_at()) return;
  core_->Quarantine(check.index);
  NoteQuarantine();
}

void StorageNode::NoteQuarantine() {
  note_at_ms_.reset();
  errands_.Send([this, folder = folder_, index = core_->diverged_at()] {
    return [this, index, status = folder.Quarantine(index)] {
      if (core_->diverged_at() != index) return;  // a snapshot has taken the data's place
      quarantine_fault_ = status;
      if (status.ok()) {
        core_->QuarantineNoted();
      } else {
        note_at_ms_ = now_ms_ + kNoteAgainMs;
      }
    };
  });
}

void StorageNode::OnFetch(std::string_view from, const proto::Frame& frame,
                          const proto::Packet& packet, const proto::FetchSnapshot& wanted) {
  if (frame.header.node != options_.node || wanted.source == options_.node ||
      wanted.endpoint.empty()) {
    core_->Refuse(from, packet.request, ErrorCode::kInvalidArgument,
                  "storaged fetches for its own raftd alone, and from another node");
    return;
  }
  raftd_ = from;
  // What is being installed is left alone, and what is applied already not fetched (R61).
  const bool known = wanted.at_least <= machine_->applied();
  if (install_ == Install::kNone && !stopping_ && !known) fetch_.Want(wanted, now_ms_);
  out_.push_back({raftd_, packet.request, fetch_.Progress()});
}

void StorageNode::ReceiveFromSource(proto::Frame frame, std::uint64_t now_ms) {
  const auto* from = source();
  if (from == nullptr) return;
  if (frame.header.protocol != proto::kProtocolVersion ||
      frame.header.cluster != options_.cluster) {
    fetch_.Fail(MakeError(ErrorCode::kWrongCluster,
                          "the source is of cluster " + FormatClusterId(frame.header.cluster)));
    return;
  }
  if (frame.header.node != from->source) {
    fetch_.Fail(MakeError(ErrorCode::kInvalidArgument, "what answers at " + from->endpoint +
                                                           " is the storaged of " +
                                                           FormatNodeId(frame.header.node)));
    return;
  }
  for (auto& packet : frame.packets) fetch_.Receive(std::move(packet.message), now_ms);
}

const proto::FetchSnapshot* StorageNode::source() const {
  return fetch_.active() ? &fetch_.source() : nullptr;
}

bool StorageNode::Run(std::uint64_t now_ms, Output& out) {
  now_ms_ = now_ms;
  errands_.Return();
  if (install_ == Install::kPointed) Swap(now_ms, out);
  if (note_at_ms_ && *note_at_ms_ <= now_ms) NoteQuarantine();
  if (progressed_.exchange(false, std::memory_order_acquire)) core_->EngineProgressed();

  std::vector<SnapshotSource::Answer> answers;
  source_.Run(now_ms, answers);
  for (auto& answer : answers) {
    out.messages.push_back({std::move(answer.to), answer.request, std::move(answer.message)});
  }
  if (source_.TakeFlushWanted(now_ms)) core_->Flush();

  fetch_.Run(now_ms, out.to_source);
  if (install_ == Install::kNone && fetch_.manifest().id &&
      fetch_.manifest().index <= machine_->applied()) {
    fetch_.Discard();
  }
  BeginInstall();
  if (fetch_.TakeChanged() && !raftd_.empty()) {
    out_.push_back({raftd_, RequestId(), fetch_.Progress()});
  }
  core_->Set({.fetch = fetch_.Progress(), .kept = source_.kept()});
  std::move(out_.begin(), out_.end(), std::back_inserter(out.messages));
  out_.clear();
  return core_->Run(now_ms, out.messages);
}

std::optional<std::uint64_t> StorageNode::NextWakeup() const {
  auto next = core_->NextWakeup();
  for (const auto other : {source_.NextWakeup(), fetch_.NextWakeup(), note_at_ms_}) {
    if (other && (!next || *other < *next)) next = other;
  }
  return next;
}

void StorageNode::BeginStop() {
  stopping_ = true;
  core_->BeginStop();
}

// ---- Installing

void StorageNode::BeginInstall() {
  // A checkpoint that is being made holds on to the engine.
  if (install_ != Install::kNone || stopping_ || source_.uses_engine() ||
      fetch_.state() != SnapshotFetch::State::kComplete) {
    return;
  }
  install_ = Install::kTrying;
  trial_ = std::make_shared<Data>();
  errands_.Send([this, trial = trial_, environment = environment_, options = options_,
                 manifest = fetch_.manifest(),
                 folder = folder_.SnapshotFolder(fetch_.manifest().id)]() mutable {
    auto opened = OpenData(environment, options, folder);
    Status status = opened.status();
    if (status.ok()) {
      *trial = std::move(opened).value();
      const engine::AppliedMark mark{.index = manifest.index, .term = manifest.term};
      if (trial->engine->applied() != mark) {
        status = Status::Corruption("the snapshot is not of the entry that it says");
      }
    }
    trial.reset();
    return [this, status = std::move(status)] { Tried(status); };
  });
}

void StorageNode::EndInstall(const Status& why) {
  install_ = Install::kNone;
  trial_.reset();
  if (why.ok()) {
    fetch_.Discard();
  } else if (why.IsCorruption()) {
    fetch_.Discard(MakeError(ErrorCode::kCorruption, why.message()));
  } else {
    fetch_.Fail(MakeError(
        why.IsNoSpace() ? ErrorCode::kStorageFull : ErrorCode::kStorageUnavailable, why.message()));
  }
}

void StorageNode::Tried(const Status& status) {
  if (!status.ok() || fetch_.manifest().index <= machine_->applied() || source_.uses_engine()) {
    // Begun meanwhile: a checkpoint. The files stay, and it is tried again.
    if (status.ok() && fetch_.manifest().index > machine_->applied()) {
      install_ = Install::kNone;
      trial_.reset();
      return;
    }
    EndInstall(status);
    return;
  }
  install_ = Install::kPointing;
  core_->Hold();
  source_.Detach();
  errands_.Send([this, folder = folder_, id = fetch_.manifest().id] {
    return [this, pointed = folder.Point(id)] { Pointed(pointed); };
  });
}

void StorageNode::Pointed(const DataFolder::Pointed& pointed) {
  switch (pointed.outcome) {
    case DataFolder::Outcome::kDone:
      install_ = Install::kPointed;
      return;
    case DataFolder::Outcome::kNothing:
      core_->Release();
      source_.Attach(*engine_);
      EndInstall(pointed.why);
      return;
    case DataFolder::Outcome::kUnknown:
      // Held for ever: what would be applied now might be gone after a restart, though raftd had
      // been told that it is durable.
      failed_ = true;
      return;
  }
}

void StorageNode::Swap(std::uint64_t now_ms, Output& out) {
  core_->Leave(MakeError(ErrorCode::kStorageUnavailable, "a snapshot was installed; ask again"));
  core_->Run(now_ms, out.messages);
  const std::string raftd = core_->raftd().empty() ? raftd_ : core_->raftd();
  core_.reset();
  data_.machine.reset();
  data_.engine.reset();
  errands_.Send([&file_system = *environment_.file_system, old = folder_.engine(),
                 folder = folder_.SnapshotFolder(fetch_.manifest().id), data = folder_] {
    // What stays is removed at the next start.
    (void)RemoveFolder(file_system, old);
    (void)file_system.Remove(JoinPath(folder, kSnapshotFileName));
    (void)data.ForgetQuarantine();
    return [] {};
  });
  folder_.Moved(fetch_.manifest().id);
  data_ = std::move(*trial_);
  trial_.reset();
  engine_ = data_.engine.get();
  machine_ = data_.machine.get();
  install_ = Install::kNone;
  quarantine_fault_ = Status::Ok();
  note_at_ms_.reset();
  ++installed_;
  fetch_.Installed();
  StartCore();
  core_->TellProgressTo(raftd);
  if (stopping_) core_->BeginStop();
}

}  // namespace bedrock::storage
