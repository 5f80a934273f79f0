#include "storaged/txn/recent_commits.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "storaged/txn/key_range.h"

namespace bedrock::txn {
namespace {

std::size_t SlotOf(std::string_view key) {
  return std::hash<std::string_view>()(key) & (kRecentSlots - 1);
}

}  // namespace

RecentCommits::RecentCommits(Version begun_at)
    : begun_at_(begun_at),
      slots_(kRecentSlots),
      keys_lost_at_(begun_at),
      ranges_lost_at_(begun_at) {}

void RecentCommits::AddKey(std::string_view key, Version version) {
  slots_[SlotOf(key)] = version;
  if (keys_.size() < kRecentKeysMax) {
    keys_.emplace_back();
  } else {
    keys_lost_at_ = keys_[next_key_].version;
  }
  Key& added = keys_[next_key_];
  next_key_ = (next_key_ + 1) % kRecentKeysMax;
  added.version = version;
  added.size = static_cast<std::uint8_t>(std::min(key.size(), Key::kShown + 1));
  std::memcpy(added.shown.data(), key.data(), std::min(key.size(), Key::kShown));
}

void RecentCommits::AddRange(std::string_view begin, std::string_view end, Version version) {
  if (ranges_.size() == kRecentRangesMax) {
    ranges_lost_at_ = ranges_.front().version;
    ranges_.pop_front();
  }
  ranges_.push_back({version, std::string(begin), std::string(end)});
}

void RecentCommits::SkipTo(Version version) {
  begun_at_ = version;
  keys_lost_at_ = version;
  ranges_lost_at_ = version;
}

bool RecentCommits::MayHaveChanged(std::string_view key, Version since) const {
  if (since < begun_at_ || since < ranges_lost_at_) return true;
  if (slots_[SlotOf(key)] > since) return true;
  for (auto range = ranges_.rbegin(); range != ranges_.rend() && range->version > since; ++range) {
    if (IsWithin(key, range->begin, range->end)) return true;
  }
  return false;
}

bool RecentCommits::MayHaveChangedIn(std::string_view begin, std::string_view end,
                                     Version since) const {
  if (since < keys_lost_at_ || since < ranges_lost_at_) return true;
  for (auto range = ranges_.rbegin(); range != ranges_.rend() && range->version > since; ++range) {
    if (Overlap(begin, end, range->begin, range->end)) return true;
  }
  std::size_t at = next_key_;
  for (std::size_t n = 0; n < keys_.size(); ++n) {
    at = (at == 0 ? keys_.size() : at) - 1;
    if (keys_[at].version <= since) return false;
    if (keys_[at].MayBeIn(begin, end)) return true;
  }
  return false;
}

bool RecentCommits::Key::MayBeIn(std::string_view begin, std::string_view end) const {
  const std::string_view known(shown.data(), std::min<std::size_t>(size, kShown));
  if (!end.empty() && known >= end) return false;
  // What is cut may go on with anything: it comes after `begin` unless its head does not.
  return known >= (size > kShown ? begin.substr(0, kShown) : begin);
}

}  // namespace bedrock::txn
