#include "framework/job/saved_images.h"

#include "framework/images/image_set.h"

namespace tarflow::job {

bool asks_for_images(const Job& job) {
  const Json* format = job.settings.find(kSaveImages);
  return format && format->is_string() && *format != kNoImages;
}

bool lacks_images(const JobFolder& folder, const Job& job, const JobPoint& point) {
  if (!asks_for_images(job)) return false;
  const images::SetFormat format =
      images::set_format_from(job.settings.at(kSaveImages).get<std::string>());
  return !images::ImageSet(folder.path / kImagesFolder, point.id, format).whole();
}

}  // namespace tarflow::job
