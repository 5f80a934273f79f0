#include "storaged/embedded/event_log.h"

#include <chrono>
#include <cstdio>
#include <utility>

namespace bedrock::embedded {

EventLog::EventLog(FileSystem& file_system, const Clock& clock, const std::string& directory)
    : file_system_(file_system), clock_(clock), path_(JoinPath(directory, "LOG")) {}

void EventLog::Open() {
  const MutexLock lock(mutex_);
  phase_ = Phase::kOpen;
  Result<std::unique_ptr<File>> file = file_system_.Open(path_, FileSystem::OpenMode::kReadWrite);
  if (!file.ok()) file = file_system_.Open(path_, FileSystem::OpenMode::kCreate);
  if (!file.ok()) return;
  const Result<std::uint64_t> size = (*file)->Size();
  if (!size.ok()) return;
  file_ = std::move(file).value();
  size_ = *size;
  for (const std::string& text : std::exchange(kept_, {})) Append(text);
}

void EventLog::Write(std::string_view line) {
  const MutexLock lock(mutex_);
  if (phase_ == Phase::kClosed) return;
  std::string text = FormatUtc(clock_.WallMs()) + " ";
  // One event, one line, whatever the message of an error holds.
  for (const char c : line.substr(0, kLineBytesMax))
    text += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  text += '\n';
  if (phase_ == Phase::kOpen) {
    Append(text);
  } else if (kept_.size() < kLinesKept) {
    kept_.push_back(std::move(text));
  }
}

void EventLog::Append(const std::string& text) {
  if (file_ == nullptr) return;
  if (size_ + text.size() > kBytesMax) Rotate();
  if (file_ == nullptr) return;
  if (file_->WriteAt(size_, text).ok()) {
    size_ += text.size();
  } else {
    (void)file_->Truncate(size_);  // half a line says nothing
  }
}

void EventLog::Close() {
  const MutexLock lock(mutex_);
  phase_ = Phase::kClosed;
  kept_.clear();
  file_.reset();
}

void EventLog::Rotate() {
  file_.reset();
  size_ = 0;
  // Where the old one can't be put aside it is begun again: the bound holds in any case.
  (void)file_system_.Rename(path_, path_ + ".old");
  Result<std::unique_ptr<File>> file = file_system_.Open(path_, FileSystem::OpenMode::kCreate);
  if (file.ok()) file_ = std::move(file).value();
}

std::string FormatUtc(std::uint64_t wall_ms) {
  using std::chrono::milliseconds;
  const std::chrono::sys_time<milliseconds> time{milliseconds(wall_ms)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss<milliseconds> clock(time - day);
  char text[64];
  const int n = std::snprintf(
      text, sizeof(text), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return std::string(text, static_cast<std::size_t>(n));
}

}  // namespace bedrock::embedded
