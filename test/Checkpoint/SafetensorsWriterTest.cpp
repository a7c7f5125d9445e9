#include "TemporaryFolder.h"

#include "models/Checkpoint/SafetensorsWriter.h"

using namespace qwenc;
using qwenc::test::TemporaryFolder;

namespace {

std::span<const std::byte> bytesOf(const std::string &text) { return std::as_bytes(std::span(text)); }

} // namespace

TEST(SafetensorsWriter, WritesWhatTheReaderReads) {
  TemporaryFolder folder;
  std::string first = "abcdefgh", second = "xy";
  std::vector<TensorData> tensors = {{{"logits \"1\"", StoredDType::F32, {1, 2}}, bytesOf(first)},
                                     {{"ids", StoredDType::U8, {2}}, bytesOf(second)}};
  Status written = writeSafetensors(folder.path("out"), tensors, {{"format", "pt"}});
  ASSERT_TRUE(written.isOk()) << written.message();
  Result<SafetensorsHeader> header = readSafetensorsHeader(folder.path("out"));
  ASSERT_TRUE(header.isOk()) << header.status().message();
  EXPECT_EQ(header->metadata.at("format"), "pt");
  EXPECT_EQ(header->headerBytes % 8, 0u);
  const StoredTensor &logits = header->tensors.at("logits \"1\""), &ids = header->tensors.at("ids");
  EXPECT_EQ(logits.shape, (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(folder.read("out").substr(logits.offsetBytes, logits.sizeBytes), first);
  EXPECT_EQ(folder.read("out").substr(ids.offsetBytes, ids.sizeBytes), second);
  EXPECT_EQ(folder.fileCount(), 1u);
}

TEST(SafetensorsWriter, NoTensorsAreAFileToo) {
  TemporaryFolder folder;
  ASSERT_TRUE(writeSafetensors(folder.path("out"), {}).isOk());
  EXPECT_TRUE(readSafetensorsHeader(folder.path("out")).isOk());
}

TEST(SafetensorsWriter, StreamsInPieces) {
  TemporaryFolder folder;
  std::vector<TensorDescription> tensors = {{"a", StoredDType::U8, {3}}, {"b", StoredDType::U8, {3}}};
  Result<SafetensorsWriter> writer = SafetensorsWriter::create(folder.path("out"), tensors);
  ASSERT_TRUE(writer.isOk());
  ASSERT_TRUE(writer->append(bytesOf("1234")).isOk());
  EXPECT_REFUSED(writer->append(bytesOf("567")), "3 bytes of tensor data, expected at most 2 more");
  EXPECT_REFUSED(writer->finish(), "2 bytes of tensor data are missing");
  EXPECT_FALSE(folder.has("out"));
  ASSERT_TRUE(writer->append(bytesOf("56")).isOk());
  ASSERT_TRUE(writer->finish().isOk());
  EXPECT_TRUE(readSafetensorsHeader(folder.path("out")).isOk());
}

TEST(SafetensorsWriter, RefusesWhatNoReaderCouldRead) {
  TemporaryFolder folder;
  std::string data = "abc";
  std::vector<TensorData> twice = {{{"a", StoredDType::U8, {3}}, bytesOf(data)},
                                   {{"a", StoredDType::U8, {3}}, bytesOf(data)}};
  EXPECT_REFUSED(writeSafetensors(folder.path("out"), twice), "tensor name 'a' is taken or no UTF-8");
  std::vector<TensorData> wild = {{{"\xff", StoredDType::U8, {3}}, bytesOf(data)}};
  EXPECT_REFUSED(writeSafetensors(folder.path("out"), wild), "is taken or no UTF-8");
  std::vector<TensorData> shortData = {{{"a", StoredDType::F32, {1}}, bytesOf(data)}};
  EXPECT_REFUSED(writeSafetensors(folder.path("out"), shortData), "tensor 'a' comes with 3 bytes, expected 4");
  EXPECT_EQ(folder.fileCount(), 0u);
}
