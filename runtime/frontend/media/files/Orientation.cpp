#include "runtime/frontend/media/files/ImageFile.h"

#include <algorithm>
#include <libexif/exif-data.h>
#include <memory>
#include <string_view>

namespace qwenrt {
namespace {

struct Unref {
  void operator()(ExifData *data) const { exif_data_unref(data); }
};

constexpr std::string_view kExifHeader{"Exif\0\0", 6};

bool startsWith(std::span<const uint8_t> bytes, std::string_view start) {
  return bytes.size() >= start.size() &&
         std::equal(start.begin(), start.end(), bytes.begin(), [](char a, uint8_t b) { return uint8_t(a) == b; });
}

} // namespace

int exifOrientation(std::span<const uint8_t> bytes) {
  // libexif wants the header of a JPEG segment, which PNG and WebP leave out.
  std::vector<uint8_t> withHeader;
  if (!startsWith(bytes, kExifHeader) && !startsWith(bytes, "\xff\xd8")) {
    constexpr size_t kMaxExifBytes = 1 << 20;
    if (bytes.size() > kMaxExifBytes)
      return 1;
    withHeader.assign(kExifHeader.begin(), kExifHeader.end());
    withHeader.insert(withHeader.end(), bytes.begin(), bytes.end());
    bytes = withHeader;
  }
  std::unique_ptr<ExifData, Unref> data(exif_data_new_from_data(bytes.data(), static_cast<unsigned>(bytes.size())));
  if (!data)
    return 1;
  const ExifEntry *entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
  if (!entry || entry->format != EXIF_FORMAT_SHORT || entry->size < 2)
    return 1;
  const int orientation = exif_get_short(entry->data, exif_data_get_byte_order(data.get()));
  return orientation >= 1 && orientation <= 8 ? orientation : 1;
}

} // namespace qwenrt
