// What the files that points name say of themselves, against each other and against the model.
#pragma once

#include "framework/sweep/guesses.h"
#include "framework/sweep/space.h"
#include "framework/sweep/sweep.h"

namespace tarflow::sweep {

// Reports an `extractor` without a `reference` and the reverse, at the place of the one that is
// stated, and an extractor whose file is a zip archive without its end. Absent files are passed
// over.
void require_pairs(const Rows& rows, Values& values);

// Warns of an `attn_temp` that no point uses, since all that state it have `cfg` 0.
void warn_of_idle_temperature(const Rows& rows, Values& values);

// Reports statistics of another width, of another extractor or of images with another side than
// those of the point, at the place of the statistics. Files that are absent are passed over.
void require_agreement(const Rows& rows, const FileFacts& facts, Values& values);

// Reports `labels` that are no classes of the point's model, at the place of the labels.
void require_known_labels(const Rows& rows, Values& values);

// Reports images that cannot be read as their `layout` says, at the place of the path. Warns of
// what is left out, and of a layout without a folder. Images that are absent are passed over.
void require_readable_images(const Rows& rows, const FileFacts& facts, OpenGuesses& guesses,
                             Values& values);

}  // namespace tarflow::sweep
