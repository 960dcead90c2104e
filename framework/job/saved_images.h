// The setting `save_images`: where a job leaves the images, and for which done points they are
// missing.
#pragma once

#include "framework/job/job.h"
#include "framework/job/job_folder.h"

namespace tarflow::job {

inline constexpr const char* kSaveImages = "save_images";  // the setting
inline constexpr const char* kNoImages = "none";           // its default
inline constexpr const char* kImagesFolder = "images";     // in the job's folder

bool asks_for_images(const Job& job);
// Whether the point of the job asks for image files that the folder, which holds its result, lacks.
bool lacks_images(const JobFolder& folder, const Job& job, const JobPoint& point);

}  // namespace tarflow::job
