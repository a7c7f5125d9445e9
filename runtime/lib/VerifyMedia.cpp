//===- VerifyMedia.cpp - The media table against the entries it names
//----------------------------------------------===//
//
// The runtime fills the inputs of the encoders by name and copies their rows to the inputs of the prefill: what it
// relies on there is proved here, type by type.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "VerifyPlan.h"
#include "qwenrt/Plan.h"

#include <string_view>

using namespace qwenrt;

namespace {

/// Beyond these no picture or sound makes sense; they keep products of them within 64 bits.
constexpr uint32_t kMaxSide = 4096;
constexpr uint32_t kMaxTemporalPatch = 64;
constexpr uint32_t kMaxDeepstack = 64;

using Tensors = flatbuffers::Vector<flatbuffers::Offset<fb::EntryTensor>>;

const fb::EntryTensor *findTensor(const Tensors &tensors, std::string_view name) {
  for (const fb::EntryTensor *tensor : tensors)
    if (tensor->name()->string_view() == name)
      return tensor;
  return nullptr;
}

std::string_view symbolOf(const fb::EntryTensor &tensor) {
  const fb::Dim &dim = *tensor.dims()->Get(0);
  return dim.symbol() ? dim.symbol()->string_view() : std::string_view();
}

bool overlap(const fb::EntryTensor &a, const fb::EntryTensor &b) {
  return a.buffer() == b.buffer() && a.offset() < b.offset() + b.size_bytes() &&
         b.offset() < a.offset() + a.size_bytes();
}

class MediaVerifier {
public:
  explicit MediaVerifier(const fb::Plan &plan) : plan(plan), media(*plan.media()) {}

  Status verify() {
    if (!media.audio() && !media.vision())
      return badPlan("media table names no encoder", "one of sound or of images");
    if (media.max_rows() == 0)
      return badPlan("media table has no rows", "at least one");
    if (media.vision() && media.vision()->deepstack() > kMaxDeepstack)
      return badPlan(text("vision encoder has ", media.vision()->deepstack(), " deepstack outputs"),
                     text("at most ", kMaxDeepstack));
    QWENRT_RETURN_IF_ERROR(verifyCells());
    bool prefills = false;
    for (uint32_t i = 0; i < plan.entries()->size(); ++i)
      if (plan.entries()->Get(i)->role() == fb::Role::Prefill) {
        QWENRT_RETURN_IF_ERROR(verifyPrefill(*plan.entries()->Get(i), nameOf("entry", i, *plan.entries()->Get(i))));
        prefills = true;
      }
    if (!prefills)
      return badPlan("media table stands in a plan without a prefill entry", "one that takes media");
    if (media.audio())
      QWENRT_RETURN_IF_ERROR(verifyAudio(*media.audio()));
    return media.vision() ? verifyVision(*media.vision()) : Status::ok();
  }

private:
  const fb::Cell *findCell(fb::CellKind kind) const {
    for (const fb::Cell *cell : *plan.cells())
      if (cell->kind() == kind)
        return cell;
    return nullptr;
  }

  Status verifyCells() {
    const uint64_t history = uint64_t(plan.max_context()) + 1;
    const struct {
      fb::CellKind kind;
      uint64_t count;
    } needed[] = {{fb::CellKind::PositionDelta, 1},
                  {fb::CellKind::RotaryPositions, 3 * history},
                  {fb::CellKind::MediaRows, history}};
    for (const auto &need : needed) {
      const fb::Cell *cell = findCell(need.kind);
      if (!cell || cell->count() < need.count)
        return badPlan(text("cell ", fb::EnumNameCellKind(need.kind), " has ", cell ? cell->count() : 0, " elements"),
                       text("at least ", need.count, " for media in a context of ", plan.max_context()));
    }
    return Status::ok();
  }

  /// A tensor of \p tensors: found, of \p dtype, and where \p columns are given [n, columns], else [n].
  Result<const fb::EntryTensor *> require(const Tensors &tensors, const std::string &where, std::string_view name,
                                          fb::DType dtype, uint64_t columns = 0) {
    const fb::EntryTensor *tensor = findTensor(tensors, name);
    const std::string type = text(fb::EnumNameDType(dtype), columns ? text("[n, ", columns, "]") : std::string("[n]"));
    if (!tensor)
      return badPlan(text(where, " has no tensor '", name, "'"), text("one of type ", type));
    bool fits = tensor->dtype() == dtype && tensor->dims()->size() == (columns ? 2u : 1u) &&
                (!columns || (tensor->dims()->Get(1)->size() == columns && tensor->dims()->Get(1)->factor() == 1));
    if (!fits)
      return badPlan(text(where, " has tensor '", name, "' of another type"), type);
    return tensor;
  }

  Status requireAtCell(const Tensors &inputs, const std::string &where, std::string_view name, fb::DType dtype,
                       uint64_t columns, fb::CellKind kind) {
    QWENRT_ASSIGN_OR_RETURN(const fb::EntryTensor *tensor, require(inputs, where, name, dtype, columns));
    const fb::Cell &cell = *findCell(kind);
    if (tensor->buffer() != cell.buffer() || tensor->offset() != cell.offset() ||
        tensor->size_bytes() > uint64_t(cell.count()) * 4)
      return badPlan(text(where, " has input '", name, "' beside its cell"),
                     text("it in ", fb::EnumNameCellKind(kind)));
    return Status::ok();
  }

  /// The inputs that rows of the encoders are copied to: f32 [max_rows, hidden].
  Status verifyPrefill(const fb::Entry &entry, const std::string &where) {
    const Tensors &inputs = *entry.inputs();
    QWENRT_RETURN_IF_ERROR(requireAtCell(inputs, where, "positions", fb::DType::F32, 3, fb::CellKind::RotaryPositions));
    QWENRT_RETURN_IF_ERROR(requireAtCell(inputs, where, "media_rows", fb::DType::I32, 0, fb::CellKind::MediaRows));
    const fb::EntryTensor *rows = findTensor(inputs, "media");
    if (!rows || rows->dims()->size() != 2)
      return badPlan(text(where, " has no input 'media' of two dimensions"), "one for the rows of the encoders");
    uint64_t width = rows->dims()->Get(1)->size();
    if (hidden && hidden != width)
      return badPlan(text(where, " takes media of ", width, " values"), text(hidden, " as another prefill entry"));
    hidden = width;
    QWENRT_RETURN_IF_ERROR(verifyTarget(inputs, where, "media"));
    for (uint32_t i = 0; i < (media.vision() ? media.vision()->deepstack() : 0); ++i)
      QWENRT_RETURN_IF_ERROR(verifyTarget(inputs, where, text("deepstack.", i)));
    return Status::ok();
  }

  Status verifyTarget(const Tensors &inputs, const std::string &where, const std::string &name) {
    QWENRT_ASSIGN_OR_RETURN(const fb::EntryTensor *tensor, require(inputs, where, name, fb::DType::F32, hidden));
    if (tensor->dims()->Get(0)->size() != media.max_rows() || !symbolOf(*tensor).empty())
      return badPlan(text(where, " has input '", name, "' of ", tensor->dims()->Get(0)->size(), " rows"),
                     text("the ", media.max_rows(), " of the media table"));
    if (plan.buffers()->Get(tensor->buffer())->purpose() != fb::BufferPurpose::Output || tensor->offset() % 4 != 0)
      return badPlan(text(where, " has input '", name, "' at byte ", tensor->offset(), " of buffer ", tensor->buffer()),
                     "whole words of an output buffer, where it outlasts other entries");
    return Status::ok();
  }

  Result<const fb::Entry *> findEncoder(std::string_view name, const char *what) {
    for (const fb::Entry *entry : *plan.entries())
      if (entry->name()->string_view() == name && entry->role() == fb::Role::Other)
        return entry;
    return badPlan(text(what, " names entry '", printable(name), "'"), "an entry of the plan without a role");
  }

  /// `rows` and what goes beside it: one row for each of \p tokens, and not on top of a prefill's inputs.
  Status verifyRows(const fb::Entry &entry, const std::string &where, const std::string &name,
                    const fb::EntryTensor &tokens) {
    QWENRT_ASSIGN_OR_RETURN(const fb::EntryTensor *rows,
                            require(*entry.outputs(), where, name, fb::DType::F32, hidden));
    const fb::Dim &dim = *rows->dims()->Get(0);
    uint64_t most = tokens.dims()->Get(0)->size() / tokens.dims()->Get(0)->factor();
    if (symbolOf(*rows).empty() || symbolOf(*rows) != symbolOf(tokens) || dim.factor() != 1 || dim.size() != most)
      return badPlan(text(where, " has output '", name, "' of other rows"), "one row for each of its tokens");
    for (const fb::Entry *other : *plan.entries())
      if (other->role() == fb::Role::Prefill)
        for (const fb::EntryTensor *input : *other->inputs())
          if (overlap(*rows, *input))
            return badPlan(text(where, " has output '", name, "' where a prefill entry has an input"), "both apart");
    return Status::ok();
  }

  Status verifyAudio(const fb::AudioEncoder &audio) {
    QWENRT_ASSIGN_OR_RETURN(const fb::Entry *entry, findEncoder(audio.entry()->string_view(), "audio encoder"));
    const std::string where = "audio encoder";
    if (audio.mel_bins() == 0 || audio.chunk_frames() == 0 || audio.window_chunks() == 0 || audio.max_frames() == 0 ||
        audio.mel_bins() > kMaxSide || audio.chunk_frames() > kMaxSide || audio.window_chunks() > kMaxSide)
      return badPlan(text(where, " has ", audio.mel_bins(), " bins, chunks of ", audio.chunk_frames(),
                          " frames, windows of ", audio.window_chunks(), " chunks and runs of ", audio.max_frames(),
                          " frames"),
                     text("each above zero, and but for the last at most ", kMaxSide));
    const Tensors &inputs = *entry->inputs();
    QWENRT_ASSIGN_OR_RETURN(const fb::EntryTensor *features,
                            require(inputs, where, "features", fb::DType::F32, audio.mel_bins()));
    if (features->dims()->Get(0)->size() != audio.max_frames() || symbolOf(*features).empty())
      return badPlan(text(where, " takes ", features->dims()->Get(0)->size(), " frames"),
                     text("up to the ", audio.max_frames(), " of the media table"));
    for (const char *taps : {"taps_1", "taps_2", "taps_3"})
      QWENRT_RETURN_IF_ERROR(require(inputs, where, taps, fb::DType::I32, 3).status());
    QWENRT_RETURN_IF_ERROR(require(inputs, where, "times", fb::DType::I32).status());
    QWENRT_ASSIGN_OR_RETURN(const fb::EntryTensor *segments, require(inputs, where, "segments", fb::DType::I32, 2));
    return verifyRows(*entry, where, "rows", *segments);
  }

  Status verifyVision(const fb::VisionEncoder &vision) {
    QWENRT_ASSIGN_OR_RETURN(const fb::Entry *entry, findEncoder(vision.entry()->string_view(), "vision encoder"));
    const std::string where = "vision encoder";
    auto sane = [](uint32_t value, uint32_t most) { return value > 0 && value <= most; };
    if (!sane(vision.patch_size(), kMaxSide) || !sane(vision.temporal_patch_size(), kMaxTemporalPatch) ||
        !sane(vision.merge_size(), kMaxSide) || !sane(vision.position_side(), kMaxSide))
      return badPlan(text(where, " has patches of ", vision.patch_size(), " pixels and ", vision.temporal_patch_size(),
                          " frames, tokens of ", vision.merge_size(), " patches and ", vision.position_side(),
                          " positions along a side"),
                     text("each above zero, frames at most ", kMaxTemporalPatch, " and the others ", kMaxSide));
    if (vision.min_pixels() == 0 || vision.min_pixels() > vision.max_pixels())
      return badPlan(text(where, " takes ", vision.min_pixels(), " to ", vision.max_pixels(), " pixels"),
                     "a range that begins above zero");
    const Tensors &inputs = *entry->inputs();
    uint64_t values = uint64_t(3) * vision.temporal_patch_size() * vision.patch_size() * vision.patch_size();
    uint64_t perToken = uint64_t(vision.merge_size()) * vision.merge_size();
    const struct {
      const char *name;
      fb::DType dtype;
      uint64_t columns;
    } tables[] = {{"patches", fb::DType::F32, values},
                  {"cells", fb::DType::I32, 4},
                  {"cell_weights", fb::DType::F32, 4},
                  {"places", fb::DType::I32, 2},
                  {"segments", fb::DType::I32, 2}};
    const fb::EntryTensor *patches = nullptr;
    for (const auto &table : tables) {
      QWENRT_ASSIGN_OR_RETURN(const fb::EntryTensor *tensor,
                              require(inputs, where, table.name, table.dtype, table.columns));
      const fb::Dim &dim = *tensor->dims()->Get(0);
      if (symbolOf(*tensor).empty() || dim.factor() != perToken || dim.size() != vision.max_patches())
        return badPlan(
            text(where, " has tensor '", table.name, "' of ", dim.size(), " rows"),
            text("up to the ", vision.max_patches(), " patches of the media table, ", perToken, " for each token"));
      patches = patches ? patches : tensor;
      if (symbolOf(*tensor) != symbolOf(*patches))
        return badPlan(text(where, " counts '", table.name, "' apart from its patches"), "one symbol for both");
    }
    QWENRT_RETURN_IF_ERROR(verifyRows(*entry, where, "rows", *patches));
    for (uint32_t i = 0; i < vision.deepstack(); ++i)
      QWENRT_RETURN_IF_ERROR(verifyRows(*entry, where, text("deepstack.", i), *patches));
    return Status::ok();
  }

  const fb::Plan &plan;
  const fb::Media &media;
  uint64_t hidden = 0; ///< values of a row; known once a prefill entry was seen
};

} // namespace

Status qwenrt::verifyMedia(const fb::Plan &plan) { return plan.media() ? MediaVerifier(plan).verify() : Status::ok(); }
