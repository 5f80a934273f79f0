#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/codec/coding.h"
#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"
#include "storaged/engine/wal/log.h"
#include "storaged/engine/wal/wal_format.h"

// A folder with segments of any bytes, or of whole headers and records that say what the fuzzer
// likes. What Open accepts is contiguous, can be appended to, and is found again.

namespace bedrock::engine::wal {
namespace {

constexpr std::uint64_t kDatabase = 7;

class DiskBuilder {
 public:
  explicit DiskBuilder(std::string_view input) : input_(input) {}

  void Build(MemoryFileSystem& files) {
    CHECK(files.CreateDirectories("db").ok());
    for (unsigned n = Byte() & 3; n > 0; --n) {
      const FileNumber number(1 + (Byte() & 7));
      const unsigned shape = Byte();
      const std::string content = shape == 0 ? std::string(Piece()) : Segment(number, shape);
      auto file = files.Open("db/" + SegmentName(number), FileSystem::OpenMode::kCreate);
      CHECK(file.ok() && (*file)->WriteAt(0, content).ok());
    }
  }
  Version After() { return Version(Byte() & 7); }
  unsigned Byte() { return input_.Fixed<std::uint8_t>().value_or(0); }

 private:
  std::string_view Piece() {
    const std::size_t bytes = Byte();
    return input_.Take(std::min(bytes, input_.rest().size())).value_or("");
  }
  /// Mostly small, so that numbers meet.
  std::uint64_t Number() {
    const unsigned byte = Byte();
    if (byte < 240) return byte & 15;
    return input_.Fixed<std::uint64_t>().value_or(byte);
  }

  std::string Segment(FileNumber number, unsigned shape) {
    SegmentHeader header{.database_id = kDatabase,
                         .number = FileNumber(number.value() + (shape == 1 ? Number() : 0)),
                         .bytes = kSegmentBytesMin,
                         .first_version = Version(Number()),
                         .previous = FileNumber(Number()),
                         .previous_end = Offset(),
                         .previous_durable = Offset()};
    std::string content = EncodeSegmentHeader(header);
    std::uint64_t ordinal = header.first_version.value();
    for (unsigned n = Byte() & 7; n > 0; --n) {
      const unsigned lie = Byte();
      const std::uint64_t at = content.size() + (lie & 16 ? Byte() : 0);
      AppendRecord(content, FileNumber(number.value() + (lie & 2 ? Number() : 0)), at,
                   {.type = lie & 1 ? RecordType::kClose : RecordType::kCommit,
                    .ordinal = static_cast<std::uint8_t>(lie & 4 ? Number() : ordinal++),
                    .durable = lie & 8 ? std::min(Offset(), at) : 0,
                    .payload = Piece()});
    }
    if (Byte() & 1) content.resize(content.size() + 256, '\0');
    for (unsigned n = Byte() & 3; n > 0; --n) content[(Byte() * 97u + 4000u) % content.size()] ^= 1;
    return content;
  }
  std::uint64_t Offset() {
    const unsigned byte = Byte();
    return byte == 0 ? 0 : kSegmentHeaderBytes + 8 * (byte - 1);
  }

  ByteReader input_;
};

struct Opened {
  Status status;
  std::unique_ptr<Log> log;
  std::string content;
};

Opened Open(const Environment& environment, Version after, Salvage salvage) {
  LogOptions options;
  options.directory = "db";
  options.database_id = kDatabase;
  options.segment_bytes = kSegmentBytesMin;
  options.first_fill_bytes = kSegmentBytesMin;
  options.salvage = salvage;
  Opened opened;
  Version last = after;
  auto log = Log::Open(environment, options, after, [&](Version version, std::string_view payload) {
    CHECK(version == last.Next());
    last = version;
    PutLengthPrefixed(opened.content, payload);
    return Status::Ok();
  });
  if (log.ok()) {
    opened.log = std::move(log).value();
    CHECK(opened.log->last_version() == last);
  } else {
    opened.status = log.status();
  }
  return opened;
}

void Run(std::string_view input) {
  MemoryFileSystem files;
  ManualClock clock;
  ManualExecutor executor;
  const Environment environment{&files, &clock, &executor};
  DiskBuilder builder(input);
  builder.Build(files);
  const Version after = builder.After();
  Opened opened = Open(environment, after, Salvage::kNo);
  if (opened.log == nullptr) {
    CHECK(opened.status.IsCorruption());
    opened = Open(environment, after, Salvage::kYes);
    if (opened.log == nullptr) return;  // another database's
  }
  for (int i = 0; i < 40; ++i) {
    const Version next = opened.log->last_version().Next();
    const std::string payload(300, static_cast<char>('a' + i % 26));
    CHECK(opened.log->Append(next, payload, i % 3 == 0 ? Durability::kDisk : Durability::kProcess)
              .ok());
    PutLengthPrefixed(opened.content, payload);
    if (i % 7 == 0) CHECK(opened.log->Sync(opened.log->position()).ok());
  }
  CHECK(opened.log->Sync(opened.log->position()).ok());
  const Version last = opened.log->last_version();
  opened.log.reset();
  const Opened again = Open(environment, after, Salvage::kNo);
  CHECK_MSG(again.log != nullptr, again.status.ToString());
  CHECK(again.log->last_version() == last);
  CHECK(again.content == opened.content);
}

}  // namespace
}  // namespace bedrock::engine::wal

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bedrock::engine::wal::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
