#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/units.h"

namespace bedrock::storage {

inline constexpr std::size_t kWaitingReadsMax = 65'536;
inline constexpr std::size_t kWaitingReadsBytesMax = 32 * kMiB;  ///< Of their subjects.
/// No read waits longer for a version, whatever it asks for; also the wait of one that says
/// nothing.
inline constexpr std::uint64_t kReadWaitMsMax = 60'000;

/// A read that may have come before the version it needs was applied.
struct WaitingRead {
  enum class Kind : std::uint8_t { kGet, kQuery };
  std::string from;  ///< Routing id of who asked.
  RequestId request;
  Kind kind = Kind::kGet;
  Bytes subject;  ///< A key, or an encoded command.
  Version min_version;
  Version at;                     ///< 0: the newest applied.
  std::uint64_t deadline_ms = 0;  ///< By the clock that tells the queue the time.

  /// What has to be applied before it is answered.
  Version needed() const { return std::max(min_version, at); }
};

/// Reads that wait for the applied index, lowest version first, in order of arrival among equals.
///
/// A pure value. One thread.
class ReadQueue {
 public:
  /// False where a bound is reached: the read is not taken. Copies the subject, so that it does not
  /// keep its frame alive.
  bool Add(WaitingRead read);
  bool HasReady(Version applied) const;
  /// The next read that `applied` is enough for.
  std::optional<WaitingRead> TakeReady(Version applied);
  /// A read whose deadline is at or before now; earliest deadline first.
  std::optional<WaitingRead> TakeExpired(std::uint64_t now_ms);
  /// Any read: the next in order.
  std::optional<WaitingRead> TakeAny();

  /// The earliest deadline.
  std::optional<std::uint64_t> NextDeadline() const;
  std::size_t size() const { return reads_.size(); }

 private:
  using Place = std::pair<Version, std::uint64_t>;  // needed version, arrival
  using Reads = std::map<Place, WaitingRead>;

  WaitingRead Take(Reads::iterator read);

  Reads reads_;
  std::set<std::pair<std::uint64_t, Place>> deadlines_;  // of each read
  std::uint64_t arrivals_ = 0;
  std::size_t subject_bytes_ = 0;
};

}  // namespace bedrock::storage
