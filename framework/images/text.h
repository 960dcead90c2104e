// Labels in images: a small built-in font of fixed width.
#pragma once

#include <string_view>

#include "framework/images/image.h"

namespace tarflow::images {

inline constexpr int kGlyphWidth = 5;  // pixels of a character at scale 1
inline constexpr int kGlyphHeight = 7;
inline constexpr int kGlyphAdvance = 6;  // from one character to the next

// Width in pixels of one line; a UTF-8 character outside printable ASCII takes one place.
int text_width(std::string_view text, int scale = 1);

// Draws one line with its upper left corner at (x, y); what lies outside the image is left out.
// Characters outside printable ASCII are drawn as an empty box.
void draw_text(Image& image, int x, int y, std::string_view text, Color ink, int scale = 1);

}  // namespace tarflow::images
