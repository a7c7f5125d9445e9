//===- SpeechTables.cpp ------------------------------------------------------------------------------------------===//
#include "SpeechTables.h"

#include "VerifyPlan.h"

#include <limits>

using namespace qwenrt;

namespace {

using Tensors = flatbuffers::Vector<flatbuffers::Offset<fb::EntryTensor>>;

std::string_view symbolOf(const fb::Dim &dim) {
  return dim.symbol() ? dim.symbol()->string_view() : std::string_view();
}

/// Finds entries, tensors and cells by name and keeps the first problem.
class Finder {
public:
  explicit Finder(const fb::Plan &plan) : plan(plan) {}

  uint32_t entry(std::string_view name) {
    std::optional<uint32_t> ordinal = findEntry(plan, name);
    if (!ordinal || plan.entries()->Get(*ordinal)->role() != fb::Role::Other)
      fail(text("plan has no entry '", printable(name), "'"), "one that speaks");
    return ordinal.value_or(0);
  }

  /// Tensor \p name of \p tensors: [n, columns], or [n] without columns, with n a symbol.
  const fb::EntryTensor *tensor(const Tensors &tensors, std::string_view name, fb::DType dtype, uint64_t columns) {
    for (const fb::EntryTensor *candidate : tensors) {
      if (candidate->name()->string_view() != name)
        continue;
      const auto &dims = *candidate->dims();
      bool fits = candidate->dtype() == dtype && dims.size() == (columns ? 2u : 1u) &&
                  !symbolOf(*dims.Get(0)).empty() && dims.Get(0)->factor() == 1 &&
                  (!columns || (symbolOf(*dims.Get(1)).empty() && dims.Get(1)->size() == columns));
      if (!fits)
        fail(text("tensor '", name, "' of an entry that speaks has another type"),
             text(fb::EnumNameDType(dtype), columns ? text("[n, ", columns, "]") : std::string("[n]")));
      return candidate;
    }
    fail(text("an entry that speaks has no tensor '", name, "'"), "one");
    return nullptr;
  }
  const fb::EntryTensor *input(uint32_t entry, std::string_view name, fb::DType dtype, uint64_t columns) {
    return tensor(*plan.entries()->Get(entry)->inputs(), name, dtype, columns);
  }
  const fb::EntryTensor *output(uint32_t entry, std::string_view name, fb::DType dtype, uint64_t columns) {
    return tensor(*plan.entries()->Get(entry)->outputs(), name, dtype, columns);
  }

  /// How many ids \p entry chooses from: the width of its output 'logits'; 0 and a problem if it has none.
  uint64_t vocabulary(uint32_t entry) {
    for (const fb::EntryTensor *output : *plan.entries()->Get(entry)->outputs())
      if (output->name()->string_view() == "logits" && output->dims()->size() == 2)
        return output->dims()->Get(1)->size();
    fail("an entry that speaks has no output 'logits'", "one of [1, vocabulary]");
    return 0;
  }

  /// \p id is one of \p vocabulary.
  void id(const char *name, uint32_t id, uint64_t vocabulary) {
    if (id >= vocabulary)
      fail(text("talker's ", name, " is id ", id), text("one below ", vocabulary));
  }

  /// A tensor of the same rows as \p other.
  void sameRows(const fb::EntryTensor *tensor, const fb::EntryTensor *other) {
    if (tensor && other && symbolOf(*tensor->dims()->Get(0)) != symbolOf(*other->dims()->Get(0)))
      fail(text("tensor '", printable(tensor->name()->string_view()), "' of an entry that speaks has rows of its own"),
           "one for each of its inputs");
  }

  void cell(fb::CellKind kind, uint32_t sequence, uint64_t count) {
    const fb::Cell *cell = findCell(plan, kind, sequence);
    if (!cell || cell->count() < count)
      fail(text("cell ", fb::EnumNameCellKind(kind), " of sequence ", sequence, " has ", cell ? cell->count() : 0,
                " elements"),
           text("at least ", count, " for speech"));
  }

  void samplingCells(uint32_t sequence) {
    for (fb::CellKind kind : {fb::CellKind::Step, fb::CellKind::Seed, fb::CellKind::Temperature, fb::CellKind::TopK,
                              fb::CellKind::TopP, fb::CellKind::RepetitionPenalty})
      cell(kind, sequence, 1);
  }

  void require(bool holds, const std::string &found, const std::string &expected) {
    if (!holds)
      fail(found, expected);
  }
  const Status &status() const { return problem; }

private:
  void fail(const std::string &found, const std::string &expected) {
    if (problem.isOk())
      problem = badPlan(found, expected);
  }

  const fb::Plan &plan;
  Status problem;
};

/// Ids that the talker's inputs are made of.
void checkIds(Finder &find, const fb::Talker &talker, uint64_t words, uint64_t codes) {
  const struct {
    const char *name;
    uint32_t id;
    bool code;
  } ids[] = {{"im_start", talker.im_start(), false},
             {"user", talker.user(), false},
             {"assistant", talker.assistant(), false},
             {"tts_pad", talker.tts_pad(), false},
             {"tts_bos", talker.tts_bos(), false},
             {"tts_eos", talker.tts_eos(), false},
             {"audio_pad", talker.audio_pad(), false},
             {"image_pad", talker.image_pad(), false},
             {"video_pad", talker.video_pad(), false},
             {"suppressed", talker.suppressed(), true},
             {"codec_nothink", talker.codec_nothink(), true},
             {"codec_think_bos", talker.codec_think_bos(), true},
             {"codec_think_eos", talker.codec_think_eos(), true},
             {"codec_pad", talker.codec_pad(), true},
             {"codec_bos", talker.codec_bos(), true},
             {"codec_eos", talker.codec_eos(), true}};
  for (const auto &id : ids)
    find.id(id.name, id.id, id.code ? codes : words);
  for (const fb::Speaker *speaker : *talker.speakers()) {
    const size_t size = speaker->name()->size();
    find.require(size > 0 && size <= kMaxNameBytes, text("talker has a speaker with a name of ", size, " bytes"),
                 text("1 to ", kMaxNameBytes));
    find.id("speaker", speaker->id(), codes);
  }
}

Status missing(const char *what) {
  return {StatusCode::Unsupported,
          text("plan has no ", what, ", expected one for speech, take the plan of a model that speaks")};
}

} // namespace

Result<SpeechTables> qwenrt::findSpeech(const fb::Plan &plan, uint32_t textPrefill) {
  const fb::Speech *speech = plan.speech();
  if (!speech || !speech->talker())
    return missing("talker");
  SpeechTables found;
  found.talker = speech->talker();
  const uint64_t hidden = found.talker->hidden_size();
  Finder find(plan);
  find.require(hidden > 0 && hidden <= (1u << 20), text("talker has rows of ", hidden, " values"), "1 to 2^20");
  find.require(found.talker->groups() >= 2 && found.talker->groups() <= 64,
               text("talker has ", found.talker->groups(), " codes in a frame"), "2 to 64");
  find.require(found.talker->speakers()->size() > 0, "talker has no speakers", "one");
  for (auto [ordinal, name] : {std::pair{&found.prefill, "talker.prefill"},
                               {&found.nextGreedy, "talker.next_greedy"},
                               {&found.nextSample, "talker.next_sample"},
                               {&found.decodeGreedy, "talker.decode_greedy"},
                               {&found.decodeSample, "talker.decode_sample"},
                               {&found.begin, "predictor.begin"},
                               {&found.codeGreedy, "predictor.decode_greedy"},
                               {&found.codeSample, "predictor.decode_sample"},
                               {&found.text, "talker.text"},
                               {&found.media, "talker.media"}})
    *ordinal = find.entry(name);
  QWENRT_RETURN_IF_ERROR(find.status());
  checkIds(find, *found.talker, plan.vocab_size(), find.vocabulary(found.nextGreedy));

  using fb::DType;
  found.inputs = find.input(found.prefill, "inputs", DType::F32, hidden);
  found.said = find.input(found.decodeGreedy, "text_rows", DType::F32, hidden);
  find.sameRows(find.input(found.text, "ids", DType::I32, 0), find.input(found.text, "codes", DType::I32, 0));
  found.textRows = find.output(found.text, "rows", DType::F32, hidden);
  find.sameRows(found.textRows, find.input(found.text, "ids", DType::I32, 0));
  found.mediaRows = find.output(found.media, "rows", DType::F32, hidden);
  const fb::Entry &prefill = *plan.entries()->Get(textPrefill);
  for (const fb::EntryTensor *output : *prefill.outputs())
    if (output->name()->string_view() == "accept_hidden" && output->dims()->size() == 2) {
      const uint64_t width = output->dims()->Get(1)->size();
      found.accepted = find.output(textPrefill, "accept_hidden", DType::F32, width);
      find.require(output->dims()->Get(0)->size() >= prefill.rows(), "output 'accept_hidden' is short",
                   "a row for each token of a chunk");
      found.mediaHidden = find.input(found.media, "hidden", DType::F32, width);
      find.sameRows(found.mediaRows, found.mediaHidden);
    }
  find.require(found.accepted, "prefill has no output 'accept_hidden'", "one for the talker");
  const fb::Cell *history = findCell(plan, fb::CellKind::Tokens, kTalkerSequence);
  find.require(history && history->count() > 1 && prefill.rows() > 0 && plan.entries()->Get(found.prefill)->rows() > 0,
               "talker has no history", "one");
  QWENRT_RETURN_IF_ERROR(find.status());

  found.context = history->count() - 1;
  for (fb::CellKind kind : {fb::CellKind::Position, fb::CellKind::Length, fb::CellKind::PositionDelta,
                            fb::CellKind::TextRows, fb::CellKind::Sampled})
    find.cell(kind, kTalkerSequence, 1);
  find.cell(fb::CellKind::RotaryPositions, kTalkerSequence, 3 * uint64_t(history->count()));
  find.cell(fb::CellKind::Sampled, kTalkerSequence, 2);
  find.cell(fb::CellKind::Sampled, kPredictorSequence, found.talker->groups() - 1);
  find.samplingCells(kTalkerSequence);
  find.samplingCells(kPredictorSequence);
  const fb::Buffer &buffer = *plan.buffers()->Get(found.inputs->buffer());
  find.require(rangeFits(found.inputs->offset(), found.context * found.rowBytes(), buffer.size_bytes()),
               text("talker's prompt lies in ", buffer.size_bytes(), " bytes"),
               text(found.context, " rows of ", found.rowBytes(), " bytes there"));
  QWENRT_RETURN_IF_ERROR(find.status());
  return found;
}

Result<const fb::EntryTensor *> qwenrt::findSpeechLogits(const Plan &plan, uint32_t entry) {
  const fb::Entry &found = *plan.root().entries()->Get(entry);
  const std::string where = text("entry '", printable(found.name()->string_view()), "'");
  for (const fb::EntryTensor *tensor : *found.outputs()) {
    if (tensor->name()->string_view() != "logits")
      continue;
    const auto &dims = *tensor->dims();
    const bool fits = tensor->dtype() == fb::DType::F32 && dims.size() == 2 && symbolOf(*dims.Get(0)).empty() &&
                      dims.Get(0)->size() == 1 && symbolOf(*dims.Get(1)).empty() && dims.Get(1)->size() > 0;
    return fits ? Result<const fb::EntryTensor *>(tensor)
                : badPlan(text(where, " has logits of another type"), "f32[1, codes]");
  }
  return Status(StatusCode::Unsupported,
                text(where, " has no output 'logits', expected one for the logits of speech, compile the plan again"));
}

Result<VocoderTables> qwenrt::findVocoder(const fb::Plan &plan) {
  const fb::Speech *speech = plan.speech();
  if (!speech || !speech->vocoder())
    return missing("vocoder");
  VocoderTables found;
  found.vocoder = speech->vocoder();
  const fb::Vocoder &vocoder = *found.vocoder;
  Finder find(plan);
  found.entry = find.entry(vocoder.entry()->string_view());
  constexpr uint32_t kMost = 1u << 20;
  auto sane = [](uint32_t value) { return value > 0 && value <= kMost; };
  find.require(sane(vocoder.frame_samples()) && sane(vocoder.max_frames()) && sane(vocoder.sample_rate()) &&
                   vocoder.lost_samples() <= kMost && sane(vocoder.codebook_size()),
               text("vocoder makes ", vocoder.frame_samples(), " samples of a frame, ", vocoder.sample_rate(),
                    " of a second, loses ", vocoder.lost_samples(), " and takes ", vocoder.max_frames(), " frames of ",
                    vocoder.codebook_size(), " codes"),
               text("each of 1 to ", kMost, ", and to lose at most as many"));
  find.require(vocoder.groups() > 0 && (!speech->talker() || speech->talker()->groups() == vocoder.groups()),
               text("vocoder takes ", vocoder.groups(), " codes of a frame"), "as many as the talker makes");
  QWENRT_RETURN_IF_ERROR(find.status());
  const fb::EntryTensor *codes = find.input(found.entry, "codes", fb::DType::I32, vocoder.groups());
  for (const fb::EntryTensor *output : *plan.entries()->Get(found.entry)->outputs())
    if (output->name()->string_view() == "samples" && output->dims()->size() == 1)
      found.samples = output;
  find.require(found.samples && found.samples->dtype() == fb::DType::F32 &&
                   found.samples->dims()->Get(0)->factor() == vocoder.frame_samples() && codes &&
                   symbolOf(*found.samples->dims()->Get(0)) == symbolOf(*codes->dims()->Get(0)) &&
                   codes->dims()->Get(0)->size() >= vocoder.max_frames(),
               "vocoder's output 'samples' is missing or of another type",
               text("f32, ", vocoder.frame_samples(), " for each of ", vocoder.max_frames(), " frames"));
  QWENRT_RETURN_IF_ERROR(find.status());
  return found;
}

Status qwenrt::verifySpeech(const fb::Plan &plan) {
  const fb::Speech *speech = plan.speech();
  if (!speech)
    return Status::ok();
  if (const fb::Talker *talker = speech->talker()) {
    for (auto [sampling, name] : {std::pair{talker->sampling(), "talker's settings"},
                                  {talker->predictor_sampling(), "code predictor's settings"}})
      if (sampling)
        QWENRT_RETURN_IF_ERROR(verifySampling(*sampling, name));
    for (uint32_t i = 0; i < plan.entries()->size(); ++i) // without one nothing runs the talker but single entries
      if (plan.entries()->Get(i)->role() == fb::Role::Prefill)
        QWENRT_RETURN_IF_ERROR(findSpeech(plan, i).status());
  }
  return speech->vocoder() ? findVocoder(plan).status() : Status::ok();
}
