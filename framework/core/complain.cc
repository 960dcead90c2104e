#include "framework/core/complain.h"

#include <cstdio>

namespace tarflow {

void complain(const std::string& text) { std::fputs((text + "\n").c_str(), stderr); }

}  // namespace tarflow
