// Feeds a tokenizer file to the reader; what it accepts has to make a tokenizer that encodes and decodes a fixed set of
// texts. An input is tokenizer.json, or vocab.json, merges.txt and tokenizer_config.json separated by bytes 0xff.

#include "models/Tokenizer/TokenizerData.h"
#include "runtime/frontend/Tokenizer.h"

#include <cstdlib>

using namespace qwenc;

namespace {

void exercise(const TokenizerData &data) {
  qwenrt::TokenizerView view{data.pieceBytes, data.pieceOffsets, data.merges, data.byteIds, {}};
  for (const AddedToken &token : data.added)
    view.added.push_back({token.id, token.content, token.special});
  qwenrt::Result<qwenrt::Tokenizer> tokenizer = qwenrt::Tokenizer::create(view);
  if (!tokenizer)
    std::abort(); // the runtime must take what the compiler accepts
  for (std::string_view text :
       {"", "abcabc aaaa\n\n  it's 12<t>!", "\u00fc \u4eca\u5929 \U0001f600", "<|im_start|>user\nHi<|im_end|>\n"}) {
    qwenrt::Result<std::vector<int32_t>> ids = tokenizer->encode(text, {.recogniseSpecial = false});
    if (!ids || !tokenizer->encode(text))
      std::abort();
    qwenrt::StreamDecoder decoder(*tokenizer);
    std::string streamed;
    for (int32_t id : *ids)
      streamed += decoder.push(id);
    if (streamed + decoder.finish() != tokenizer->decode(*ids))
      std::abort();
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t sizeBytes) {
  std::string_view input(reinterpret_cast<const char *>(bytes), sizeBytes);
  size_t first = input.find('\xff');
  size_t second = first == std::string_view::npos ? first : input.find('\xff', first + 1);
  qwenrt::Result<TokenizerData> data =
      second == std::string_view::npos
          ? readTokenizerJson(input)
          : readVocabAndMerges(input.substr(0, first), input.substr(first + 1, second - first - 1),
                               input.substr(second + 1));
  if (data)
    exercise(*data);
  return 0;
}
