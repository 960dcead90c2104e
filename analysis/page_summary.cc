#include "analysis/page_summary.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "analysis/distances.h"
#include "analysis/format.h"

namespace tarflow::analysis {
namespace {

constexpr size_t kFamilies = 6;   // of which a paragraph tells
constexpr double kWithin = 0.01;  // of For's distance

std::string settings_of(const Measured& measured) {
  std::vector<std::string> parts;
  if (measured.cfg) parts.push_back(fmt::format("cfg {}", *measured.cfg));
  if (measured.lr) parts.push_back(fmt::format("self_denoising_lr {}", *measured.lr));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string distance_text(const Measured& measured) { return estimate_text(*measured.distance, 4); }

const Measured* nearest_sequential(const MeasuredFamily& family) {
  const Measured* best = nullptr;
  for (const Measured& measured : family.measured) {
    if (measured.sequential && (!best || measured.distance->value < best->distance->value))
      best = &measured;
  }
  return best;
}

// Others at the settings of `reference`.
std::vector<const Measured*> rivals(const MeasuredFamily& family, const Measured& reference) {
  std::vector<const Measured*> found;
  for (const Measured& measured : family.measured) {
    if (!measured.sequential && measured.cfg == reference.cfg && measured.lr == reference.lr)
      found.push_back(&measured);
  }
  return found;
}

std::string comparison(const MeasuredFamily& family, const Measured& reference) {
  const std::vector<const Measured*> others = rivals(family, reference);
  if (others.empty()) return " No other strategy was measured there.";
  const Measured *fastest = nullptr, *nearest = nullptr;
  for (const Measured* other : others) {
    if (!nearest || other->distance->value < nearest->distance->value) nearest = other;
    const bool close = other->distance->value <= (1 + kWithin) * reference.distance->value;
    if (close && other->seconds && (!fastest || *other->seconds < *fastest->seconds))
      fastest = other;
  }
  if (!reference.seconds) {
    return fmt::format(
        " Its time does not count, so no speed-up is told; nearest of the others: "
        "{}, at {}.",
        nearest->strategy, distance_text(*nearest));
  }
  if (!fastest) {
    return fmt::format(
        " No other strategy with a valid time came within 1 % of that distance; "
        "nearest: {}, at {}.",
        nearest->strategy, distance_text(*nearest));
  }
  const double rate = *reference.seconds / *fastest->seconds;
  return fmt::format(
      " There the fastest strategy within 1 % of that distance was {}: {:.3g} s, "
      "{:.2f} times {}, at {}.",
      fastest->strategy, *fastest->seconds, rate >= 1 ? rate : 1 / rate,
      rate >= 1 ? "as fast" : "slower", distance_text(*fastest));
}

std::string paragraph(const MeasuredFamily& family) {
  std::set<std::string> strategies;
  for (const Measured& measured : family.measured) strategies.insert(measured.strategy);
  std::string text = fmt::format(
      "{}, on {}: {}, judged by {} (smaller is nearer to real images).", family.title,
      family.device,
      strategies.size() == 1 ? "1 strategy" : fmt::format("{} strategies", strategies.size()),
      family.distance_name);
  const Measured* reference = nearest_sequential(family);
  if (!reference) return text + " Sampling token after token (For) was not measured.";
  text += fmt::format(" Token after token (For) came nearest at {}: {}{}.", settings_of(*reference),
                      distance_text(*reference),
                      reference->seconds ? fmt::format(" in {:.3g} s", *reference->seconds) : "");
  text += comparison(family, *reference);
  if (family.smoke) text += " This was a smoke run: the figures mean nothing.";
  return text;
}

// One line a model: which block is hard.
void add_toughest(std::vector<std::string>& lines, const std::vector<Point>& points) {
  std::set<std::string> said;
  for (const Point& point : points) {
    const auto block = point.number("toughest_block"), share = point.number("toughest_crm_percent");
    if (!block || !share || !std::isfinite(*share)) continue;
    const std::string line = fmt::format(
        "{}: block {:.0f} is the hardest to solve for many tokens at once; it has {:.0f} % of the "
        "convergence ranking metric.",
        point.text("model"), *block, *share);
    if (said.insert(line).second && said.size() <= kFamilies) lines.push_back(line);
  }
}

}  // namespace

std::vector<std::string> plain_summary(const std::vector<Point>& points,
                                       const std::vector<MeasuredFamily>& families) {
  std::vector<std::string> lines = {
      "The model makes images from noise by inverting its blocks one after another. Inside a "
      "block, "
      "sampling token after token (the strategy For) is exact. The other strategies guess all "
      "tokens of a stretch at once and improve them a few times: more arithmetic, fewer steps that "
      "wait for each other, and images that may differ slightly. This page tells how much time "
      "that saves and what it changes."};
  add_toughest(lines, points);
  for (size_t i = 0; i < std::min(families.size(), kFamilies); ++i)
    lines.push_back(paragraph(families[i]));
  if (families.size() > kFamilies) {
    lines.push_back(
        fmt::format("{} more groups of settings are in the tables.", families.size() - kFamilies));
  }
  return lines;
}

std::vector<std::pair<std::string, std::string>> glossary() {
  return {
      {"strategy",
       "How the blocks are inverted. For: token after token. [7-8-32-10]: block 7 in 8 "
       "segments of at most 32 iterations each, all others in at most 10 iterations. "
       "Jacobi-N: all tokens at once, N iterations in every block."},
      {"cfg", "Guidance: how strongly samples are pulled towards their class; 0 is none."},
      {"lr, self_denoising_lr", "Step of the self-denoising after sampling; 0 is none."},
      {"distance",
       "Frechet distance between features of samples and of real images: FID when the "
       "features are Inception's, else FD with the extractor's name. Smaller is nearer; "
       "distances of different extractors or numbers of images do not compare."},
      {"±", "Standard error: of the mean over seeds, or from leaving out groups of images."},
      {"rate",
       "For's total time over the strategy's. Only undisturbed runs on one kind of device "
       "are compared."},
      {"deviation",
       "How far each image is from For's image of the same noise, relative to the "
       "images' own size."},
      {"passes", "Tokens evaluated over tokens an image has, summed over blocks: the work."},
      {"CRM, IGM",
       "Convergence ranking metric: which blocks need segments. Initial guessing "
       "metric: which first guess suits a block."},
  };
}

}  // namespace tarflow::analysis
