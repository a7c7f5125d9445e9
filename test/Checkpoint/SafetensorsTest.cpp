#include "TemporaryFolder.h"

#include "models/Checkpoint/Safetensors.h"

using namespace qwenc;
using qwenc::test::TemporaryFolder;

namespace {

std::string lengthBytes(uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i)
    bytes += static_cast<char>(length >> (8 * i));
  return bytes;
}

/// One tensor "a" of BF16 [2,3] with \p fields in place of its description.
std::string tensor(const std::string &fields) { return "{\"a\":{" + fields + "}}"; }

} // namespace

TEST(Safetensors, ReadsTensorsAndMetadata) {
  std::string json =
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[],"data_offsets":[12,16]},)"
      R"("a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},"e":{"dtype":"I8","shape":[0],"data_offsets":[12,12]}}   )";
  Result<SafetensorsHeader> header = parseSafetensorsHeader(json, 16);
  ASSERT_TRUE(header.isOk()) << header.status().message();
  EXPECT_EQ(header->headerBytes, json.size());
  EXPECT_EQ(header->fileSizeBytes, 8 + json.size() + 16);
  EXPECT_EQ(header->metadata.at("format"), "pt");
  ASSERT_EQ(header->tensors.size(), 3u);
  const StoredTensor &a = header->tensors.at("a");
  EXPECT_EQ(a.dtype, StoredDType::BF16);
  EXPECT_EQ(a.shape, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(a.offsetBytes, 8 + json.size());
  EXPECT_EQ(a.sizeBytes, 12u);
  EXPECT_EQ(header->tensors.at("b").offsetBytes, 8 + json.size() + 12);
  EXPECT_EQ(header->tensors.at("e").sizeBytes, 0u);
}

TEST(Safetensors, HashIsFnv1aOfLengthAndHeader) {
  // Published test values of FNV-1a 64.
  EXPECT_EQ(fnv1a64(""), 0xcbf29ce484222325u);
  EXPECT_EQ(fnv1a64("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(fnv1a64("foobar"), 0x85944171f73967e8u);
  Result<SafetensorsHeader> header = parseSafetensorsHeader("{}", 0);
  ASSERT_TRUE(header.isOk());
  EXPECT_EQ(header->headerHash, fnv1a64(lengthBytes(2) + "{}"));
}

TEST(Safetensors, KnowsEveryDType) {
  for (const char *name : {"F64", "F32", "F16", "BF16", "I64", "U64", "I32", "U32", "I16", "U16", "I8", "U8", "BOOL",
                           "F8_E4M3", "F8_E5M2"}) {
    std::optional<StoredDType> dtype = storedDTypeFromName(name);
    ASSERT_TRUE(dtype) << name;
    EXPECT_EQ(storedDTypeName(*dtype), name);
  }
  EXPECT_EQ(storedDTypeSizeBytes(StoredDType::F64), 8u);
  EXPECT_EQ(storedDTypeSizeBytes(StoredDType::F8E5M2), 1u);
}

struct BadHeader {
  const char *what;
  std::string json;
  uint64_t dataBytes;
  const char *message;
};

class SafetensorsRefusal : public ::testing::TestWithParam<BadHeader> {};

TEST_P(SafetensorsRefusal, NamesTheProblem) {
  EXPECT_REFUSED(parseSafetensorsHeader(GetParam().json, GetParam().dataBytes), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    All, SafetensorsRefusal,
    ::testing::Values(
        BadHeader{"empty", "", 0, "does not start with '{'"},
        BadHeader{"notJson", "PK\x03", 0, "does not start with '{'"},
        BadHeader{"leadingSpace", " {}", 0, "does not start with '{'"},
        BadHeader{"cutJson", "{\"a\":", 0, "header: broken JSON"},
        BadHeader{"trailing", "{}x", 0, "header: broken JSON"},
        BadHeader{
            "duplicate",
            R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
            1, "header: key 'a' stands twice"},
        BadHeader{"nestingBomb", "{\"a\":" + std::string(100000, '['), 0, "header: JSON nested deeper than 3 levels"},
        BadHeader{"objectBomb", R"({"a":{"b":{"c":{"d":1}}}})", 0, "header: JSON nested deeper than 3 levels"},
        BadHeader{"noObject", "{\"a\":1}", 0, "tensor 'a': is not an object"},
        BadHeader{"metadataKind", "{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
        BadHeader{"metadataValue", "{\"__metadata__\":{\"k\":1}}", 0, "__metadata__ key 'k' holds no text"},
        BadHeader{"noDType", tensor(R"("shape":[2,3],"data_offsets":[0,12])"), 12, "tensor 'a': no dtype text"},
        BadHeader{"dtypeKind", tensor(R"("dtype":7,"shape":[2,3],"data_offsets":[0,12])"), 12, "no dtype text"},
        BadHeader{"unknownDType", tensor(R"("dtype":"F4","shape":[2,3],"data_offsets":[0,12])"), 12,
                  "unknown dtype 'F4', expected one of F64"},
        BadHeader{"noShape", tensor(R"("dtype":"BF16","data_offsets":[0,12])"), 12, "no shape array"},
        BadHeader{"shapeKind", tensor(R"("dtype":"BF16","shape":6,"data_offsets":[0,12])"), 12, "no shape array"},
        BadHeader{"negativeDim", tensor(R"("dtype":"BF16","shape":[-2,3],"data_offsets":[0,12])"), 12,
                  "a dimension that is no integer"},
        BadHeader{"fractionDim", tensor(R"("dtype":"BF16","shape":[2.0,3],"data_offsets":[0,12])"), 12,
                  "a dimension that is no integer"},
        BadHeader{"hugeDim", tensor(R"("dtype":"BF16","shape":[18446744073709551616],"data_offsets":[0,12])"), 12,
                  "a dimension that is no integer"},
        BadHeader{"overflow", tensor(R"("dtype":"BF16","shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0,
                  "size overflows 64 bits"},
        BadHeader{"rank", tensor(R"("dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,1])"), 1,
                  "shape of 17 dimensions, expected at most 16"},
        BadHeader{"noRange", tensor(R"("dtype":"BF16","shape":[2,3])"), 12, "no data_offsets pair"},
        BadHeader{"rangeLength", tensor(R"("dtype":"BF16","shape":[2,3],"data_offsets":[0])"), 12,
                  "no data_offsets pair"},
        BadHeader{"negativeRange", tensor(R"("dtype":"BF16","shape":[2,3],"data_offsets":[-1,11])"), 12,
                  "no data_offsets pair"},
        BadHeader{"backwards", tensor(R"("dtype":"BF16","shape":[2,3],"data_offsets":[12,0])"), 12,
                  "data_offsets [12, 0] run backwards"},
        BadHeader{"outside", tensor(R"("dtype":"BF16","shape":[2,3],"data_offsets":[0,12])"), 11,
                  "data ends at byte 12 of a data area of 11 bytes"},
        BadHeader{"sizeMismatch", tensor(R"("dtype":"BF16","shape":[2,3],"data_offsets":[0,10])"), 12,
                  "data_offsets span 10 bytes, expected 12"},
        BadHeader{
            "overlap",
            R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})",
            7, "tensors 'a' and 'b' overlap"},
        BadHeader{
            "emptyInside",
            R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[0],"data_offsets":[3,3]}})",
            4, "tensors 'a' and 'b' overlap"},
        BadHeader{
            "gap",
            R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}})",
            9, "gap of 1 bytes before tensor 'b'"},
        BadHeader{"uncovered", tensor(R"("dtype":"BF16","shape":[2,3],"data_offsets":[0,12])"), 13,
                  "data area of 13 bytes, of which the tensors cover 12"},
        BadHeader{"hugeData", "{}", UINT64_MAX, "expected less than 2^64"}),
    [](const auto &info) { return info.param.what; });

TEST(SafetensorsLength, RefusesLies) {
  EXPECT_REFUSED(parseSafetensorsLength("1234567", 7), "file of 7 bytes");
  EXPECT_REFUSED(parseSafetensorsLength(lengthBytes(93), 100), "header length 93 in a file of 100 bytes");
  EXPECT_REFUSED(parseSafetensorsLength(lengthBytes(maxSafetensorsHeaderBytes + 1), UINT64_MAX),
                 "header length 100000001, expected at most 100000000");
  EXPECT_REFUSED(parseSafetensorsLength(lengthBytes(UINT64_MAX), UINT64_MAX), "header length 18446744073709551615");
  Result<uint64_t> length = parseSafetensorsLength(lengthBytes(92), 100);
  ASSERT_TRUE(length.isOk());
  EXPECT_EQ(*length, 92u);
}

TEST(SafetensorsFile, EveryTruncationIsRefused) {
  TemporaryFolder folder;
  std::string json = tensor(R"("dtype":"BF16","shape":[2,3],"data_offsets":[0,12])");
  std::string whole = lengthBytes(json.size()) + json + std::string(12, 'x');
  folder.write("whole", whole);
  EXPECT_TRUE(readSafetensorsHeader(folder.path("whole")).isOk());
  for (size_t size = 0; size < whole.size(); ++size) {
    folder.write("cut", whole.substr(0, size));
    EXPECT_REFUSED(readSafetensorsHeader(folder.path("cut")), folder.path("cut"));
  }
  EXPECT_REFUSED(readSafetensorsHeader(folder.path("absent")), "not found");
}

TEST(SafetensorsFile, ReadsTheEmbeddedModel) {
  Result<SafetensorsHeader> header =
      readSafetensorsHeader(QWENC_SOURCE_DIR "/models/tiny-qwen3-chat/model.safetensors");
  ASSERT_TRUE(header.isOk()) << header.status().message();
  EXPECT_EQ(header->tensors.size(), 6 * 11 + 2u);
  EXPECT_EQ(header->tensors.at("model.embed_tokens.weight").shape, (std::vector<uint64_t>{1088, 192}));
}
