// The tokenizer of a plan: a flatbuffer in, every contradiction of its tables refused.

#include "TestSupport.h"

#include "plan_generated.h"

#include <functional>

using namespace qwenc;
using namespace qwenc::test;
using qwenrt::StatusCode;
using qwenrt::Tokenizer;
namespace fb = qwenrt::fb;

namespace {

std::vector<uint8_t> planTable(const TokenizerData &data) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<fb::AddedToken>> added;
  for (const AddedToken &token : data.added)
    added.push_back(fb::CreateAddedToken(builder, token.id, builder.CreateString(token.content), token.special));
  auto table = fb::CreateTokenizer(builder, builder.CreateVector(data.pieceBytes),
                                   builder.CreateVector(data.pieceOffsets), builder.CreateVector(data.merges),
                                   builder.CreateVector(data.byteIds), builder.CreateVector(added));
  builder.Finish(table);
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

TokenizerData minimalData() { return valueOf(readTokenizerJson(minimalTokenizerJson().dump())); }

void expectRefused(const std::function<void(TokenizerData &)> &edit, const std::string &message) {
  TokenizerData data = minimalData();
  edit(data);
  const std::vector<uint8_t> table = planTable(data);
  qwenrt::Status status = Tokenizer::fromPlan(*flatbuffers::GetRoot<fb::Tokenizer>(table.data())).status();
  EXPECT_EQ(status.code(), StatusCode::InvalidInput) << message;
  EXPECT_NE(status.message().find(message), std::string::npos)
      << "expected: " << message << "\nfound: " << status.message();
}

} // namespace

TEST(PlanTokenizerTest, SameAsFromData) {
  const TokenizerData data = valueOf(readTokenizer(kDataFolder, {"tokenizer.json"}));
  const std::vector<uint8_t> table = planTable(data);
  const Tokenizer tokenizer = valueOf(Tokenizer::fromPlan(*flatbuffers::GetRoot<fb::Tokenizer>(table.data())));
  const std::string text = "<|im_start|>user\nIt's Поезд 12<|im_end|>";
  const auto ids = valueOf(tokenizer.encode(text));
  EXPECT_EQ(ids, valueOf(goldenTokenizer().encode(text)));
  EXPECT_EQ(tokenizer.decode(ids), text);
}

TEST(PlanTokenizerTest, RefusesBrokenPieces) {
  expectRefused([](TokenizerData &d) { d.pieceOffsets.clear(); }, "0 piece offsets, expected 1 to 16777217");
  expectRefused([](TokenizerData &d) { d.pieceOffsets.front() = 1; },
                "piece offsets run from 1 to 261, expected 0 to 261");
  expectRefused([](TokenizerData &d) { d.pieceOffsets.back() = 262; },
                "piece offsets run from 0 to 262, expected 0 to 261");
  expectRefused([](TokenizerData &d) { d.pieceOffsets[7] = 5; }, "piece 6 spans bytes 6 to 5, expected");
  expectRefused([](TokenizerData &d) { d.pieceOffsets[7] = 4000000000; },
                "piece 6 spans bytes 6 to 4000000000, expected");
  expectRefused([](TokenizerData &d) { d.pieceBytes.resize(3000, 'x'), d.pieceOffsets.push_back(3000); },
                "piece 258 spans bytes 261 to 3000");
}

TEST(PlanTokenizerTest, RefusesBrokenByteIds) {
  expectRefused([](TokenizerData &d) { d.byteIds.pop_back(); }, "255 byte ids, expected 256");
  expectRefused([](TokenizerData &d) { d.byteIds[9] = 258; },
                "byte 9 has the id 258, expected that of a piece of just this byte");
  expectRefused([](TokenizerData &d) { d.byteIds[9] = 10; },
                "byte 9 has the id 10, expected that of a piece of just this byte");
}

TEST(PlanTokenizerTest, RefusesBrokenMerges) {
  expectRefused([](TokenizerData &d) { d.merges.pop_back(); }, "5 merge values, expected triples");
  expectRefused([](TokenizerData &d) { d.merges[0] = 258; },
                "merge 0 joins ids 258 and 98 to 256, expected ids below 258");
  expectRefused([](TokenizerData &d) { d.merges[4] = 258; },
                "merge 1 joins ids 256 and 258 to 257, expected ids below 258");
  expectRefused([](TokenizerData &d) { d.merges[5] = UINT32_MAX; }, "to 4294967295, expected ids below 258");
  expectRefused([](TokenizerData &d) { d.merges[5] = 256; },
                "merge 1 joins ids 256 and 99 to 256, expected the piece of both");
  expectRefused([](TokenizerData &d) { d.merges[4] = 'd'; },
                "merge 1 joins ids 256 and 100 to 257, expected the piece of both");
}

TEST(PlanTokenizerTest, RefusesBrokenAddedTokens) {
  expectRefused([](TokenizerData &d) { d.added[0].id = 1u << 24; },
                "added token id 16777216, expected ids below 16777216");
  expectRefused([](TokenizerData &d) { d.added[0].content = ""; },
                "added token 300 has 0 bytes, expected 1 to 256 of UTF-8");
  expectRefused([](TokenizerData &d) { d.added[0].content = "\xff"; },
                "added token 300 has 1 bytes, expected 1 to 256 of UTF-8");
  expectRefused([](TokenizerData &d) { d.added[0].content = std::string(257, 'x'); }, "added token 300 has 257 bytes");
  expectRefused([](TokenizerData &d) { d.added.push_back({301, "<t>", true}); }, "is written like token");
  expectRefused([](TokenizerData &d) { d.added.push_back({300, "<u>", true}); },
                "two added tokens have the id 300, expected one");
}

TEST(PlanTokenizerTest, AbsentVectorsAreRefused) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(fb::CreateTokenizer(builder, builder.CreateVector<uint8_t>({}), builder.CreateVector<uint32_t>({}),
                                     builder.CreateVector<uint32_t>({}), builder.CreateVector<uint32_t>({}),
                                     builder.CreateVector(std::vector<flatbuffers::Offset<fb::AddedToken>>())));
  EXPECT_EQ(Tokenizer::fromPlan(*flatbuffers::GetRoot<fb::Tokenizer>(builder.GetBufferPointer())).status().code(),
            StatusCode::InvalidInput);
}
