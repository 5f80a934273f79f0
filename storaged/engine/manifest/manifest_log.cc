#include "storaged/engine/manifest/manifest_log.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/base/units.h"
#include "common/codec/coding.h"
#include "common/codec/crc32c.h"
#include "common/record/record_format.h"
#include "common/record/record_reader.h"
#include "storaged/engine/table/file_names.h"

namespace bedrock::engine {

namespace {

constexpr std::string_view kMagic = "BRKMANIF";
constexpr std::uint32_t kFormatVersion = 2;
constexpr std::size_t kHeaderBytes = 32;
constexpr std::uint8_t kEditType = 1;
constexpr std::uint8_t kSealType = 2;
constexpr std::uint8_t kGoesOn = 1;
/// Larger edits are cut: a long list of tables must not meet the record's bound.
constexpr std::size_t kPieceBytes = 8 * kMiB;
/// No CURRENT is longer.
constexpr std::size_t kCurrentBytesMax = 256;

std::string EncodeHeader(FileNumber number) {
  std::string out(kMagic);
  PutFixed(out, kFormatVersion);
  std::string rest;
  PutFixed(rest, number.value());
  rest.append(8, '\0');
  PutFixed(out, ExtendCrc32c(Crc32c(out), rest));
  return out + rest;
}

std::string EncodeCurrent(FileNumber number) {
  const std::string name = ManifestName(number);
  char crc[16];
  std::snprintf(crc, sizeof(crc), "%08x", Crc32c(name));
  return name + "\n" + crc + "\n";
}

/// A sync that failed for want of space is as final as any other.
Status SyncFailed(const Status& status) {
  return status.IsNoSpace() ? Status::IoError(status.message()) : status;
}

/// Not ReplaceFile: which step failed decides whether another try is sound.
Status InstallCurrent(FileSystem& file_system, const std::string& directory, FileNumber number) {
  const std::string temporary = JoinPath(directory, kCurrentTemporaryName);
  {
    ASSIGN_OR_RETURN(auto file, file_system.Open(temporary, FileSystem::OpenMode::kCreate));
    RETURN_IF_ERROR(file->WriteAt(0, EncodeCurrent(number)));
    RETURN_IF_ERROR(SyncFailed(file->Sync()));
  }
  RETURN_IF_ERROR(file_system.Rename(temporary, JoinPath(directory, kCurrentName)));
  return SyncFailed(file_system.SyncDirectory(directory));
}

/// Reads a MANIFEST's records into edits and holds the rules of what may be wrong with its tail.
class Decoder {
 public:
  Decoder(std::string_view content, FileNumber number)
      : content_(content),
        number_(number),
        reader_(content.substr(std::min(content.size(), kHeaderBytes)), kHeaderBytes,
                number.value()) {}

  Result<ManifestState> Run() {
    if (content_.substr(0, std::min(content_.size(), kHeaderBytes)) != EncodeHeader(number_)) {
      return Status::Corruption("header: not this MANIFEST's");
    }
    record::Finding finding;
    while ((finding = reader_.Next()) == record::Finding::kRecord) {
      RETURN_IF_ERROR(Take(reader_.record())
                          .Prefixed("record before offset " + std::to_string(reader_.offset())));
    }
    RETURN_IF_ERROR(CheckTail(finding));
    return std::move(state_);
  }

 private:
  Status Take(const record::Record& record) {
    if (record.ordinal != next_ordinal_) return Status::Corruption("a record is missing");
    ++next_ordinal_;
    if (record.type == kSealType && record.payload.empty() && edit_.empty()) {
      sealed_ = edits_ > 0;
      return {};
    }
    if (record.type != kEditType) return Status::Corruption("unknown type");
    edit_ += record.payload;
    if ((record.flags & kGoesOn) != 0) return {};
    ASSIGN_OR_RETURN(const VersionEdit edit, VersionEdit::Decode(edit_));
    edit_.clear();
    ++edits_;
    return state_.Apply(edit);
  }

  Status CheckTail(record::Finding finding) {
    const std::uint64_t end = reader_.offset();
    // The first edit and its seal were durable before CURRENT named this file.
    if (!sealed_) {
      return Status::Corruption("offset " + std::to_string(end) + ": the first edit is damaged");
    }
    // From the damage on, every whole record is looked at; an aux above `end` is the proof.
    while (finding == record::Finding::kDamaged && reader_.Resync()) {
      while ((finding = reader_.Next()) == record::Finding::kRecord) {
        if (reader_.record().ordinal >= next_ordinal_ && reader_.record().aux > end) {
          return Status::Corruption("offset " + std::to_string(end) + ": a record is damaged");
        }
      }
    }
    return {};
  }

  std::string_view content_;
  FileNumber number_;
  record::RecordReader reader_;
  ManifestState state_;
  std::string edit_;  ///< Pieces so far.
  std::uint64_t next_ordinal_ = 1;
  std::uint64_t edits_ = 0;
  bool sealed_ = false;
};

}  // namespace

void ManifestWriter::EncodeEdit(const VersionEdit& edit, std::string& out) {
  const std::string text = edit.Encode();
  std::string_view rest = text;
  do {
    const std::string_view piece = rest.substr(0, kPieceBytes);
    rest.remove_prefix(piece.size());
    record::AppendRecord(out, {.type = kEditType,
                               .flags = rest.empty() ? std::uint8_t{0} : kGoesOn,
                               .stream = number_.value(),
                               .ordinal = next_ordinal_++,
                               .aux = durable_,
                               .payload = piece});
  } while (!rest.empty());
}

void ManifestWriter::EncodeSeal(std::string& out) {
  record::AppendRecord(out, {.type = kSealType,
                             .stream = number_.value(),
                             .ordinal = next_ordinal_++,
                             .aux = durable_,
                             .payload = {}});
}

Result<std::unique_ptr<ManifestWriter>> ManifestWriter::Create(FileSystem& file_system,
                                                               const std::string& directory,
                                                               FileNumber number,
                                                               const ManifestState& state) {
  ASSIGN_OR_RETURN(auto file, file_system.Open(JoinPath(directory, ManifestName(number)),
                                               FileSystem::OpenMode::kCreate));
  // Not make_unique: the constructor is private.
  std::unique_ptr<ManifestWriter> writer(new ManifestWriter(std::move(file), number));  // NOLINT
  std::string content = EncodeHeader(number);
  writer->EncodeEdit(state.AsEdit(), content);
  writer->first_edit_bytes_ = content.size();
  // The seal may go in together with what it seals: CURRENT names the file only once both are
  // durable.
  writer->durable_ = content.size();
  writer->EncodeSeal(content);
  RETURN_IF_ERROR(writer->file_->WriteAt(0, content));
  RETURN_IF_ERROR(SyncFailed(writer->file_->Sync()));
  RETURN_IF_ERROR(SyncFailed(file_system.SyncDirectory(directory)));
  RETURN_IF_ERROR(InstallCurrent(file_system, directory, number));
  writer->offset_ = content.size();
  writer->durable_ = content.size();
  return writer;
}

Status ManifestWriter::Append(const VersionEdit& edit) {
  std::string records;
  EncodeEdit(edit, records);
  RETURN_IF_ERROR(file_->WriteAt(offset_, records));
  RETURN_IF_ERROR(SyncFailed(file_->Sync()));
  offset_ += records.size();
  durable_ = offset_;
  std::string seal;
  EncodeSeal(seal);
  // The edit is durable whatever becomes of its seal. A seal that could not be written is no reason
  // to fail the edit; the next append overwrites what is left of it.
  const Status sealed = file_->WriteAt(offset_, seal);
  if (sealed.ok()) {
    offset_ += seal.size();
  } else {
    --next_ordinal_;
  }
  return {};
}

Result<FileNumber> ReadCurrent(FileSystem& file_system, const std::string& directory) {
  ASSIGN_OR_RETURN(const std::string content,
                   ReadFile(file_system, JoinPath(directory, kCurrentName), kCurrentBytesMax));
  const auto name = ParseName(std::string_view(content).substr(0, content.find('\n')));
  if (!name || name->kind != ParsedName::Kind::kManifest ||
      content != EncodeCurrent(name->number)) {
    return Status::Corruption("CURRENT is damaged");
  }
  return name->number;
}

Result<ManifestState> DecodeManifest(std::string_view content, FileNumber number) {
  return Decoder(content, number).Run();
}

bool IsUnbornManifest(std::string_view content, FileNumber number) {
  const auto state = DecodeManifest(content, number);
  if (!state.ok()) {
    // Cut short inside its first write: nothing behind the first edit was ever written.
    std::string first = EncodeHeader(number);
    ManifestState fresh;
    fresh.next_file = number.Next();
    record::AppendRecord(first, {.type = kEditType,
                                 .stream = number.value(),
                                 .ordinal = 1,
                                 .payload = fresh.AsEdit().Encode()});
    return content.size() <= first.size() + record::EncodedSize(0);
  }
  const VersionEdit edit = state->AsEdit();
  return edit.added.empty() && edit.removed.empty() && state->applied == VersionEdit::Applied{} &&
         state->client_state.empty();
}

}  // namespace bedrock::engine
