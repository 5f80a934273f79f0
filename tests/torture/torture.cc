#include "tests/torture/torture.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "bedrock/db.h"
#include "common/env/environment.h"
#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "tests/torture/model.h"
#include "tests/torture/workload.h"

namespace bedrock::torture {

namespace {

constexpr const char* kDirectory = "/data";
constexpr std::size_t kTraceLines = 40;
constexpr std::size_t kHeldMax = 4;
/// Longest pause of the engine after a failure, and some.
constexpr std::uint64_t kPauseMs = 20'000;

bool SaysNothingIsKept(const Status& status) { return status.IsInvalidArgument(); }

/// An iterator that lives on while the database changes, and what it has to show.
struct HeldIterator {
  std::unique_ptr<Iterator> walk;
  std::vector<Seen> expected;
  std::string begin;
};

class Run {
 public:
  explicit Run(std::uint64_t seed)
      : seed_(seed),
        random_(Random(seed).Fork(1)),
        workload_(Random(seed).Fork(2)),
        executor_(Random(seed).Fork(3)) {
    Random options(Random(seed).Fork(4));
    options_ = Workload::DrawOptions(options);
    options_.env = &environment_;
  }

  TortureResult Go() {
    Reopen();
    const std::uint64_t steps = random_.Between(50, 700);
    for (std::uint64_t i = 0; i < steps && failure_.empty(); ++i) Step();
    if (failure_.empty()) CheckAll("at the end");
    if (failure_.empty() && random_.Chance(1, 3)) Rot();
    LetGo();
    db_.reset();
    TortureResult result;
    result.stats = stats_;
    if (failure_.empty()) return result;
    result.failure = "seed " + std::to_string(seed_) + ": " + failure_ + "\n";
    for (const std::string& line : trace_) result.failure += "  " + line + "\n";
    return result;
  }

 private:
  void Trace(std::string line) {
    if (trace_.size() == kTraceLines) trace_.pop_front();
    trace_.push_back(std::move(line));
  }
  void Advance(std::uint64_t ms) {
    clock_.AdvanceMs(ms);
    executor_.AdvanceMs(ms);
  }
  bool Expect(bool holds, const std::string& what) {
    if (!holds && failure_.empty()) failure_ = what;
    return holds;
  }
  /// Whether an answer may be an error: calls of the disk are failing.
  bool MayFail(const Status& status) const {
    return (faulty_ || file_system_.crashed()) && !status.IsNotFound();
  }

  void Step() {
    Advance(random_.Below(50));
    if (random_.Chance(2, 3)) executor_.RunAll(random_.Below(6));
    const std::uint64_t dice = random_.Below(1000);
    if (dice < 500) {
      Write();
    } else if (dice < 640) {
      ReadOne();
    } else if (dice < 700) {
      ReadMany();
    } else if (dice < 780) {
      Walk();
    } else if (dice < 830) {
      Hold();
    } else if (dice < 880) {
      UseHeld();
    } else if (dice < 910) {
      Flush();
    } else if (dice < 925) {
      Compact();
    } else if (dice < 935) {
      Checkpoint();
    } else if (dice < 945) {
      Verify();
    } else if (dice < 955) {
      CloseAndReopen();
    } else if (dice < 970) {
      Crash();
    } else if (dice < 980) {
      PlanCrash();
    } else if (dice < 990) {
      FillDisk();
    } else {
      FailCalls();
    }
    if (file_system_.crashed()) Crash();
  }

  // ---- Writing

  void Write() {
    std::vector<Change> changes = workload_.NextBatch();
    const Sync sync = random_.Chance(1, 3) ? Sync::kYes : Sync::kNo;
    const WriteBatch batch = ToBatch(changes);
    const auto written = db_->Write(batch, {sync});
    Trace("write of " + std::to_string(changes.size()) + (sync == Sync::kYes ? " synced: " : ": ") +
          (written.ok() ? std::to_string(written->value()) : written.status().ToString()));
    if (written.ok() && batch.empty()) {  // ranges of nothing
      Expect(*written == model_.newest(), "an empty batch has another version than the newest");
      return;
    }
    if (written.ok()) {
      Expect(model_.newest() < *written, "a version that does not grow");
      model_.Commit(*written, std::move(changes));
      if (sync == Sync::kYes) durable_ = *written;
      ++stats_.commits;
      return;
    }
    if (written.status().IsBusy()) {
      executor_.RunAll();
      Advance(kPauseMs);
      return;
    }
    if (!Expect(MayFail(written.status()), "write: " + written.status().ToString())) return;
    if (written.status().IsNoSpace()) {
      Expect(db_->Stats().newest == model_.newest(), "a write without space was done");
      return;
    }
    // Whether it was done shows after the next open.
    in_flight_ = std::move(changes);
    Crash();
  }

  // ---- Reading

  ReadOptions At(Version at) {
    ReadOptions options;
    options.at_version = at;
    options.fill_cache = random_.Chance(1, 2);
    return options;
  }

  /// A version to read at, and the options that do so: the newest, a snapshot's, or any.
  std::pair<Version, ReadOptions> ChooseVersion() {
    const std::uint64_t dice = random_.Below(10);
    if (dice < 3 && !snapshots_.empty()) {
      ReadOptions options;
      options.snapshot = snapshots_[random_.Below(snapshots_.size())];
      return {options.snapshot->version(), options};
    }
    if (dice < 5 && model_.newest()) {
      const Version at(random_.Between(1, model_.newest().value()));
      return {at, At(at)};
    }
    ReadOptions options;
    options.fill_cache = random_.Chance(1, 2);
    return {model_.newest(), options};
  }

  /// Whether `status` of a read at `at` is one that it may have instead of the answer.
  bool Excused(const Status& status, Version at, const ReadOptions& options) {
    if (MayFail(status)) return true;
    return options.at_version && SaysNothingIsKept(status) && at < db_->Stats().watermark;
  }

  void CheckGot(const Status& status, const PinnedValue& got, const std::string& key, Version at,
                const ReadOptions& options) {
    ++stats_.reads;
    if (!status.ok() && Excused(status, at, options)) return;
    const auto expected = model_.Get(key, at);
    const std::string where = "get at " + std::to_string(at.value()) + ": ";
    if (!expected) {
      Expect(status.IsNotFound(),
             where + "an absent key gave " +
                 (status.ok() ? "version " + std::to_string(got.version().value())
                              : status.ToString()));
      return;
    }
    if (!Expect(status.ok(), where + status.ToString() + ", expected version " +
                                 std::to_string(expected->version.value()))) {
      return;
    }
    Expect(got.value() == expected->value && got.version() == expected->version,
           where + "got version " + std::to_string(got.version().value()) + ", expected " +
               std::to_string(expected->version.value()));
  }

  void ReadOne() {
    const auto [at, options] = ChooseVersion();
    const std::string key = workload_.Key();
    PinnedValue got;
    const Status status = db_->Get(key, &got, options);
    CheckGot(status, got, key, at, options);
    if (!random_.Chance(1, 4)) return;
    const auto newest = db_->NewestVersion(key);
    if (!newest.ok()) {
      Expect(MayFail(newest.status()), "newest version: " + newest.status().ToString());
      return;
    }
    const Version known = model_.NewestVersion(key);
    // Of a deleted key nothing may be left, or an earlier deleted range that reaches further; and a
    // delete of what is not there may leave no trace, or one that the model does not keep.
    Expect(*newest == known || (*newest <= model_.newest() && !model_.Get(key, model_.newest())),
           "newest version is " + std::to_string(newest->value()) + ", expected " +
               std::to_string(known.value()));
  }

  void ReadMany() {
    const auto [at, options] = ChooseVersion();
    std::vector<std::string> keys;
    for (std::uint64_t i = random_.Below(20); i > 0; --i) keys.push_back(workload_.Key());
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    auto answers = db_->MultiGet(views, options);
    if (!Expect(answers.size() == keys.size(), "multi-get: a different number of answers")) return;
    static const PinnedValue kNothing;
    for (std::size_t i = 0; i < keys.size() && failure_.empty(); ++i) {
      CheckGot(answers[i].status(), answers[i].ok() ? *answers[i] : kNothing, keys[i], at, options);
    }
  }

  void Walk() {
    const auto [at, options] = ChooseVersion();
    auto [begin, end] = workload_.Bounds();
    if (random_.Chance(1, 2)) {
      begin.clear();
      end.clear();
    }
    auto walk = db_->NewIterator(options, {begin, end});
    const auto expected = model_.Scan(begin, end, at);
    if (!walk->status().ok() && Excused(walk->status(), at, options)) return;
    Moves(*walk, expected, random_.Below(60),
          [this, at = at, &options = options](const Status& status) {
            return Excused(status, at, options);
          });
  }

  /// Moves an iterator about and compares; -1 and size() stand for outside.
  template <typename Excuse>
  void Moves(Iterator& walk, const std::vector<Seen>& expected, std::uint64_t moves,
             Excuse excuse) {
    const auto size = static_cast<std::ptrdiff_t>(expected.size());
    const auto first_from = [&](std::string_view key) {
      return std::lower_bound(
                 expected.begin(), expected.end(), key,
                 [](const Seen& seen, std::string_view k) { return k.compare(seen.key) > 0; }) -
             expected.begin();
    };
    std::ptrdiff_t at = -1;
    for (std::uint64_t i = 0; i <= moves && failure_.empty(); ++i) {
      ++stats_.moves;
      std::string did;
      const std::uint64_t dice = random_.Below(20);
      if (at < 0 || at >= size || dice < 4) {
        const std::string key = workload_.Key();
        switch (random_.Below(4)) {
          case 0:
            did = "first";
            walk.SeekToFirst();
            at = 0;
            break;
          case 1:
            did = "last";
            walk.SeekToLast();
            at = size - 1;
            break;
          case 2:
            did = "seek";
            walk.Seek(key);
            at = first_from(key);
            break;
          default:
            did = "seek for prev";
            walk.SeekForPrev(key);
            at = first_from(key);
            if (at == size || expected[static_cast<std::size_t>(at)].key != key) --at;
            break;
        }
      } else if (dice < 13) {
        did = "next";
        walk.Next();
        ++at;
      } else {
        did = "prev";
        walk.Prev();
        --at;
      }
      if (!walk.status().ok()) {
        Expect(!walk.Valid() && excuse(walk.status()), did + ": " + walk.status().ToString());
        return;
      }
      const bool inside = at >= 0 && at < size;
      if (!Expect(walk.Valid() == inside,
                  did + (inside ? ": ended early" : ": goes on after the end") + " at " +
                      std::to_string(at) + " of " + std::to_string(size))) {
        return;
      }
      if (!inside) continue;
      const Seen& seen = expected[static_cast<std::size_t>(at)];
      Expect(walk.key() == seen.key && walk.value() == seen.value && walk.version() == seen.version,
             did + ": wrong entry " + std::to_string(at) + " of " + std::to_string(size) +
                 ", version " + std::to_string(walk.version().value()) + ", expected " +
                 std::to_string(seen.version.value()));
    }
  }

  // ---- Snapshots and iterators that live on

  void Hold() {
    if (random_.Chance(1, 2)) {
      if (snapshots_.size() == kHeldMax) {
        snapshots_.erase(snapshots_.begin() + static_cast<std::ptrdiff_t>(random_.Below(kHeldMax)));
      }
      snapshots_.push_back(db_->GetSnapshot());
      Trace("snapshot at " + std::to_string(snapshots_.back().version().value()));
      Expect(snapshots_.back().version() == model_.newest(), "a snapshot of something else");
      return;
    }
    if (held_.size() == kHeldMax) held_.erase(held_.begin());
    auto [begin, end] = workload_.Bounds();
    held_.push_back(
        {db_->NewIterator({}, {begin, end}), model_.Scan(begin, end, model_.newest()), begin});
  }

  void UseHeld() {
    if (held_.empty()) return;
    HeldIterator& held = held_[random_.Below(held_.size())];
    Moves(*held.walk, held.expected, 10, [this](const Status& status) { return MayFail(status); });
  }

  void LetGo() {
    held_.clear();
    snapshots_.clear();
  }

  // ---- Care

  void Flush() {
    const Status flushed = db_->Flush();
    Trace("flush: " + flushed.ToString());
    if (flushed.ok()) {
      durable_ = model_.newest();
      ++stats_.flushes;
    }
    Expect(flushed.ok() || MayFail(flushed), "flush: " + flushed.ToString());
  }

  void Compact() {
    auto [begin, end] = workload_.Bounds();
    const Status compacted = db_->CompactRange({begin, end});
    Trace("compact: " + compacted.ToString());
    if (compacted.ok()) ++stats_.compactions;
    Expect(compacted.ok() || MayFail(compacted), "compact: " + compacted.ToString());
  }

  void Verify() {
    const Status verified = db_->Verify();
    Expect(verified.ok() || MayFail(verified), "verify: " + verified.ToString());
  }

  void Checkpoint() {
    if (crash_planned_) return;
    const std::string directory = "/checkpoint" + std::to_string(++checkpoints_);
    const Status made = db_->Checkpoint(directory);
    Trace("checkpoint: " + made.ToString());
    if (!Expect(made.ok() || MayFail(made), "checkpoint: " + made.ToString()) || !made.ok()) return;
    if (faulty_ || file_system_.crashed()) return;
    ++stats_.checkpoints;
    Options options = options_;
    options.create_if_missing = false;
    auto copy = DB::Open(directory, options);
    if (!Expect(copy.ok(), "open of a checkpoint: " + copy.status().ToString())) return;
    CheckState(**copy, model_.Scan("", "", model_.newest()), "a checkpoint");
    Expect((*copy)->Verify().ok(), "verify of a checkpoint");
  }

  // ---- Ends and beginnings

  void Reopen() {
    auto opened = DB::Open(kDirectory, options_);
    if (!opened.ok() && file_system_.crashed()) {
      // Recovery was cut short. What it had found and not synced may be gone.
      Random choices(random_.Fork(random_.Next()));
      file_system_.Crash(choices, MemoryFileSystem::CrashMode::kRandom);
      power_lost_ = true;
      crash_planned_ = false;
      executor_.Clear();
      opened = DB::Open(kDirectory, options_);
    }
    if (!Expect(opened.ok(), "open: " + opened.status().ToString())) return;
    db_ = std::move(opened).value();
  }

  void CloseAndReopen() {
    if (faulty_ || file_system_.crashed()) return;
    const bool held_first = random_.Chance(1, 2);
    if (held_first) LetGo();
    const Status closed = db_->Close();
    if (file_system_.crashed()) return Crash();
    Expect(closed.ok(), "close: " + closed.ToString());
    CheckHeldAreEnded();
    db_.reset();
    CheckHeldAreEnded();
    executor_.Clear();
    LetGo();
    Reopen();
    ++stats_.reopens;
    if (!failure_.empty()) return;
    Trace("closed and opened");
    // An orderly end loses nothing.
    Expect(db_->Stats().newest == model_.newest(), "lost by an orderly close");
    if (random_.Chance(1, 4)) CheckAll("after a close");
  }

  void CheckHeldAreEnded() {
    for (HeldIterator& held : held_) {
      held.walk->SeekToFirst();
      Expect(!held.walk->Valid() && !held.walk->status().ok(),
             "an iterator goes on after the database was closed");
    }
  }

  void PlanCrash() {
    if (file_system_.crashed()) return;
    file_system_.CrashAtMutation(file_system_.mutations() + 1 + random_.Below(40));
    crash_planned_ = true;
    Trace("will crash soon");
  }

  void Crash() {
    using Mode = MemoryFileSystem::CrashMode;
    constexpr Mode kModes[] = {Mode::kProcessOnly, Mode::kLoseUnsynced, Mode::kKeepUnsynced,
                               Mode::kRandom};
    const Mode mode = kModes[random_.Below(4)];
    Random choices = random_.Fork(random_.Next());
    file_system_.Crash(choices, mode);
    crash_planned_ = false;
    file_system_.SetCapacity(MemoryFileSystem::kUnlimited);
    faulty_ = false;
    ++stats_.crashes;
    executor_.Clear();
    if (random_.Chance(1, 2)) LetGo();
    db_.reset();
    LetGo();
    executor_.Clear();
    power_lost_ = false;
    if (random_.Chance(1, 4)) PlanCrash();  // recovery, too, may be cut short
    Reopen();
    if (!failure_.empty()) return;
    const bool all = mode == Mode::kProcessOnly && !power_lost_;
    Recovered(all ? model_.newest() : durable_);
  }

  /// What was found has to be a prefix of the commits up to `least` or beyond.
  void Recovered(Version least) {
    const Version newest = db_->Stats().newest;
    Trace("crashed, found " + std::to_string(newest.value()) + " of " +
          std::to_string(model_.newest().value()) + ", had to be " + std::to_string(least.value()));
    if (newest > model_.newest() && in_flight_) {
      model_.Commit(newest, std::move(*in_flight_));
      ++stats_.commits;
    }
    in_flight_.reset();
    if (!Expect(newest <= model_.newest(), "found a commit that nobody made")) return;
    if (!Expect(newest >= least, "lost what was acknowledged: found " +
                                     std::to_string(newest.value()) + " of " +
                                     std::to_string(least.value()))) {
      return;
    }
    stats_.lost_commits += model_.newest().value() - newest.value();
    model_.TruncateTo(newest);
    // What recovery has shown must not vanish by a second crash.
    durable_ = newest;
    CheckAll("after a crash");
  }

  // ---- Faults

  void FailCalls() {
    using Operation = MemoryFileSystem::Operation;
    constexpr Operation kOperations[] = {
        Operation::kOpen,   Operation::kRead,          Operation::kWrite,
        Operation::kSync,   Operation::kSyncDirectory, Operation::kRename,
        Operation::kRemove, Operation::kLink,          Operation::kResize};
    constexpr const char* kSuffixes[] = {"", "", ".sst", ".log", ".blob", "CURRENT.tmp"};
    MemoryFileSystem::Fault fault;
    fault.operations = {kOperations[random_.Below(std::size(kOperations))]};
    fault.path_suffix = kSuffixes[random_.Below(std::size(kSuffixes))];
    fault.nth = 1 + random_.Below(20);
    fault.forever = MemoryFileSystem::Forever(random_.Chance(1, 3));
    file_system_.Inject(fault);
    faulty_ = true;
    ++stats_.faults;
    Trace("calls of kind " + std::to_string(static_cast<int>(fault.operations[0])) + " on *" +
          fault.path_suffix + " fail");
    for (std::uint64_t i = random_.Below(30); i > 0 && faulty_ && failure_.empty(); --i) {
      StepUnderFaults();
    }
    if (faulty_ && failure_.empty()) Crash();
  }

  void StepUnderFaults() {
    Advance(random_.Below(500));
    executor_.RunAll(random_.Below(6));
    switch (random_.Below(6)) {
      case 0:
        return ReadOne();
      case 1:
        return Walk();
      case 2:
        return Flush();
      default:
        return Write();
    }
  }

  /// Fills the disk, writes on, and makes room again: it has to go on by itself.
  void FillDisk() {
    const auto free = file_system_.FreeSpace("/");
    if (!free.ok()) return;
    const std::uint64_t used = MemoryFileSystem::kUnlimited - *free;
    file_system_.SetCapacity(used + random_.Below(200'000));
    faulty_ = true;
    ++stats_.faults;
    Trace("the disk is nearly full");
    for (std::uint64_t i = random_.Below(60); i > 0 && faulty_ && failure_.empty(); --i) {
      StepUnderFaults();
    }
    if (!faulty_ || !failure_.empty()) return;  // crashed meanwhile
    file_system_.SetCapacity(MemoryFileSystem::kUnlimited);
    faulty_ = false;
    Trace("there is room again");
    Status last;
    for (int tries = 0; tries < 20; ++tries) {
      Advance(kPauseMs);
      executor_.RunAll();
      const std::vector<Change> changes{{Change::Kind::kPut, workload_.Key(), workload_.Value()}};
      const auto written = db_->Write(ToBatch(changes), {Sync::kYes});
      last = written.status();
      if (written.ok()) {
        model_.Commit(*written, changes);
        durable_ = *written;
        break;
      }
      if (file_system_.crashed()) {
        in_flight_ = changes;
        return Crash();
      }
    }
    Expect(last.ok(), "a full disk was not forgotten: " + last.ToString());
    CheckAll("after a full disk");
  }

  /// One wrong bit somewhere: an error or the right answer, never a wrong one.
  void Rot() {
    LetGo();
    db_.reset();
    executor_.Clear();
    Random nothing(0);
    file_system_.Crash(nothing,
                       MemoryFileSystem::CrashMode::kProcessOnly);  // no planned one is left
    const auto names = file_system_.List(kDirectory);
    if (!Expect(names.ok() && !names->empty(), "list")) return;
    const std::string path = std::string(kDirectory) + "/" + (*names)[random_.Below(names->size())];
    const auto size = file_system_.FileSize(path);
    if (!size.ok() || *size == 0) return;
    const std::uint64_t bit = random_.Below(*size * 8);
    Trace("bit " + std::to_string(bit) + " of " + path + " turns over");
    if (!Expect(file_system_.FlipBit(path, bit).ok(), "flip")) return;
    auto opened = DB::Open(kDirectory, options_);
    if (!opened.ok()) {
      Expect(opened.status().IsCorruption(),
             "open with a wrong bit: " + opened.status().ToString());
      return;
    }
    db_ = std::move(opened).value();
    // A damaged end of the log can't be told from one that was never written.
    const Version newest = db_->Stats().newest;
    if (!Expect(newest <= model_.newest(), "a wrong bit made commits")) return;
    const Walked walked =
        WalkAll(*db_->NewIterator(), model_.Scan("", "", newest), Direction::kForward);
    Expect(walked.wrong.empty(), "a wrong bit: " + walked.wrong);
    Expect(walked.complete || walked.status.IsCorruption(),
           "a wrong bit hid keys: " + walked.status.ToString());
  }

  // ---- The whole state

  void CheckState(DB& db, const std::vector<Seen>& expected, const std::string& when) {
    for (const Direction direction : {Direction::kForward, Direction::kBackward}) {
      const Walked walked = WalkAll(*db.NewIterator(), expected, direction);
      Expect(walked.wrong.empty(), when + ": " + walked.wrong);
      Expect((walked.complete && walked.status.ok()) || MayFail(walked.status),
             when + ": keys are missing, status " + walked.status.ToString());
    }
  }

  void CheckAll(const std::string& when) {
    if (faulty_ || file_system_.crashed()) return;
    const auto expected = model_.Scan("", "", model_.newest());
    CheckState(*db_, expected, when);
    for (const Seen& seen : expected) {
      if (!failure_.empty()) return;
      PinnedValue got;
      const Status status = db_->Get(seen.key, &got);
      CheckGot(status, got, seen.key, model_.newest(), {});
    }
  }

  const std::uint64_t seed_;
  Random random_;
  Workload workload_;
  MemoryFileSystem file_system_;
  ManualClock clock_{1'000'000, 1'700'000'000'000};
  ManualExecutor executor_;
  Environment environment_{.file_system = &file_system_, .clock = &clock_, .executor = &executor_};
  Options options_;
  std::unique_ptr<DB> db_;
  Model model_;
  Version durable_;                               ///< Acknowledged as durable.
  std::optional<std::vector<Change>> in_flight_;  ///< Of a write that ended with an error.
  std::vector<Snapshot> snapshots_;
  std::vector<HeldIterator> held_;
  bool faulty_ = false;
  bool crash_planned_ = false;
  bool power_lost_ = false;  ///< While the database was opened.
  std::uint64_t checkpoints_ = 0;
  std::deque<std::string> trace_;
  std::string failure_;
  TortureStats stats_;
};

}  // namespace

void TortureStats::Add(const TortureStats& other) {
  commits += other.commits;
  reads += other.reads;
  moves += other.moves;
  crashes += other.crashes;
  lost_commits += other.lost_commits;
  reopens += other.reopens;
  faults += other.faults;
  checkpoints += other.checkpoints;
  flushes += other.flushes;
  compactions += other.compactions;
}

std::string TortureStats::ToString() const {
  return std::to_string(commits) + " commits, " + std::to_string(reads) + " reads, " +
         std::to_string(moves) + " moves, " + std::to_string(crashes) + " crashes (" +
         std::to_string(lost_commits) + " unsynced commits lost), " + std::to_string(reopens) +
         " reopens, " + std::to_string(faults) + " faults, " + std::to_string(checkpoints) +
         " checkpoints, " + std::to_string(flushes) + " flushes, " + std::to_string(compactions) +
         " compactions";
}

TortureResult Torture(std::uint64_t seed) { return Run(seed).Go(); }

}  // namespace bedrock::torture
