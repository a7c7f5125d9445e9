#include "TemporaryFolder.h"

#include "models/Checkpoint/File.h"

#include <sys/stat.h>

using namespace qwenc;
using qwenc::test::TemporaryFolder;

TEST(File, ReadsARegularFile) {
  TemporaryFolder folder;
  folder.write("a", "hello");
  Result<std::string> text = readWholeFile(folder.path("a"), 5);
  ASSERT_TRUE(text.isOk()) << text.status().message();
  EXPECT_EQ(*text, "hello");
}

TEST(File, RefusesWhatIsNoReadableFile) {
  TemporaryFolder folder;
  folder.write("a", "hello");
  EXPECT_REFUSED(readWholeFile(folder.path("a"), 4), "has 5 bytes, expected at most 4");
  EXPECT_REFUSED(readWholeFile(folder.path("b"), 4), "not found");
  EXPECT_REFUSED(readWholeFile(folder.path("a/b"), 4), "not found");
  EXPECT_REFUSED(readWholeFile(folder.path(), 4), "not a regular file");
  // A pipe nobody writes to must not make the program wait.
  ASSERT_EQ(::mkfifo(folder.path("pipe").c_str(), 0600), 0);
  EXPECT_REFUSED(readWholeFile(folder.path("pipe"), 4), "not a regular file");
}

TEST(File, ReadingBeyondTheEndIsAnError) {
  TemporaryFolder folder;
  folder.write("a", "hello");
  uint64_t size = 0;
  Result<int> fd = openRegularFile(folder.path("a"), size);
  ASSERT_TRUE(fd.isOk());
  EXPECT_EQ(size, 5u);
  char buffer[8];
  EXPECT_REFUSED(readExactly(*fd, 2, buffer, 8, "a"), "'a' ended at byte 5, expected 5 more bytes");
  ::close(*fd);
}

TEST(AtomicFile, AppearsOnlyWhenCommitted) {
  TemporaryFolder folder;
  folder.write("a", "old");
  {
    Result<AtomicFile> file = AtomicFile::create(folder.path("a"));
    ASSERT_TRUE(file.isOk());
    ASSERT_TRUE(file->write("new content").isOk());
    EXPECT_EQ(folder.read("a"), "old");
    ASSERT_TRUE(file->commit().isOk());
  }
  EXPECT_EQ(folder.read("a"), "new content");
  EXPECT_EQ(folder.fileCount(), 1u);
}

TEST(AtomicFile, LeavesNothingBehindWithoutCommit) {
  TemporaryFolder folder;
  {
    Result<AtomicFile> file = AtomicFile::create(folder.path("a"));
    ASSERT_TRUE(file.isOk());
    ASSERT_TRUE(file->write("half").isOk());
  }
  EXPECT_EQ(folder.fileCount(), 0u);
}

TEST(AtomicFile, RefusesPlacesThatCannotBeWritten) {
  TemporaryFolder folder;
  EXPECT_REFUSED(AtomicFile::create(folder.path("missing/a")), "cannot write");
  EXPECT_REFUSED(AtomicFile::create(folder.path()), "is a folder");
}

TEST(AtomicFile, WritesADeviceInPlace) {
  Result<AtomicFile> file = AtomicFile::create("/dev/null");
  ASSERT_TRUE(file.isOk());
  ASSERT_TRUE(file->write("gone").isOk());
  ASSERT_TRUE(file->commit().isOk());
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST(AtomicFile, ReplacesTheFileBehindALink) {
  TemporaryFolder folder;
  folder.write("target", "old");
  std::filesystem::create_symlink("target", folder.path("link"));
  Result<AtomicFile> file = AtomicFile::create(folder.path("link"));
  ASSERT_TRUE(file.isOk());
  ASSERT_TRUE(file->write("new").isOk());
  ASSERT_TRUE(file->commit().isOk());
  EXPECT_TRUE(std::filesystem::is_symlink(folder.path("link")));
  Result<std::string> target = readWholeFile(folder.path("target"), 100);
  ASSERT_TRUE(target.isOk());
  EXPECT_EQ(*target, "new");
  EXPECT_EQ(folder.fileCount(), 2u);
}

TEST(AtomicFile, ReportsAFullDisk) {
  Result<AtomicFile> file = AtomicFile::create("/dev/full");
  ASSERT_TRUE(file.isOk());
  EXPECT_REFUSED(file->write("x"), "cannot write '/dev/full' (No space left on device)");
}
