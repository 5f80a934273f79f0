#include "bedrock/options.h"

#include <string>

#include "common/base/units.h"

namespace bedrock {
namespace {

template <typename Number>
Status CheckBounds(std::string_view field, Number value, Number min, Number max) {
  if (value >= min && value <= max) return {};
  return Status::InvalidArgument(std::string(field) + " is " + std::to_string(value) +
                                 ", and has to be from " + std::to_string(min) + " to " +
                                 std::to_string(max));
}

constexpr std::size_t kBytesMax = std::size_t{1} << 50;
constexpr std::size_t kValueBytesMax = 128 * kMiB;
/// A hundred years: sums of it and any time stay far from overflow.
constexpr std::chrono::milliseconds kHistoryMax{std::int64_t{100} * 365 * 24 * 3600 * 1000};

}  // namespace

Status Options::Validate() const {
  const auto in_bounds = [](std::string_view field, std::size_t value, std::size_t min,
                            std::size_t max) { return CheckBounds(field, value, min, max); };
  Status bad = in_bounds("memory_budget", memory_budget, 1 * kMiB, kBytesMax);
  if (bad.ok() && memtable_bytes.has_value())
    bad = in_bounds("memtable_bytes", *memtable_bytes, 64 * kKiB, std::size_t{4} << 30);
  if (bad.ok() && block_cache_bytes.has_value())
    bad = in_bounds("block_cache_bytes", *block_cache_bytes, 0, kBytesMax);
  if (bad.ok()) bad = in_bounds("mapped_bytes_max", mapped_bytes_max, 0, kBytesMax);
  if (bad.ok()) bad = in_bounds("block_bytes", block_bytes, 512, 1 * kMiB);
  if (bad.ok()) bad = in_bounds("filter_bits_per_key", filter_bits_per_key, 0, 30);
  // A value that is as large as any may be is as good as a bound of "never" above it.
  if (bad.ok()) bad = in_bounds("blob_bytes_min", blob_bytes_min, 0, kValueBytesMax + 1);
  if (bad.ok()) bad = in_bounds("background_threads", background_threads, 1, 64);
  if (bad.ok())
    bad = CheckBounds("history", history.count(), std::chrono::milliseconds::rep{0},
                      kHistoryMax.count());
  if (bad.ok() && compression.has_value() && *compression > Compression::kZstd)
    bad = Status::InvalidArgument("compression is none of those there are");
  return bad;
}

PrefixRange::PrefixRange(std::string_view prefix) : begin_(prefix), end_(prefix) {
  // The first key after all those: the prefix counted up by one, in as many bytes as it takes.
  while (!end_.empty() && end_.back() == '\xff') end_.pop_back();
  if (!end_.empty()) end_.back() = static_cast<char>(static_cast<unsigned char>(end_.back()) + 1);
}

}  // namespace bedrock
