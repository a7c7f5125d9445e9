//===- PipelineCacheTest.cpp - Compiled kernels on disk ----------------------------------------------------------===//
#include "TestDevice.h"
#include "TestPlan.h"
#include "runtime/lib/ComputePipelines.h"
#include "test/Checkpoint/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <cstdlib>

using namespace qwenrt;
using namespace qwenrt::test;
using qwenc::test::TemporaryFolder;

namespace {

class PipelineCacheTest : public testing::Test {
protected:
  void SetUp() override { SKIP_WITHOUT_DEVICE(); }

  /// Compiles all kernels with the cache in \p cacheFolder; says whether it was warm.
  bool buildAll(const std::string &cacheFolder) {
    auto pipelines = ComputePipelines::create(anyDevice()->state(), cacheFolder);
    EXPECT_TRUE(pipelines.isOk()) << pipelines.status().message();
    uint32_t done = 0;
    Status status =
        (*pipelines)->build((*plan)->root(), {0, 1, 2, 3, 1}, [&](uint32_t count, uint32_t) { done = count; });
    EXPECT_TRUE(status.isOk()) << status.message();
    EXPECT_EQ((*pipelines)->built(), 4u);
    EXPECT_EQ(done, 4u);
    return (*pipelines)->warm();
  }
  std::string cacheFile() const {
    for (const auto &entry : std::filesystem::directory_iterator(folder.path("a/b")))
      return entry.path().string();
    return "";
  }

  TemporaryFolder folder;
  Result<std::shared_ptr<const Plan>> plan = Plan::fromBytes(fakeModel().encodeFile(), ".");
};

TEST_F(PipelineCacheTest, SecondStartIsWarm) {
  EXPECT_FALSE(buildAll(folder.path("a/b")));
  EXPECT_TRUE(buildAll(folder.path("a/b")));
}

TEST_F(PipelineCacheTest, DamagedFileIsIgnoredAndReplaced) {
  buildAll(folder.path("a/b"));
  std::string path = cacheFile(), name = std::filesystem::path(path).filename();
  std::string content = folder.read("a/b/" + name);
  ASSERT_GT(content.size(), 24u);
  for (const std::string &damaged :
       {content.substr(0, content.size() / 2), content.substr(0, 10), std::string("x") + content.substr(1),
        content.substr(0, 30) + "!" + content.substr(31)}) {
    folder.write("a/b/" + name, damaged);
    EXPECT_FALSE(buildAll(folder.path("a/b")));
    EXPECT_TRUE(buildAll(folder.path("a/b"))); // written anew
  }
}

TEST_F(PipelineCacheTest, UnwritableFolderIsNoError) {
  folder.write("file", "");
  EXPECT_FALSE(buildAll(folder.path("file/below")));
}

TEST_F(PipelineCacheTest, NoFolderMeansNoFile) {
  EXPECT_FALSE(buildAll(""));
  EXPECT_EQ(folder.fileCount(), 0u);
}

TEST_F(PipelineCacheTest, FolderFollowsXdg) {
  setenv("XDG_CACHE_HOME", "/cache", 1);
  EXPECT_EQ(defaultCacheFolder(), "/cache/qwenrt");
  setenv("XDG_CACHE_HOME", "relative", 1); // the specification wants these ignored
  setenv("HOME", "/home/someone", 1);
  EXPECT_EQ(defaultCacheFolder(), "/home/someone/.cache/qwenrt");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  EXPECT_EQ(defaultCacheFolder(), "");
}

} // namespace
