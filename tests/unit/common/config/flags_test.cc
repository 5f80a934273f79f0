#include "common/config/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace bedrock::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FlagsTest : public ::testing::Test {
 protected:
  FlagsTest() : flags_("program", "Does something.") {
    flags_.Duration("wait", "How long to wait.", wait_ms_);
    flags_.Group("Sizes");
    flags_.ByteSize("size", "How large.", size_);
    flags_.Number("count", "How many.", count_, 1, 10);
    flags_.Switch("fast", "Whether to hurry.", fast_);
    flags_.TextList("word", "A word.", words_);
    flags_.Text("name", "A name.", name_);
    flags_.Check([this] {
      return count_ == 7 ? Status::InvalidArgument("--count: seven is taken") : Status();
    });
  }

  std::optional<int> Parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "program");
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const auto code = flags_.Parse(static_cast<int>(arguments.size()), arguments.data());
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return code;
  }

  std::uint64_t wait_ms_ = 250;
  std::uint64_t size_ = 1024;
  std::uint64_t count_ = 3;
  bool fast_ = false;
  std::vector<std::string> words_;
  std::string name_ = "it's";
  FlagSet flags_;
  std::string out_;
  std::string err_;
};

TEST_F(FlagsTest, DefaultsStayWhereNothingIsGiven) {
  EXPECT_EQ(Parse({}), std::nullopt);
  EXPECT_EQ(wait_ms_, 250U);
  EXPECT_EQ(size_, 1024U);
  EXPECT_THAT(words_, IsEmpty());
}

TEST_F(FlagsTest, ValuesAreTakenWithSpaceOrEqualsSign) {
  EXPECT_EQ(Parse({"--wait", "10s", "--size=64MiB", "--count", "10", "--fast"}), std::nullopt);
  EXPECT_EQ(wait_ms_, 10'000U);
  EXPECT_EQ(size_, 64U << 20);
  EXPECT_EQ(count_, 10U);
  EXPECT_TRUE(fast_);
}

TEST_F(FlagsTest, ARepeatedFlagKeepsEachValueWhole) {
  EXPECT_EQ(Parse({"--word", "a,b=c", "--word=d"}), std::nullopt);
  EXPECT_THAT(words_, ElementsAre("a,b=c", "d"));
}

TEST_F(FlagsTest, AnUnknownFlagIsAUsageErrorThatNamesIt) {
  EXPECT_EQ(Parse({"--wiat", "10s"}), kExitUsage);
  EXPECT_THAT(err_, HasSubstr("wiat"));
  EXPECT_THAT(err_, HasSubstr("--help"));
}

TEST_F(FlagsTest, ABadValueIsAUsageErrorThatNamesTheFlag) {
  EXPECT_EQ(Parse({"--wait", "soon"}), kExitUsage);
  EXPECT_THAT(err_, HasSubstr("--wait: not a duration"));
  EXPECT_EQ(Parse({"--count", "11"}), kExitUsage);
  EXPECT_EQ(Parse({"--fast=maybe"}), kExitUsage);
}

TEST_F(FlagsTest, AStrayWordAMissingValueAndASecondValueAreUsageErrors) {
  EXPECT_EQ(Parse({"stray"}), kExitUsage);
  EXPECT_THAT(err_, HasSubstr("stray"));
  EXPECT_EQ(Parse({"--wait"}), kExitUsage);
  EXPECT_EQ(Parse({"--wait", "1s", "--wait", "2s"}), kExitUsage);
  EXPECT_THAT(err_, HasSubstr("--wait is given more than once"));
}

TEST_F(FlagsTest, ABrokenRuleIsAUsageError) {
  EXPECT_EQ(Parse({"--count", "7"}), kExitUsage);
  EXPECT_THAT(err_, HasSubstr("--count: seven is taken"));
}

TEST_F(FlagsTest, HelpNamesEveryFlagItsDefaultAndItsGroup) {
  EXPECT_EQ(Parse({"--help"}), kExitOk);
  for (const char* part :
       {"Does something.", "--wait TIME", "How long to wait. (default: 250ms)", "Sizes",
        "--size BYTES", "(default: 1KiB)", "--fast", "May be repeated.", "--check-config"}) {
    EXPECT_THAT(out_, HasSubstr(part));
  }
}

TEST_F(FlagsTest, CheckConfigPrintsWhatHoldsAndEnds) {
  EXPECT_EQ(Parse({"--check-config", "--wait=1s", "--word=a,b", "--word", "c d"}), kExitOk);
  EXPECT_EQ(out_,
            "--wait=1s\n--size=1KiB\n--count=3\n--fast=false\n--word=a,b\n--word='c d'\n"
            "--name='it'\\''s'\n");
}

TEST_F(FlagsTest, CheckConfigSaysWhatIsWrongWithItsOwnExitCode) {
  EXPECT_EQ(Parse({"--check-config", "--count", "7"}), kExitInvalidConfig);
  EXPECT_EQ(Parse({"--check-config", "--nonsense"}), kExitInvalidConfig);
  EXPECT_THAT(err_, HasSubstr("nonsense"));
}

TEST_F(FlagsTest, VersionNamesTheProgram) {
  EXPECT_EQ(Parse({"--version"}), kExitOk);
  EXPECT_THAT(out_, HasSubstr("program 0."));
}

}  // namespace
}  // namespace bedrock::config
