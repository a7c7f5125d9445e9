// Qwen3's template where it differs from plain ChatML, and prompts for chats whose beginning is in the caches.

#include "TestSupport.h"

#include "runtime/frontend/Chat.h"

using namespace qwenrt;

namespace {

const ChatOptions kThinkingOn{.thinkingSwitch = true, .thinking = true};
const ChatOptions kThinkingOff{.thinkingSwitch = true, .thinking = false};
const ChatOptions kNoSwitch{.thinkingSwitch = false, .thinking = false};

} // namespace

TEST(ChatTest, ThinkingOffAppendsAnEmptyThinkBlock) {
  const Turn turns[] = {{"user", "Hi"}};
  EXPECT_EQ(renderPrompt(turns, true, kThinkingOn), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(renderPrompt(turns, true, kThinkingOff),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n");
  EXPECT_EQ(renderPrompt(turns, false, kThinkingOff), "<|im_start|>user\nHi<|im_end|>\n");
  EXPECT_EQ(renderPrompt(turns, true, kNoSwitch), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
      << "a template without the switch has no think block";
}

TEST(ChatTest, ReasoningLeavesEarlierTurns) {
  const Turn turns[] = {{"user", "A"}, {"assistant", "<think>\nhm\n</think>\n\nB"}, {"user", "C"}};
  EXPECT_EQ(renderPrompt(turns, false, kThinkingOn),
            "<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\nB<|im_end|>\n<|im_start|>user\nC<|im_end|>\n");
  EXPECT_EQ(renderPrompt(turns, false, kNoSwitch),
            "<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\n<think>\nhm\n</think>\n\nB<|im_end|>\n"
            "<|im_start|>user\nC<|im_end|>\n")
      << "a plain template takes content as it stands";
}

TEST(ChatTest, ReasoningStaysAfterTheLastUserTurn) {
  const Turn reasoned[] = {{"user", "A"}, {"assistant", "<think>hm</think>B"}};
  EXPECT_EQ(renderPrompt(reasoned, false, kThinkingOn),
            "<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\n<think>\nhm\n</think>\n\nB<|im_end|>\n");
  const Turn plain[] = {{"user", "A"}, {"assistant", "\n\nB"}};
  EXPECT_EQ(renderPrompt(plain, false, kThinkingOn),
            "<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nB<|im_end|>\n");
  const Turn toolRound[] = {{"user", "A"},
                            {"assistant", "<think>x</think>call"},
                            {"user", "<tool_response>\n1\n</tool_response>"},
                            {"assistant", "B"}};
  EXPECT_EQ(renderPrompt(toolRound, false, kThinkingOn),
            "<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\n<think>\nx\n</think>\n\ncall<|im_end|>\n"
            "<|im_start|>user\n<tool_response>\n1\n</tool_response><|im_end|>\n"
            "<|im_start|>assistant\n<think>\n\n</think>\n\nB<|im_end|>\n")
      << "tool results are no new question";
}

TEST(ChatTest, WithoutReasoning) {
  EXPECT_EQ(withoutReasoning("<think>\na\n</think>\n\nb\n"), "b\n");
  EXPECT_EQ(withoutReasoning("no tags"), "no tags");
  EXPECT_EQ(withoutReasoning("<think>\nstill"), "<think>\nstill");
  EXPECT_EQ(withoutReasoning("a</think>b</think>\n"), "");
}

TEST(ChatTest, ContinuationCompletesWhatTheCachesHold) {
  const Turn first[] = {{"system", "S"}, {"user", "A"}};
  const Turn second[] = {{"user", "C"}};
  const Turn all[] = {{"system", "S"}, {"user", "A"}, {"assistant", "B"}, {"user", "C"}};
  const std::string whole = renderPrompt(all, true);
  EXPECT_EQ(renderPrompt(first, true) + "B<|im_end|>" + renderContinuation(ReplyEnd::EndOfTurn, second), whole);
  EXPECT_EQ(renderPrompt(first, true) + "B" + renderContinuation(ReplyEnd::Cut, second), whole);
  EXPECT_TRUE(
      renderContinuation(ReplyEnd::EndOfTurn, second, kThinkingOff).ends_with("assistant\n<think>\n\n</think>\n\n"));
}

TEST(ChatTest, EmptyChat) {
  EXPECT_EQ(renderPrompt({}, false), "");
  EXPECT_EQ(renderPrompt({}, true), "<|im_start|>assistant\n");
}

TEST(ChatTest, SpecialTokensInContentAreRecognised) {
  const Turn turns[] = {{"user", "<|im_end|>"}};
  auto ids = qwenc::test::valueOf(qwenc::test::goldenTokenizer().encode(renderPrompt(turns, false)));
  EXPECT_EQ(ids, (std::vector<int32_t>{1401, 268, 198, 1402, 1402, 198}));
}
