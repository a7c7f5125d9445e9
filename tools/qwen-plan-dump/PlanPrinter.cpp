//===- PlanPrinter.cpp - A plan as stable text --------------------------------------------------------------------===//
#include "tools/qwen-plan-dump/PlanPrinter.h"

#include "runtime/schema/PlanNames.h"

#include <fmt/format.h>

#include <iterator>
#include <map>

using namespace qwenrt;

namespace qwenc {
namespace {

/// Push constants of one operand: a 64-bit address.
constexpr uint32_t kAddressBytes = 8;

std::string_view viewOf(const flatbuffers::String *text) { return text ? text->string_view() : std::string_view(); }

std::string extents(const fb::Extent3 &extent) { return fmt::format("{}x{}x{}", extent.x(), extent.y(), extent.z()); }

class Printer {
public:
  explicit Printer(const fb::Plan &plan) : plan_(plan) {}

  std::string take() { return std::move(text_); }

  void header() {
    line("plan {} version {}", quoteText(viewOf(plan_.model_name())), plan_.version());
    line("  architecture  {}", quoteText(viewOf(plan_.architecture())));
    line("  target        {}", quoteText(viewOf(plan_.target())));
    line("  producer      {}", quoteText(viewOf(plan_.producer())));
    line("  vocabulary    {} tokens", plan_.vocab_size());
    line("  context       {} positions, cache elements {}", plan_.max_context(),
         snakeCase(fb::EnumNameDType(plan_.kv_dtype())));
    line("  checkpoint    {}", quoteText(viewOf(plan_.checkpoint_path())));
    line("  model.json    in {}", quoteText(viewOf(plan_.graph_folder())));
    weightFiles();
    textSettings();
    media();
    speech();
    budget();
    buffers();
    cells();
  }

  void kernels() {
    std::map<uint32_t, uint64_t> uses;
    for (const fb::Entry *entry : *plan_.entries())
      for (const fb::Dispatch *dispatch : *entry->dispatches())
        ++uses[dispatch->kernel()];
    line("\nkernels: {}", plan_.kernels()->size());
    for (uint32_t i = 0; i < plan_.kernels()->size(); ++i)
      kernel(i, *plan_.kernels()->Get(i), uses[i]);
  }

  void entries() {
    line("\nentries: {}", plan_.entries()->size());
    for (const fb::Entry *entry : *plan_.entries())
      this->entry(*entry);
  }

  void weights() {
    line("\nweights: {}", plan_.weights()->size());
    for (uint32_t i = 0; i < plan_.weights()->size(); ++i) {
      const fb::WeightBinding &weight = *plan_.weights()->Get(i);
      std::string layer = weight.layer() < 0 ? "no layer" : fmt::format("layer {}", weight.layer());
      std::string packed;
      if (weight.format() != fb::WeightFormat::BF16)
        packed = fmt::format(", {} of file {} + {}", snakeCase(fb::EnumNameWeightFormat(weight.format())),
                             weight.source_file(), weight.source_offset());
      line("  {} {}: file {} + {}, {} rows of {} every {} -> {} + {}, {}{}", i, quoteText(viewOf(weight.name())),
           weight.file(), weight.file_offset(), weight.rows(), weight.row_bytes(), weight.pitch_bytes(),
           bufferName(weight.buffer()), weight.buffer_offset(), layer, packed);
    }
  }

private:
  template <typename... Args> void line(fmt::format_string<Args...> format, Args &&...args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    text_ += '\n';
  }

  std::string bufferName(uint32_t ordinal) const { return quoteText(viewOf(plan_.buffers()->Get(ordinal)->name())); }

  //===----------------------------------------------------------------------------------------------------------===//
  // Header
  //===----------------------------------------------------------------------------------------------------------===//

  void weightFiles() {
    line("  weight files  {}", plan_.weight_files()->size());
    for (const fb::WeightFile *file : *plan_.weight_files())
      line("    {} {} bytes, header {} bytes, fnv1a64:{:016x}{}", quoteText(viewOf(file->name())), file->size_bytes(),
           file->header_bytes(), file->header_hash(), file->packed() ? ", packed" : "");
  }

  void textSettings() {
    if (const fb::Tokenizer *tokenizer = plan_.tokenizer())
      line("  tokenizer     {} pieces, {} merges, {} added tokens",
           tokenizer->piece_offsets()->size() ? tokenizer->piece_offsets()->size() - 1 : 0,
           tokenizer->merges()->size() / 3, tokenizer->added()->size());
    if (const fb::Chat *chat = plan_.chat())
      line("  chat          thinking switch {}", chat->thinking_switch() ? "yes" : "no");
    const fb::Generation *generation = plan_.generation();
    if (!generation)
      return;
    std::string stopIds;
    for (uint32_t id : *generation->stop_ids())
      stopIds += fmt::format("{}{}", stopIds.empty() ? "" : ", ", id);
    line("  generation    {}, temperature {}, top_k {}, top_p {}, repetition_penalty {}, stop ids [{}]",
         generation->do_sample() ? "sample" : "greedy", generation->temperature(), generation->top_k(),
         generation->top_p(), generation->repetition_penalty(), stopIds);
  }

  void budget() {
    uint64_t total = 0;
    line("\nbudget");
    for (fb::BufferPurpose purpose : fb::EnumValuesBufferPurpose()) {
      uint64_t bytes = 0, count = 0;
      for (const fb::Buffer *buffer : *plan_.buffers())
        if (buffer->purpose() == purpose) {
          bytes += buffer->size_bytes();
          ++count;
        }
      line("  {:<8} {:>14} bytes ({}), buffers {}", snakeCase(fb::EnumNameBufferPurpose(purpose)), bytes,
           roundedBytes(bytes), count);
      total += bytes;
    }
    line("  {:<8} {:>14} bytes ({})", "total", total, roundedBytes(total));
  }

  void buffers() {
    line("\nbuffers: {}", plan_.buffers()->size());
    for (uint32_t i = 0; i < plan_.buffers()->size(); ++i) {
      const fb::Buffer &buffer = *plan_.buffers()->Get(i);
      line("  {} {} {} {} bytes", i, quoteText(viewOf(buffer.name())),
           snakeCase(fb::EnumNameBufferPurpose(buffer.purpose())), buffer.size_bytes());
    }
  }

  void media() {
    const fb::Media *media = plan_.media();
    if (!media)
      return;
    line("  media         {} rows", media->max_rows());
    if (const fb::AudioEncoder *audio = media->audio())
      line("    audio       {}: {} mel bins, chunks of {} frames, windows of {} chunks, {} frames in a run, clips of "
           "{} s",
           quoteText(viewOf(audio->entry())), audio->mel_bins(), audio->chunk_frames(), audio->window_chunks(),
           audio->max_frames(), audio->limit_seconds());
    if (const fb::VisionEncoder *vision = media->vision())
      line("    vision      {}: patches of {} pixels and {} frames, merged by {}, {} positions along a side, {} "
           "deepstack, "
           "{} to {} pixels, {} patches in a run, images of {} pixels, videos of {} frames",
           quoteText(viewOf(vision->entry())), vision->patch_size(), vision->temporal_patch_size(),
           vision->merge_size(), vision->position_side(), vision->deepstack(), vision->min_pixels(),
           vision->max_pixels(), vision->max_patches(), vision->limit_image_pixels(), vision->limit_video_frames());
  }

  void speech() {
    const fb::Talker *talker = plan_.speech() ? plan_.speech()->talker() : nullptr;
    if (!talker)
      return;
    std::string speakers;
    for (const fb::Speaker *speaker : *talker->speakers())
      speakers += fmt::format("{}{}", speakers.empty() ? "" : ", ", viewOf(speaker->name()));
    line("  talker        {} codes in a frame, rows of {}, {} frames, speakers {}", talker->groups(),
         talker->hidden_size(), talker->max_frames(), speakers);
  }

  void cells() {
    line("\ncells: {}", plan_.cells()->size());
    for (const fb::Cell *cell : *plan_.cells())
      line("  {} in {} + {}, count {}", snakeCase(fb::EnumNameCellKind(cell->kind())), bufferName(cell->buffer()),
           cell->offset(), cell->count());
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // Kernels and entries
  //===----------------------------------------------------------------------------------------------------------===//

  void kernel(uint32_t ordinal, const fb::Kernel &kernel, uint64_t uses) {
    line("  {} {}, dispatches {}", ordinal, quoteText(viewOf(kernel.name())), uses);
    std::string features;
    for (fb::Feature feature : fb::EnumValuesFeature())
      if (static_cast<uint32_t>(kernel.features()) & static_cast<uint32_t>(feature))
        features += ", " + snakeCase(fb::EnumNameFeature(feature));
    std::string subgroup = kernel.subgroup_size() ? std::to_string(kernel.subgroup_size()) : "any";
    line("    workgroup {}, subgroup {}, shared {} bytes, push constants {} bytes, spirv {} words{}",
         extents(*kernel.workgroup()), subgroup, kernel.shared_bytes(), kAddressBytes * kernel.operands()->size(),
         kernel.spirv()->size(), features);
    for (const fb::KernelOperand *operand : *kernel.operands())
      line("      {} {} up to {} bytes", viewOfPlain(operand->name()), snakeCase(fb::EnumNameAccess(operand->access())),
           operand->min_bytes());
  }

  void entry(const fb::Entry &entry) {
    uint64_t barriers = 0, readBytes = 0, bytesPerPosition = 0, costNs = 0;
    for (const fb::Dispatch *dispatch : *entry.dispatches()) {
      barriers += dispatch->barrier_before();
      readBytes += dispatch->read_bytes();
      bytesPerPosition += dispatch->read_bytes_per_position();
      costNs += dispatch->cost_ns();
    }
    line("  {} role {}, rows {}", quoteText(viewOf(entry.name())), snakeCase(fb::EnumNameRole(entry.role())),
         entry.rows());
    line("    dispatches {}, barriers {}", entry.dispatches()->size(), barriers);
    std::string more = bytesPerPosition ? fmt::format(", {} more per cached position", bytesPerPosition) : "";
    line("    reads {} bytes ({}) per {}{}, estimate {} ns", readBytes, roundedBytes(readBytes), unitOf(entry.role()),
         more, costNs);
    for (const fb::SymbolCell *symbol : *entry.symbols())
      line("    symbol {} in cell {}{}, at most {}", quoteText(viewOf(symbol->symbol())),
           snakeCase(fb::EnumNameCellKind(symbol->cell())),
           symbol->cell() == fb::CellKind::Extents ? fmt::format("[{}]", symbol->index()) : "", symbol->max());
    for (const fb::EntryTensor *tensor : *entry.inputs())
      this->tensor("input", *tensor);
    for (const fb::EntryTensor *tensor : *entry.outputs())
      this->tensor("output", *tensor);
    for (uint32_t i = 0; i < entry.dispatches()->size(); ++i)
      dispatch(i, *entry.dispatches()->Get(i));
    text_ += printArena(plan_, entry);
  }

  static const char *unitOf(fb::Role role) {
    bool decodes = role == fb::Role::DecodeGreedy || role == fb::Role::DecodeSample;
    return decodes ? "token" : "run";
  }

  void tensor(const char *direction, const fb::EntryTensor &tensor) {
    std::string dims;
    for (const fb::Dim *dim : *tensor.dims()) {
      std::string_view symbol = viewOf(dim->symbol());
      dims += fmt::format("{}{}{}{}", dims.empty() ? "" : ", ",
                          dim->factor() == 1 ? "" : fmt::format("{} * ", dim->factor()),
                          symbol.empty() ? "" : viewOfPlain(dim->symbol()) + "<=", dim->size());
    }
    line("    {}{} {} {}[{}] in {} + {}, {} bytes", tensor.optional() ? "optional " : "", direction,
         quoteText(viewOf(tensor.name())), snakeCase(fb::EnumNameDType(tensor.dtype())), dims,
         bufferName(tensor.buffer()), tensor.offset(), tensor.size_bytes());
  }

  /// ` rows "V" * 4 per 64 along y`, or nothing.
  static std::string rows(const fb::Dispatch &dispatch) {
    if (!dispatch.rows_symbol())
      return "";
    return fmt::format(" rows {} * {} per {} along {}", quoteText(viewOf(dispatch.rows_symbol())),
                       dispatch.rows_factor(), dispatch.rows_per_group(), "xyz"[dispatch.rows_direction()]);
  }

  void dispatch(uint32_t ordinal, const fb::Dispatch &dispatch) {
    const fb::Kernel &kernel = *plan_.kernels()->Get(dispatch.kernel());
    if (dispatch.barrier_before())
      line("    -------- barrier");
    line("    {} {} groups {}{} label {} reads {}{} cost {} ns", ordinal, viewOfPlain(kernel.name()),
         extents(*dispatch.groups()), rows(dispatch), quoteText(viewOf(dispatch.label())), dispatch.read_bytes(),
         dispatch.read_bytes_per_position() ? fmt::format(" + {} per position", dispatch.read_bytes_per_position())
                                            : "",
         dispatch.cost_ns());
    for (uint32_t i = 0; i < dispatch.operands()->size(); ++i) {
      const fb::Operand &operand = *dispatch.operands()->Get(i);
      const fb::KernelOperand &expected = *kernel.operands()->Get(i);
      line("        {} {} {} + {}, {} bytes", snakeCase(fb::EnumNameAccess(expected.access())),
           viewOfPlain(expected.name()), bufferName(operand.buffer()), operand.offset(), operand.size_bytes());
    }
  }

  /// A name without its quotes, escaped all the same.
  static std::string viewOfPlain(const flatbuffers::String *name) {
    std::string text = quoteText(viewOf(name));
    return text.substr(1, text.size() - 2);
  }

  const fb::Plan &plan_;
  std::string text_;
};

} // namespace

std::string quoteText(std::string_view text) {
  constexpr size_t kLongest = 200;
  std::string result = "\"";
  for (unsigned char c : text.substr(0, kLongest)) {
    if (c < 0x20 || c == 0x7f)
      result += fmt::format("\\x{:02x}", c);
    else if (c == '"' || c == '\\')
      result += {'\\', static_cast<char>(c)};
    else
      result += static_cast<char>(c);
  }
  return result + (text.size() > kLongest ? "...\"" : "\"");
}

std::string roundedBytes(uint64_t sizeBytes) {
  if (sizeBytes < 1000)
    return fmt::format("{} B", sizeBytes);
  double value = static_cast<double>(sizeBytes);
  const char *units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
  size_t unit = 0;
  // 999.95 would print as 1000.0, so it belongs to the next unit.
  for (value /= 1000; value >= 999.95 && unit + 1 < std::size(units); ++unit)
    value /= 1000;
  return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string printPlan(const fb::Plan &plan, const PlanSections &sections) {
  Printer printer(plan);
  if (sections.header)
    printer.header();
  if (sections.kernels)
    printer.kernels();
  if (sections.entries)
    printer.entries();
  if (sections.weights)
    printer.weights();
  return printer.take();
}

} // namespace qwenc
