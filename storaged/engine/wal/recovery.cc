#include "storaged/engine/wal/recovery.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "common/base/status_macros.h"
#include "storaged/engine/wal/wal_format.h"

namespace bedrock::engine::wal {
namespace {

/// A file that is named like a segment.
struct Candidate {
  FileNumber number;
  std::optional<SegmentHeader> header;  ///< None: not (or not any more) begun as this segment.
  Status damage;                        ///< Why there is none, where that is no usual state.
};

std::string At(std::string_view path, std::uint64_t offset) {
  return std::string(path) + " at offset " + std::to_string(offset);
}

class Recovery {
 public:
  Recovery(FileSystem& files, const RecoveryOptions& options, Version after, const Replay& replay)
      : files_(files), options_(options), after_(after), replay_(replay) {
    out_.last = after;
  }

  Result<Recovered> Run() {
    RETURN_IF_ERROR(ReadHeaders());
    ASSIGN_OR_RETURN(auto at, FindFirst());
    FileNumber last_read;
    while (at != candidates_.end()) {
      last_read = at->first;
      const auto next = Successor(at->first);
      ASSIGN_OR_RETURN(const bool goes_on, ReadSegment(at->second, next));
      at = goes_on ? next : candidates_.end();
    }
    RETURN_IF_ERROR(Judge(CheckHeaderless(last_read)));
    for (const auto& candidate : candidates_) {
      const FileNumber number = candidate.first;
      const bool counts = std::any_of(out_.segments.begin(), out_.segments.end(),
                                      [&](const auto& s) { return s.number == number; });
      if (!counts) out_.obsolete.push_back(SegmentName(number));
    }
    return std::move(out_);
  }

 private:
  using Candidates = std::map<FileNumber, Candidate>;

  std::string Path(FileNumber number) const {
    return JoinPath(options_.directory, SegmentName(number));
  }

  Status ReadHeaders() {
    ASSIGN_OR_RETURN(const auto names, files_.List(options_.directory));
    for (const std::string& name : names) {
      const auto spare = ParseSegmentName(name, kSpareSuffix);
      const auto number = ParseSegmentName(name);
      if (spare) out_.obsolete.push_back(name);
      out_.number_max =
          std::max({out_.number_max, spare.value_or(FileNumber()), number.value_or(FileNumber())});
      if (number) RETURN_IF_ERROR(ReadHeader(*number));
    }
    return Status::Ok();
  }

  Status ReadHeader(FileNumber number) {
    ASSIGN_OR_RETURN(auto file, files_.Open(Path(number), FileSystem::OpenMode::kRead));
    std::string page(kSegmentHeaderBytes, '\0');
    ASSIGN_OR_RETURN(const std::size_t n, file->ReadAt(0, page.size(), page.data()));
    Candidate candidate{.number = number, .header = std::nullopt, .damage = Status::Ok()};
    // Zeroes, or another segment's header: the power went before this one's was durable.
    const bool begun = std::any_of(page.begin(), page.begin() + static_cast<std::ptrdiff_t>(n),
                                   [](char c) { return c != '\0'; });
    if (begun) {
      auto header = DecodeSegmentHeader(page);
      if (!header.ok()) {
        candidate.damage = std::move(header).status().Prefixed(Path(number));
      } else if (header->number == number) {
        if (header->database_id != options_.database_id) {
          return Status::Corruption(Path(number) + ": belongs to another database");
        }
        candidate.header = *header;
      }
    }
    candidates_.emplace(number, std::move(candidate));
    return Status::Ok();
  }

  /// The segment that holds commit after + 1, or would. The newest that begins at or before it:
  /// older ones are behind `after`, or were given up by a recovery.
  Result<Candidates::iterator> FindFirst() {
    auto oldest = candidates_.end();
    auto found = candidates_.end();
    for (auto it = candidates_.begin(); it != candidates_.end(); ++it) {
      if (!it->second.header) continue;
      if (oldest == candidates_.end()) oldest = it;
      if (it->second.header->first_version <= after_.Next()) found = it;
    }
    // What stands before it is not needed, whatever it is.
    if (found != candidates_.end() || oldest == candidates_.end()) return found;
    // A first segment begins right behind what was durable elsewhere, and that never goes back. A
    // later one may have outlived one before it where the power went before either was synced.
    bool lost = !oldest->second.header->previous;
    for (auto it = oldest; !lost && it != candidates_.end(); ++it) {
      if (!it->second.header) continue;
      ASSIGN_OR_RETURN(lost, WasSynced(it->second, FileNumber()));
    }
    if (lost) {
      const Version first = oldest->second.header->first_version;
      RETURN_IF_ERROR(Judge(Status::Corruption(
          Path(oldest->first) + ": commits " + std::to_string(after_.value() + 1) + " to " +
          std::to_string(first.value() - 1) + " are missing: they were in a file before it")));
    }
    return candidates_.end();
  }

  /// A file without a header of its own was never synced, so no record of it can say it was.
  Status CheckHeaderless(FileNumber after) {
    for (auto it = candidates_.upper_bound(after); it != candidates_.end(); ++it) {
      const Candidate& candidate = it->second;
      if (candidate.header) continue;
      if (!candidate.damage.ok()) return candidate.damage;
      RETURN_IF_ERROR(Load(candidate.number));
      if (Reader(candidate.number).FindProof(0))
        return Status::Corruption(At(Path(candidate.number), 0) + ": the header is missing");
    }
    return Status::Ok();
  }

  /// Damage that salvage gives up from, or an error.
  Status Judge(Status damage) {
    if (damage.ok() || !damage.IsCorruption() || !options_.salvage) return damage;
    if (out_.salvaged.empty()) out_.salvaged = damage.message();
    return Status::Ok();
  }

  Candidates::iterator Successor(FileNumber number) {
    auto found = candidates_.end();
    for (auto it = candidates_.upper_bound(number); it != candidates_.end(); ++it) {
      if (it->second.header && it->second.header->previous == number) found = it;
    }
    return found;
  }

  /// Fills content_.
  Status Load(FileNumber number) {
    ASSIGN_OR_RETURN(auto file, files_.Open(Path(number), FileSystem::OpenMode::kRead));
    ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
    if (size > kSegmentBytesMax) {
      return Status::Corruption(Path(number) + ": " + std::to_string(size) +
                                " bytes are more than a segment has");
    }
    content_.resize(size);
    ASSIGN_OR_RETURN(const std::size_t n, file->ReadAt(0, size, content_.data()));
    if (n != size) return Status::IoError(At(Path(number), n) + ": the file ends early");
    return Status::Ok();
  }

  /// Of content_.
  WalRecordReader Reader(FileNumber number) const {
    return {content_, number, kSegmentHeaderBytes};
  }

  /// Hands out the commits of a segment. False: the log ends in it.
  Result<bool> ReadSegment(const Candidate& candidate, Candidates::iterator next) {
    const SegmentHeader& header = *candidate.header;
    const bool has_next = next != candidates_.end();
    RETURN_IF_ERROR(Load(candidate.number));
    RecoveredSegment segment{.number = candidate.number,
                             .first = header.first_version,
                             .last = header.first_version.Prev(),
                             .end = kSegmentHeaderBytes,
                             .proved = 0};
    WalRecordReader reader = Reader(candidate.number);
    bool closed = false;
    while (!closed) {
      if (has_next && segment.last.Next() == next->second.header->first_version) break;
      if (!reader.Next()) break;
      const WalRecord& record = reader.record();
      segment.proved = std::max(segment.proved, std::min(record.durable, segment.end));
      closed = record.type == RecordType::kClose;
      RETURN_IF_ERROR(CheckRecord(segment, record));
      if (closed) break;
      segment.last = segment.last.Next();
      segment.end = reader.offset();
      if (segment.last > after_) {
        RETURN_IF_ERROR(replay_(segment.last, record.payload));
        out_.last = segment.last;
      }
    }
    const bool whole = has_next && segment.last.Next() == next->second.header->first_version;
    if (has_next) {
      segment.proved = std::max(segment.proved, next->second.header->previous_durable);
      if (whole && segment.end != next->second.header->previous_end) {
        RETURN_IF_ERROR(
            Judge(Status::Corruption(At(Path(next->first), 0) + ": it continues another log than " +
                                     At(Path(candidate.number), segment.end))));
      }
    }
    if (!whole) RETURN_IF_ERROR(Judge(CheckTail(segment, reader)));
    if (segment.last > after_) out_.segments.push_back(segment);
    return whole && out_.salvaged.empty();
  }

  Status CheckRecord(const RecoveredSegment& segment, const WalRecord& record) const {
    const bool close = record.type == RecordType::kClose;
    const Version expected = close ? segment.last : segment.last.Next();
    if (record.ordinal == OrdinalOf(expected)) return Status::Ok();
    return Status::Corruption(At(Path(segment.number), segment.end) +
                              ": a whole record that does not belong there: ordinal " +
                              std::to_string(record.ordinal) + " where " +
                              std::to_string(OrdinalOf(expected)) + " was expected");
  }

  /// The segment ends before its successor begins, or has none: fine unless something proves that
  /// there was more.
  Status CheckTail(const RecoveredSegment& segment, WalRecordReader& reader) {
    const std::string where = At(Path(segment.number), segment.end);
    if (segment.proved > segment.end || reader.FindProof(segment.end)) {
      return Status::Corruption(where + ": a damaged record, with durable ones behind it");
    }
    ASSIGN_OR_RETURN(const bool proved, AnySyncedAfter(segment.number));
    if (proved)
      return Status::Corruption(where + ": a damaged record, with a durable log behind it");
    return Status::Ok();
  }

  Result<bool> AnySyncedAfter(FileNumber number) {
    for (auto it = candidates_.upper_bound(number); it != candidates_.end(); ++it) {
      if (!it->second.header || !DescendsFrom(it->second, number)) continue;
      ASSIGN_OR_RETURN(const bool synced, WasSynced(it->second, number));
      if (synced) return true;
    }
    return false;
  }

  /// Whether `candidate` was written behind segment `number` and not behind what was given up.
  bool DescendsFrom(const Candidate& candidate, FileNumber number) const {
    FileNumber previous = candidate.header->previous;
    while (previous > number) {
      const auto it = candidates_.find(previous);
      // A missing link: who wrote it knew what came before.
      if (it == candidates_.end() || !it->second.header) return true;
      previous = it->second.header->previous;
    }
    return previous == number;
  }

  /// A segment is synced after all before it, so one that was synced proves them.
  Result<bool> WasSynced(const Candidate& candidate, FileNumber after) {
    const SegmentHeader& header = *candidate.header;
    // That of `after` itself is in RecoveredSegment::proved.
    if (header.previous != after && header.previous_durable > 0) return true;
    RETURN_IF_ERROR(Load(candidate.number));
    return Reader(candidate.number).FindProof(0);
  }

  FileSystem& files_;
  const RecoveryOptions& options_;
  const Version after_;
  const Replay& replay_;
  Candidates candidates_;
  std::string content_;
  Recovered out_;
};

}  // namespace

Result<Recovered> RecoverSegments(FileSystem& files, const RecoveryOptions& options, Version after,
                                  const Replay& replay) {
  return Recovery(files, options, after, replay).Run();
}

}  // namespace bedrock::engine::wal
