#include "storaged/embedded/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/env/manual_clock.h"
#include "common/env/memory_file_system.h"

namespace bedrock::embedded {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

class EventLogTest : public testing::Test {
 protected:
  EventLogTest() { EXPECT_TRUE(files_.CreateDirectories("db").ok()); }

  std::string Content(const std::string& name) {
    return ReadFile(files_, "db/" + name, 1 << 30).value();
  }

  MemoryFileSystem files_;
  ManualClock clock_{0, 1'763'820'667'042};
};

TEST_F(EventLogTest, ALineHasItsTimeInUtc) {
  EventLog log(files_, clock_, "db");
  log.Open();
  log.Write("opened");
  EXPECT_EQ(Content("LOG"), "2025-11-22T14:11:07.042Z opened\n");
}

TEST_F(EventLogTest, TimesAreThoseOfTheCalendar) {
  EXPECT_EQ(FormatUtc(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(FormatUtc(951'782'399'999), "2000-02-28T23:59:59.999Z");
  EXPECT_EQ(FormatUtc(951'782'400'000), "2000-02-29T00:00:00.000Z");
  EXPECT_EQ(FormatUtc(4'102'444'800'001), "2100-01-01T00:00:00.001Z");
}

TEST_F(EventLogTest, OneEventIsOneLine) {
  EventLog log(files_, clock_, "db");
  log.Open();
  log.Write("a\nb\tc");
  EXPECT_THAT(Content("LOG"), EndsWith(" a b c\n"));
}

TEST_F(EventLogTest, WhatComesBeforeItIsOpenIsKept) {
  EventLog log(files_, clock_, "db");
  log.Write("early");
  log.Open();
  log.Write("late");
  EXPECT_THAT(Content("LOG"), testing::MatchesRegex(".* early\n.* late\n"));
}

TEST_F(EventLogTest, GoesOnWithTheFileOfBefore) {
  for (const char* line : {"first", "second"}) {
    EventLog log(files_, clock_, "db");
    log.Open();
    log.Write(line);
  }
  EXPECT_THAT(Content("LOG"), testing::MatchesRegex(".* first\n.* second\n"));
}

TEST_F(EventLogTest, NeverHoldsMoreThanItsBoundInEachOfTwoFiles) {
  EventLog log(files_, clock_, "db");
  log.Open();
  const std::string filler(1000, 'x');
  const std::size_t lines = 3 * EventLog::kBytesMax / filler.size();
  for (std::size_t i = 0; i < lines; ++i) log.Write(std::to_string(i) + filler);
  EXPECT_LE(Content("LOG").size(), EventLog::kBytesMax);
  EXPECT_LE(Content("LOG.old").size(), EventLog::kBytesMax);
  EXPECT_GT(Content("LOG.old").size(), EventLog::kBytesMax / 2);
  EXPECT_THAT(Content("LOG"), HasSubstr(" " + std::to_string(lines - 1) + "x"));
}

TEST_F(EventLogTest, ALongLineIsCut) {
  EventLog log(files_, clock_, "db");
  log.Open();
  log.Write(std::string(1 << 20, 'x'));
  EXPECT_LT(Content("LOG").size(), EventLog::kLineBytesMax + 100);
}

TEST_F(EventLogTest, ALineThatCannotBeWrittenIsDropped) {
  EventLog log(files_, clock_, "db");
  log.Open();
  log.Write("first");
  files_.Inject({.operations = {MemoryFileSystem::Operation::kWrite}, .path_suffix = "LOG"});
  log.Write("a much longer line that fails in the middle");
  log.Write("third");
  EXPECT_THAT(Content("LOG"), testing::MatchesRegex(".* first\n.* third\n"));
}

TEST_F(EventLogTest, ADirectoryThatIsGoneIsNoReasonToFail) {
  EventLog log(files_, clock_, "nowhere");
  log.Open();
  log.Write("line");
}

TEST_F(EventLogTest, AfterCloseItTouchesNothing) {
  EventLog log(files_, clock_, "db");
  log.Open();
  log.Write("line");
  log.Close();
  const std::uint64_t mutations = files_.mutations();
  log.Write("late");
  EXPECT_EQ(files_.mutations(), mutations);
}

}  // namespace
}  // namespace bedrock::embedded
