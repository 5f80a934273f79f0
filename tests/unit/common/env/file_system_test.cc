#include "common/env/file_system.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/env/memory_file_system.h"
#include "common/env/posix_file_system.h"
#include "common/env/random.h"

namespace bedrock {
namespace {

using OpenMode = FileSystem::OpenMode;

/// A file system with an empty folder of its own.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual FileSystem& file_system() = 0;
  virtual std::string directory() const = 0;
};

class PosixSubject final : public Subject {
 public:
  PosixSubject() {
    std::string name = testing::TempDir() + "bedrock_file_system_XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  ~PosixSubject() override { std::filesystem::remove_all(directory_); }
  FileSystem& file_system() override { return file_system_; }
  std::string directory() const override { return directory_; }

 private:
  PosixFileSystem file_system_{1 << 20};
  std::string directory_;
};

class MemorySubject final : public Subject {
 public:
  MemorySubject() { EXPECT_TRUE(file_system_.CreateDirectories(directory()).ok()); }
  FileSystem& file_system() override { return file_system_; }
  std::string directory() const override { return "/some/folder"; }

 private:
  MemoryFileSystem file_system_;
};

struct Kind {
  const char* name;
  std::function<std::unique_ptr<Subject>()> make;
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class FileSystemTest : public testing::TestWithParam<Kind> {
 protected:
  FileSystem& fs() { return subject_->file_system(); }
  std::string Path(const std::string& name) { return JoinPath(subject_->directory(), name); }
  std::unique_ptr<File> Open(const std::string& name, OpenMode mode) {
    auto file = fs().Open(Path(name), mode);
    EXPECT_TRUE(file.ok()) << file.status().ToString();
    return std::move(file).value();
  }
  void Put(const std::string& name, std::string_view content) {
    EXPECT_TRUE(Open(name, OpenMode::kCreate)->WriteAt(0, content).ok());
  }
  std::string Get(const std::string& name) {
    auto content = ReadFile(fs(), Path(name), 1 << 20);
    return content.ok() ? *content : content.status().ToString();
  }
  std::vector<std::string> List() {
    auto names = fs().List(subject_->directory());
    EXPECT_TRUE(names.ok());
    return names.value_or(std::vector<std::string>());
  }

  std::unique_ptr<Subject> subject_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(
    All, FileSystemTest,
    testing::Values(Kind{"Posix", [] { return std::make_unique<PosixSubject>(); }},
                    Kind{"Memory", [] { return std::make_unique<MemorySubject>(); }}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST_P(FileSystemTest, WhatIsWrittenIsRead) {
  const auto file = Open("a", OpenMode::kCreate);
  ASSERT_TRUE(file->WriteAt(0, "hello world").ok());
  ASSERT_TRUE(file->WriteAt(6, "there").ok());
  ASSERT_TRUE(file->Sync().ok());
  char out[5];
  EXPECT_EQ(file->ReadAt(6, 5, out).value(), 5u);
  EXPECT_EQ(std::string(out, 5), "there");
  EXPECT_EQ(Get("a"), "hello there");
}

TEST_P(FileSystemTest, AReadIsShortOnlyAtTheEnd) {
  const auto file = Open("a", OpenMode::kCreate);
  ASSERT_TRUE(file->WriteAt(0, "12345").ok());
  char out[10];
  EXPECT_EQ(file->ReadAt(3, 10, out).value(), 2u);
  EXPECT_EQ(file->ReadAt(5, 10, out).value(), 0u);
  EXPECT_EQ(file->ReadAt(500, 10, out).value(), 0u);
  EXPECT_EQ(file->ReadAt(0, 0, out).value(), 0u);
}

TEST_P(FileSystemTest, AWriteBehindTheEndLeavesZeroes) {
  const auto file = Open("a", OpenMode::kCreate);
  ASSERT_TRUE(file->WriteAt(3, "x").ok());
  EXPECT_EQ(Get("a"), std::string("\0\0\0x", 4));
}

TEST_P(FileSystemTest, AnEmptyWriteDoesNotGrow) {
  const auto file = Open("a", OpenMode::kCreate);
  ASSERT_TRUE(file->WriteAt(100, "").ok());
  EXPECT_EQ(file->Size().value(), 0u);
}

TEST_P(FileSystemTest, WriteAtAndSyncWritesAndGrows) {
  const auto file = Open("a", OpenMode::kCreate);
  ASSERT_TRUE(file->WriteAt(0, "hello world").ok());
  ASSERT_TRUE(file->WriteAtAndSync(6, "there you are").ok());
  EXPECT_EQ(Get("a"), "hello there you are");
  EXPECT_TRUE(file->WriteAtAndSync(UINT64_MAX - 1, "xyz").IsIOError());
  EXPECT_FALSE(Open("a", OpenMode::kRead)->WriteAtAndSync(0, "x").ok());
}

TEST_P(FileSystemTest, AllocateGrowsByZeroesAndChangesNothingThatIsThere) {
  const auto file = Open("a", OpenMode::kCreate);
  ASSERT_TRUE(file->WriteAt(0, "hello").ok());
  ASSERT_TRUE(file->Allocate(3).ok());
  EXPECT_EQ(Get("a"), "hello");
  ASSERT_TRUE(file->Allocate(3'000'001).ok());
  EXPECT_TRUE(ReadFile(fs(), Path("a"), 3'000'001).value() ==
              "hello" + std::string(2'999'996, '\0'));
  EXPECT_FALSE(Open("a", OpenMode::kRead)->Allocate(4'000'000).ok());
}

TEST_P(FileSystemTest, AMappingIsTheFileOrUnavailable) {
  const auto file = Open("a", OpenMode::kCreate);
  ASSERT_TRUE(file->WriteAt(0, "hello").ok());
  auto mapped = file->Map(1 << 20);
  if (!mapped.ok()) {
    EXPECT_TRUE(mapped.status().IsUnavailable()) << mapped.status().ToString();
    return;
  }
  EXPECT_EQ((*mapped)->size(), std::size_t{1} << 20);
  EXPECT_EQ(std::string((*mapped)->data(), 5), "hello");
  (*mapped)->data()[0] = 'j';
  EXPECT_EQ(Get("a"), "jello");
  ASSERT_TRUE(file->WriteAt(5, std::string(8192, '.')).ok());
  (*mapped)->Populate(4000, 100);
  (*mapped)->data()[8000] = '!';
  EXPECT_EQ(Get("a")[8000], '!');
}

TEST_P(FileSystemTest, AnOffsetThatCannotBeIsAnIoError) {
  const auto file = Open("a", OpenMode::kCreate);
  EXPECT_TRUE(file->WriteAt(UINT64_MAX - 1, "xyz").IsIOError());
}

TEST_P(FileSystemTest, TruncateShrinksAndGrows) {
  const auto file = Open("a", OpenMode::kCreate);
  ASSERT_TRUE(file->WriteAt(0, "12345").ok());
  ASSERT_TRUE(file->Truncate(2).ok());
  EXPECT_EQ(file->Size().value(), 2u);
  ASSERT_TRUE(file->Truncate(4).ok());
  EXPECT_EQ(Get("a"), std::string("12\0\0", 4));
  EXPECT_EQ(fs().FileSize(Path("a")).value(), 4u);
}

TEST_P(FileSystemTest, CreateEmptiesWhatWasThere) {
  Put("a", "old");
  Open("a", OpenMode::kCreate);
  EXPECT_EQ(Get("a"), "");
}

TEST_P(FileSystemTest, ReadWriteKeepsWhatWasThere) {
  Put("a", "old");
  ASSERT_TRUE(Open("a", OpenMode::kReadWrite)->WriteAt(0, "n").ok());
  EXPECT_EQ(Get("a"), "nld");
}

TEST_P(FileSystemTest, OnlyCreateMakesAFile) {
  EXPECT_TRUE(fs().Open(Path("a"), OpenMode::kRead).status().IsNotFound());
  EXPECT_TRUE(fs().Open(Path("a"), OpenMode::kReadWrite).status().IsNotFound());
  EXPECT_FALSE(fs().Exists(Path("a")).value());
  Open("a", OpenMode::kCreate);
  EXPECT_TRUE(fs().Exists(Path("a")).value());
}

TEST_P(FileSystemTest, AFileOpenedForReadingRefusesWrites) {
  Put("a", "x");
  const auto file = Open("a", OpenMode::kRead);
  EXPECT_TRUE(file->WriteAt(0, "y").IsIOError());
  EXPECT_TRUE(file->Truncate(0).IsIOError());
  EXPECT_EQ(Get("a"), "x");
}

TEST_P(FileSystemTest, AFinishedFileIsReadAsAnyOther) {
  Random random(1);
  std::string content(100'000, '\0');
  for (char& byte : content) byte = static_cast<char>(random.Below(256));
  Put("a", content);
  Put("empty", "");
  const auto finished = Open("a", OpenMode::kReadFinished);
  EXPECT_EQ(*finished->Size(), content.size());
  EXPECT_TRUE(finished->WriteAt(0, "y").IsIOError());
  for (int i = 0; i < 1000; ++i) {
    const std::size_t offset = random.Below(content.size() + 10);
    const std::size_t n = random.Below(5000);
    std::string out(n, '\0');
    if (i % 10 == 0) finished->DropCached(offset, n);
    const auto got = finished->ReadAt(offset, n, out.data());
    ASSERT_TRUE(got.ok()) << got.status().ToString();
    ASSERT_EQ(out.substr(0, *got), offset < content.size() ? content.substr(offset, n) : "");
  }
  char byte = 0;
  EXPECT_EQ(*Open("empty", OpenMode::kReadFinished)->ReadAt(0, 1, &byte), 0u);
  ASSERT_TRUE(fs().Remove(Path("a")).ok());
  ASSERT_EQ(*finished->ReadAt(5, 1, &byte), 1u) << "it lives as long as it is open";
  EXPECT_EQ(byte, content[5]);
  EXPECT_TRUE(fs().Open(Path("a"), OpenMode::kReadFinished).status().IsNotFound());
}

TEST_P(FileSystemTest, AFolderIsNoFile) {
  ASSERT_TRUE(fs().CreateDirectories(Path("d")).ok());
  EXPECT_TRUE(fs().Open(Path("d"), OpenMode::kRead).status().IsIOError());
  EXPECT_TRUE(fs().Open(Path("d"), OpenMode::kCreate).status().IsIOError());
  EXPECT_TRUE(fs().FileSize(Path("d")).status().IsIOError());
  EXPECT_TRUE(fs().Remove(Path("d")).IsIOError());
}

TEST_P(FileSystemTest, ErrorsNameThePath) {
  const Status status = fs().Open(Path("missing"), OpenMode::kRead).status();
  EXPECT_NE(status.message().find("missing"), std::string_view::npos) << status.ToString();
}

TEST_P(FileSystemTest, CreateDirectoriesMakesEveryParentAndMayBeRepeated) {
  ASSERT_TRUE(fs().CreateDirectories(Path("x/y/z")).ok());
  ASSERT_TRUE(fs().CreateDirectories(Path("x/y/z")).ok());
  ASSERT_TRUE(fs().CreateDirectories(Path("x/y//w/")).ok());
  EXPECT_EQ(fs().List(Path("x/y")).value(), (std::vector<std::string>{"w", "z"}));
}

TEST_P(FileSystemTest, CreateDirectoriesFailsOnAFile) {
  Put("x", "");
  EXPECT_TRUE(fs().CreateDirectories(Path("x")).IsIOError());
  EXPECT_TRUE(fs().CreateDirectories(Path("x/y")).IsIOError());
}

TEST_P(FileSystemTest, ListIsSortedAndHasNoDots) {
  for (const char* name : {"c", "a", "b"}) Put(name, "");
  EXPECT_EQ(List(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_TRUE(fs().List(Path("none")).status().IsNotFound());
  EXPECT_TRUE(fs().List(Path("a")).status().IsIOError());
}

TEST_P(FileSystemTest, RenameReplaces) {
  Put("a", "new");
  Put("b", "old");
  ASSERT_TRUE(fs().Rename(Path("a"), Path("b")).ok());
  EXPECT_EQ(Get("b"), "new");
  EXPECT_EQ(List(), (std::vector<std::string>{"b"}));
  EXPECT_TRUE(fs().Rename(Path("a"), Path("c")).IsNotFound());
}

TEST_P(FileSystemTest, RenameToAnotherNameOfTheSameFileLeavesBoth) {
  Put("a", "x");
  ASSERT_TRUE(fs().Link(Path("a"), Path("b")).ok());
  ASSERT_TRUE(fs().Rename(Path("a"), Path("b")).ok());
  EXPECT_EQ(List(), (std::vector<std::string>{"a", "b"}));
}

TEST_P(FileSystemTest, ALinkIsTheSameFile) {
  Put("a", "x");
  ASSERT_TRUE(fs().Link(Path("a"), Path("b")).ok());
  ASSERT_TRUE(Open("b", OpenMode::kReadWrite)->WriteAt(0, "y").ok());
  EXPECT_EQ(Get("a"), "y");
  ASSERT_TRUE(fs().Remove(Path("a")).ok());
  EXPECT_EQ(Get("b"), "y");
}

TEST_P(FileSystemTest, LinkNeverReplaces) {
  Put("a", "x");
  Put("b", "y");
  EXPECT_TRUE(fs().Link(Path("a"), Path("b")).IsIOError());
  EXPECT_TRUE(fs().Link(Path("c"), Path("d")).IsNotFound());
  EXPECT_EQ(Get("b"), "y");
}

TEST_P(FileSystemTest, ARemovedFileLivesWhileItIsOpen) {
  Put("a", "x");
  const auto file = Open("a", OpenMode::kRead);
  ASSERT_TRUE(fs().Remove(Path("a")).ok());
  EXPECT_FALSE(fs().Exists(Path("a")).value());
  char out = 0;
  EXPECT_EQ(file->ReadAt(0, 1, &out).value(), 1u);
  EXPECT_EQ(out, 'x');
  EXPECT_TRUE(fs().Remove(Path("a")).IsNotFound());
}

TEST_P(FileSystemTest, OnlyAnEmptyFolderIsRemoved) {
  ASSERT_TRUE(fs().CreateDirectories(Path("d")).ok());
  Put("d/a", "");
  EXPECT_TRUE(fs().RemoveDirectory(Path("d")).IsIOError());
  EXPECT_TRUE(fs().RemoveDirectory(Path("d/a")).IsIOError());
  ASSERT_TRUE(fs().Remove(Path("d/a")).ok());
  ASSERT_TRUE(fs().RemoveDirectory(Path("d")).ok());
  EXPECT_TRUE(fs().RemoveDirectory(Path("d")).IsNotFound());
}

TEST_P(FileSystemTest, SyncDirectoryNeedsAFolder) {
  Put("a", "");
  EXPECT_TRUE(fs().SyncDirectory(subject_->directory()).ok());
  EXPECT_TRUE(fs().SyncDirectory(Path("none")).IsNotFound());
  EXPECT_TRUE(fs().SyncDirectory(Path("a")).IsIOError());
}

TEST_P(FileSystemTest, ALockIsHeldOnceAndGoesWithItsOwner) {
  auto lock = fs().Lock(Path("LOCK"));
  ASSERT_TRUE(lock.ok());
  const auto second = fs().Lock(Path("LOCK"));
  EXPECT_TRUE(second.status().IsUnavailable());
  EXPECT_NE(second.status().message().find("LOCK"), std::string_view::npos);
  std::move(lock).value().reset();
  EXPECT_TRUE(fs().Lock(Path("LOCK")).ok());
}

TEST_P(FileSystemTest, FreeSpaceIsTold) {
  EXPECT_GT(fs().FreeSpace(subject_->directory()).value(), 0u);
  EXPECT_TRUE(fs().FreeSpace(Path("none")).status().IsNotFound());
}

TEST_P(FileSystemTest, ReplaceFilePutsTheWholeContent) {
  Put("a", "something longer");
  ASSERT_TRUE(ReplaceFile(fs(), Path("a"), "short").ok());
  EXPECT_EQ(Get("a"), "short");
  EXPECT_EQ(List(), (std::vector<std::string>{"a"}));
}

TEST_P(FileSystemTest, ReadFileRefusesMoreThanItsBound) {
  Put("a", "12345");
  EXPECT_TRUE(ReadFile(fs(), Path("a"), 4).status().IsCorruption());
  EXPECT_EQ(ReadFile(fs(), Path("a"), 5).value(), "12345");
}

TEST(PosixFileSystemTest, TheLockFileNamesItsHolder) {
  PosixSubject subject;
  const std::string path = JoinPath(subject.directory(), "LOCK");
  const auto lock = subject.file_system().Lock(path);
  const std::string pid = ReadFile(subject.file_system(), path, 100).value();
  ASSERT_GT(std::stol(pid), 0);
  EXPECT_EQ(pid.back(), '\n');
  const Status refused = subject.file_system().Lock(path).status();
  EXPECT_NE(refused.message().find(pid.substr(0, pid.size() - 1)), std::string_view::npos);
}

TEST(PosixFileSystemTest, MapsFinishedFilesAsFarAsItMay) {
  PosixSubject subject;
  const auto path = [&](const std::string& name) { return JoinPath(subject.directory(), name); };
  for (const char* name : {"a", "b", "c"}) {
    auto file = subject.file_system().Open(path(name), OpenMode::kCreate);
    ASSERT_TRUE((*file)->WriteAt(0, std::string(10'000, *name)).ok());
  }
  std::unique_ptr<File> last;
  {
    PosixFileSystem mapping(25'000);
    EXPECT_TRUE(mapping.Open(path("a"), OpenMode::kRead).ok());
    EXPECT_EQ(mapping.mapped_bytes(), 0u);
    auto a = mapping.Open(path("a"), OpenMode::kReadFinished);
    auto b = mapping.Open(path("b"), OpenMode::kReadFinished);
    EXPECT_EQ(mapping.mapped_bytes(), 20'000u);
    auto c = mapping.Open(path("c"), OpenMode::kReadFinished);
    EXPECT_EQ(mapping.mapped_bytes(), 20'000u);
    char byte = 0;
    ASSERT_TRUE((*c)->ReadAt(9'999, 1, &byte).ok());
    EXPECT_EQ(byte, 'c') << "without room it is read";
    a->reset();
    EXPECT_EQ(mapping.mapped_bytes(), 10'000u);
    c = mapping.Open(path("c"), OpenMode::kReadFinished);
    EXPECT_EQ(mapping.mapped_bytes(), 20'000u);
    last = std::move(*b);
  }
  char byte = 0;
  ASSERT_TRUE(last->ReadAt(0, 1, &byte).ok());
  EXPECT_EQ(byte, 'b') << "files outlive the file system";
  EXPECT_FALSE(last->ReadAt(UINT64_MAX, 2, &byte).ok());
}

TEST(PosixFileSystemTest, AFullDeviceIsNoSpace) {
  PosixFileSystem file_system;
  auto file = file_system.Open("/dev/full", OpenMode::kReadWrite);
  if (!file.ok()) GTEST_SKIP() << "this system has no /dev/full";
  const Status status = (*file)->WriteAt(0, "x");
  EXPECT_TRUE(status.IsNoSpace()) << status.ToString();
  EXPECT_NE(status.message().find("/dev/full at offset 0"), std::string_view::npos);
}

TEST(PathTest, JoinAndParent) {
  EXPECT_EQ(JoinPath("a/b", "c"), "a/b/c");
  EXPECT_EQ(JoinPath("a/", "c"), "a/c");
  EXPECT_EQ(JoinPath("", "c"), "c");
  EXPECT_EQ(ParentPath("a/b"), "a");
  EXPECT_EQ(ParentPath("b"), ".");
  EXPECT_EQ(ParentPath("/b"), "/");
}

}  // namespace
}  // namespace bedrock
