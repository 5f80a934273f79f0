#include "storaged/engine/table/file_names.h"

#include <gtest/gtest.h>

namespace bedrock::engine {
namespace {

TEST(FileNamesTest, OnlyExactNamesParse) {
  for (const std::uint64_t n : {1ull, 999'999ull, 1'000'000ull, 123'456'789'012ull}) {
    EXPECT_EQ(ParseName(TableName(FileNumber(n)))->number, FileNumber(n));
    EXPECT_EQ(ParseName(ManifestName(FileNumber(n)))->kind, ParsedName::Kind::kManifest);
  }
  EXPECT_EQ(TableName(FileNumber(42)), "000042.sst");
  EXPECT_EQ(ManifestName(FileNumber(42)), "MANIFEST-000042");
  for (const char* name : {"", "CURRENT", "LOCK", "42.sst", "0000042.sst", "000000.sst",
                           "00004a.sst", "000042.sst.tmp", "MANIFEST-", "MANIFEST-42", "-00042.sst",
                           "99999999999999999999.sst", "notes.txt"}) {
    EXPECT_FALSE(ParseName(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace bedrock::engine
