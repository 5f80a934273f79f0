#include "tests/sim/sim_disk.h"

namespace bedrock::sim {

namespace {

/// The bytes that a full disk still takes.
constexpr std::uint64_t kFullDiskRoomMax = 20'000;

}  // namespace

void SimDisk::CrashAfter(std::uint64_t calls) {
  files_.CrashAtMutation(files_.mutations() + calls);
}

void SimDisk::Crash(MemoryFileSystem::CrashMode mode) {
  files_.Crash(random_, mode);
  fails_ = false;
}

void SimDisk::FailNext() {
  using Operation = MemoryFileSystem::Operation;
  fails_ = true;
  const bool write = random_.Chance(1, 3);
  files_.Inject({.operations = {write ? Operation::kWrite : Operation::kSync},
                 .path_suffix = "",
                 .nth = 1,
                 .forever = MemoryFileSystem::Forever::kNo,
                 .error = StatusCode::kIoError});
}

void SimDisk::Fill() {
  full_ = true;
  const std::uint64_t free = files_.FreeSpace("/").value_or(0);
  const std::uint64_t used = MemoryFileSystem::kUnlimited - free;
  files_.SetCapacity(used + random_.Below(kFullDiskRoomMax));
}

void SimDisk::MakeRoom() {
  full_ = false;
  files_.SetCapacity(MemoryFileSystem::kUnlimited);
}

void SimDisk::Calm() {
  MakeRoom();
  stalled_until_ = 0;
  if (files_.crashed()) return;
  files_.ClearFaults();
  fails_ = false;
  files_.CrashAtMutation(UINT64_MAX);
}

}  // namespace bedrock::sim
