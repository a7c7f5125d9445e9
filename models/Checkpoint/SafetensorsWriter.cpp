//===- SafetensorsWriter.cpp - Writing safetensors files --------------------------------------------------------===//
#include "models/Checkpoint/SafetensorsWriter.h"

#include "models/Checkpoint/Json.h"

#include <set>

using namespace qwenc;
using nlohmann::json;

namespace {

std::string jsonText(const std::string &text) {
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace

uint64_t TensorDescription::sizeBytes() const {
  uint64_t bytes = storedDTypeSizeBytes(dtype);
  for (uint64_t dim : shape)
    bytes *= dim;
  return bytes;
}

Result<std::string> qwenc::encodeSafetensorsHeader(std::span<const TensorDescription> tensors,
                                                   const std::map<std::string, std::string> &metadata) {
  std::string text = "{";
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    for (const auto &[key, value] : metadata)
      text += (text.back() == '{' ? "" : ",") + jsonText(key) + ":" + jsonText(value);
    text += "}";
  }
  std::set<std::string_view> names = {"__metadata__"};
  uint64_t offset = 0;
  for (const TensorDescription &tensor : tensors) {
    if (!names.insert(tensor.name).second || !isUtf8(tensor.name))
      return Status(StatusCode::InvalidInput,
                    "tensor name " + inQuotes(tensor.name) +
                        " is taken or no UTF-8, expected unique UTF-8 names, rename the tensor");
    text += (text.size() == 1 ? "" : ",") + jsonText(tensor.name) + ":{\"dtype\":\"" +
            std::string(storedDTypeName(tensor.dtype)) + "\",\"shape\":[";
    for (size_t axis = 0; axis < tensor.shape.size(); ++axis)
      text += (axis ? "," : "") + std::to_string(tensor.shape[axis]);
    uint64_t end = offset + tensor.sizeBytes();
    text += "],\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(end) + "]}";
    offset = end;
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string length(8, '\0');
  for (unsigned i = 0; i < 8; ++i)
    length[i] = static_cast<char>(uint64_t(text.size()) >> (8 * i));
  return length + text;
}

Result<SafetensorsWriter> SafetensorsWriter::create(const std::string &path, std::span<const TensorDescription> tensors,
                                                    const std::map<std::string, std::string> &metadata) {
  QWENRT_ASSIGN_OR_RETURN(std::string header, encodeSafetensorsHeader(tensors, metadata));
  QWENRT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  QWENRT_RETURN_IF_ERROR(file.write(header));
  uint64_t dataBytes = 0;
  for (const TensorDescription &tensor : tensors)
    dataBytes += tensor.sizeBytes();
  return SafetensorsWriter(std::move(file), dataBytes);
}

Status SafetensorsWriter::append(std::span<const std::byte> data) {
  if (data.size() > remainingBytes_)
    return Status(StatusCode::InvalidInput, std::to_string(data.size()) + " bytes of tensor data, expected at most " +
                                                std::to_string(remainingBytes_) +
                                                " more from the shapes, give data of the described size");
  remainingBytes_ -= data.size();
  return file_.write({reinterpret_cast<const char *>(data.data()), data.size()});
}

Status SafetensorsWriter::finish() {
  if (remainingBytes_ != 0)
    return Status(StatusCode::InvalidInput, std::to_string(remainingBytes_) +
                                                " bytes of tensor data are missing, expected all that the shapes "
                                                "describe, append them before finishing");
  return file_.commit();
}

Status qwenc::writeSafetensors(const std::string &path, std::span<const TensorData> tensors,
                               const std::map<std::string, std::string> &metadata) {
  std::vector<TensorDescription> descriptions;
  for (const TensorData &tensor : tensors) {
    descriptions.push_back(tensor.description);
    if (tensor.data.size() != tensor.description.sizeBytes())
      return Status(StatusCode::InvalidInput, "tensor " + inQuotes(tensor.description.name) + " comes with " +
                                                  std::to_string(tensor.data.size()) + " bytes, expected " +
                                                  std::to_string(tensor.description.sizeBytes()) +
                                                  " from shape and dtype, give data of the described size");
  }
  QWENRT_ASSIGN_OR_RETURN(SafetensorsWriter writer, SafetensorsWriter::create(path, descriptions, metadata));
  for (const TensorData &tensor : tensors)
    QWENRT_RETURN_IF_ERROR(writer.append(tensor.data));
  return writer.finish();
}
