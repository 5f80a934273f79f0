#include "bedrock/options.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace bedrock {
namespace {

TEST(OptionsTest, DefaultsAreValid) { EXPECT_TRUE(Options{}.Validate().ok()); }

struct Bad {
  std::string field;
  std::function<void(Options&)> spoil;
};

TEST(OptionsTest, EachBoundIsCheckedAndNamesItsField) {
  const Bad cases[] = {
      {"memory_budget", [](Options& o) { o.memory_budget = (1 << 20) - 1; }},
      {"memory_budget", [](Options& o) { o.memory_budget = (std::size_t{1} << 50) + 1; }},
      {"memtable_bytes", [](Options& o) { o.memtable_bytes = (64 << 10) - 1; }},
      {"memtable_bytes", [](Options& o) { o.memtable_bytes = (std::size_t{4} << 30) + 1; }},
      {"block_cache_bytes", [](Options& o) { o.block_cache_bytes = (std::size_t{1} << 50) + 1; }},
      {"mapped_bytes_max", [](Options& o) { o.mapped_bytes_max = (std::size_t{1} << 50) + 1; }},
      {"block_bytes", [](Options& o) { o.block_bytes = 511; }},
      {"block_bytes", [](Options& o) { o.block_bytes = (1 << 20) + 1; }},
      {"compression", [](Options& o) { o.compression = static_cast<Compression>(3); }},
      {"filter_bits_per_key", [](Options& o) { o.filter_bits_per_key = 31; }},
      {"background_threads", [](Options& o) { o.background_threads = 0; }},
      {"background_threads", [](Options& o) { o.background_threads = 65; }},
      {"history", [](Options& o) { o.history = std::chrono::milliseconds(-1); }},
      {"history", [](Options& o) { o.history = std::chrono::milliseconds::max(); }},
  };
  for (const Bad& bad : cases) {
    Options options;
    bad.spoil(options);
    const Status status = options.Validate();
    EXPECT_TRUE(status.IsInvalidArgument()) << bad.field;
    EXPECT_NE(status.message().find(bad.field), std::string_view::npos) << status.ToString();
  }
}

TEST(OptionsTest, BoundsThemselvesAreValid) {
  Options options;
  options.memory_budget = 1 << 20;
  options.memtable_bytes = 64 << 10;
  options.block_cache_bytes = 0;
  options.mapped_bytes_max = std::size_t{1} << 50;
  options.block_bytes = 512;
  options.compression = Compression::kZstd;
  options.filter_bits_per_key = 30;
  options.blob_bytes_min = 0;
  options.background_threads = 64;
  options.history = std::chrono::hours(24 * 365);
  EXPECT_TRUE(options.Validate().ok());
}

std::string EndOf(std::string_view prefix) {
  const PrefixRange range(prefix);
  return std::string(static_cast<Range>(range).end);
}

TEST(PrefixRangeTest, EndsBeforeTheFirstKeyThatDoesNotStartSo) {
  EXPECT_EQ(EndOf("a"), "b");
  EXPECT_EQ(EndOf("user/"), "user0");
  EXPECT_EQ(EndOf("a\xff"), "b");
  EXPECT_EQ(EndOf("a\xff\xff"), "b");
  EXPECT_EQ(EndOf(std::string("a\0", 2)), std::string("a\1", 2));
}

TEST(PrefixRangeTest, OneWithoutAKeyBehindItIsUnbounded) {
  EXPECT_EQ(EndOf(""), "");
  EXPECT_EQ(EndOf("\xff"), "");
  EXPECT_EQ(EndOf("\xff\xff"), "");
}

}  // namespace
}  // namespace bedrock
