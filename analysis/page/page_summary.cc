#include "analysis/page/page_summary.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "analysis/data/timing.h"
#include "analysis/show/format.h"
#include "analysis/tables/crm.h"
#include "analysis/tables/distances.h"
#include "analysis/tables/speedup_block.h"

namespace tarflow::analysis {
namespace {

constexpr size_t kFamilies = 6;  // of which a paragraph tells
constexpr double kTold = 2;      // standard errors beyond which a difference is measurable

std::string distance_text(const Measured& measured) { return estimate_text(*measured.distance, 4); }

std::string time_text(const Measured& measured) {
  if (measured.seconds) return fmt::format(", {:.3g} s", *measured.seconds);
  if (!measured.indicative_seconds) return "";
  return fmt::format(", {:.3g} s (indicative)", *measured.indicative_seconds);
}

// Whether the strategy's distance differs from For's, within the errors of what was measured.
std::string verdict(const Measured& measured, const Measured& reference) {
  const auto difference = mean_difference(measured.points, reference.points);
  if (!difference) return "";
  const std::string text =
      fmt::format("{}{}", difference->value > 0 ? "+" : "", estimate_text(*difference, 4));
  if (!difference->error)
    return fmt::format(" Difference from For: {}; its error is not known.", text);
  if (std::abs(difference->value) <= kTold * *difference->error)
    return fmt::format(" No measurable difference from For ({}).", text);
  return fmt::format(" Measurably {} than For ({}).", difference->value > 0 ? "worse" : "better",
                     text);
}

// The distance over the seeds of both; where these are not all, also For's over them.
std::string compared_distance(const Measured& measured, const Measured& reference) {
  std::string text = distance_text(over_common_seeds(measured, reference));
  const std::string seeds = common_seeds_text(measured.points, reference.points);
  if (!seeds.empty())
    text += fmt::format(" over {} (For: {})", seeds,
                        distance_text(over_common_seeds(reference, measured)));
  return text;
}

std::string plural_of_strategies(size_t count) {
  return count == 1 ? "1 other strategy" : fmt::format("{} other strategies", count);
}

// Where no strategy is within 1 % of For's distance and has a time.
std::string nearest_text(const std::vector<const Measured*>& others, const Measured& reference,
                         bool any_close) {
  const Measured& nearest =
      **std::min_element(others.begin(), others.end(), [&](const Measured* a, const Measured* b) {
        return distance_ratio(*a, &reference) < distance_ratio(*b, &reference);
      });
  return fmt::format(
      " {} The nearest is {}: {}.{}",
      any_close ? "Other strategies are within 1 % of that distance, but none of them has a time."
                : "No other strategy is within 1 % of that distance.",
      nearest.strategy, compared_distance(nearest, reference), verdict(nearest, reference));
}

// `others` have a seed in common with `reference`.
std::string comparison(const std::vector<const Measured*>& others, const Measured& reference) {
  // Indicative times are compared where no valid ones can be.
  const Fastest valid = fastest_within(others, reference, kWithin, Timing::kValid);
  const Fastest close =
      valid.strategy ? valid : fastest_within(others, reference, kWithin, Timing::kIndicative);
  if (!close.strategy) return nearest_text(others, reference, close.close > 0);
  const Measured& fastest = *close.strategy;
  const Measured common = over_common_seeds(fastest, reference);
  std::string text = fmt::format(
      " The fastest other strategy within 1 % of that distance is {}: {:.3g} s, {:.2f} times "
      "{}{}, distance {}.{}",
      fastest.strategy, *(valid.strategy ? common.seconds : common.indicative_seconds),
      close.rate >= 1 ? close.rate : 1 / close.rate, close.rate >= 1 ? "as fast" : "slower",
      valid.strategy ? "" : " (indicative)", compared_distance(fastest, reference),
      verdict(fastest, reference));
  if (valid.strategy && valid.without_valid_time > 0) {
    text += fmt::format(" {} within 1 % {} no valid time and may be faster.",
                        plural_of_strategies(valid.without_valid_time),
                        valid.without_valid_time == 1 ? "has" : "have");
  }
  return text;
}

std::string comparison(const MeasuredFamily& family, const Measured& reference) {
  std::vector<const Measured*> others = rivals(family, reference);
  if (others.empty()) return " No other strategy was measured there.";
  const std::string left_out = without_common_seed(others, reference);
  std::erase_if(others, [&](const Measured* other) { return !distance_ratio(*other, &reference); });
  std::string text = others.empty() ? "" : comparison(others, reference);
  if (!left_out.empty()) {
    text += fmt::format(" Not compared, as For was measured with other seeds ({}): {}.",
                        seeds_text(reference.points), left_out);
  }
  return text;
}

std::string paragraph(const MeasuredFamily& family) {
  std::set<std::string> strategies;
  for (const Measured& measured : family.measured) strategies.insert(measured.strategy);
  std::string text = fmt::format(
      "{} on {}: {}, compared by {} (smaller is better).", family.title, family.device,
      strategies.size() == 1 ? "1 strategy" : fmt::format("{} strategies", strategies.size()),
      family.distance_name);
  const std::string few = too_few_images(family);
  if (!few.empty()) text += " " + few + ".";
  const Measured* reference = best_sequential(family);
  if (!reference) return text + " Sequential sampling (For) was not measured.";
  text +=
      fmt::format(" Sequential sampling (For) has its smallest distance at {}: {}{}.",
                  cfg_and_lr_text(*reference), distance_text(*reference), time_text(*reference));
  text += comparison(family, *reference);
  return text;
}

// One line for each model: which blocks are tough.
void add_tough_blocks(std::vector<std::string>& lines, const std::vector<Point>& points) {
  std::set<std::string> said;
  for (const BlockRanking& ranking : block_rankings(points)) {
    std::vector<size_t> tough;
    for (size_t block = 0; block < ranking.tough.size(); ++block) {
      if (ranking.tough[block]) tough.push_back(block);
    }
    const std::vector<double>& percent = ranking.metrics.crm_percent;
    std::sort(tough.begin(), tough.end(),
              [&](size_t a, size_t b) { return percent[a] > percent[b]; });
    std::vector<std::string> names;
    for (const size_t block : tough)
      names.push_back(fmt::format("block {} ({:.0f} %)", block, percent[block]));
    const std::string line =
        names.empty()
            ? fmt::format(
                  "{}: no block is tough: the CRM of each is at most {:g} times "
                  "the median.",
                  ranking.name, kDominantFactor)
            : fmt::format("{}: {} {} tough (CRM % in brackets): segments help there.", ranking.name,
                          fmt::join(names, ", "), names.size() == 1 ? "is" : "are");
    if (said.insert(line).second && said.size() <= kFamilies) lines.push_back(line);
  }
}

}  // namespace

std::vector<std::string> plain_summary(const std::vector<Point>& points,
                                       const std::vector<MeasuredFamily>& families) {
  std::vector<std::string> lines = {
      "The model makes images from noise: it inverts its blocks one after another. The strategy "
      "For "
      "computes a block token after token and is exact. Other strategies compute many tokens at "
      "once "
      "and iterate a few times. They do more arithmetic in fewer steps, and their images can "
      "differ "
      "slightly. This page shows how much time they save and what they change."};
  for (std::string& line : findings(points, families)) lines.push_back(std::move(line));
  std::vector<Point> timed = points;
  std::erase_if(timed, [](const Point& point) { return point.text("experiment") != "evaluate"; });
  if (std::string again = indicative_times(timed); !again.empty())
    lines.push_back(std::move(again));
  return lines;
}

std::vector<std::string> findings(const std::vector<Point>& points,
                                  const std::vector<MeasuredFamily>& families) {
  std::vector<std::string> lines;
  // Nothing is found by a trial.
  std::vector<Point> real;
  for (const Point& point : points) {
    if (!point.smoke()) real.push_back(point);
  }
  std::vector<const MeasuredFamily*> told;
  for (const MeasuredFamily& family : families) {
    if (!family.smoke) told.push_back(&family);
  }
  if (real.size() < points.size()) {
    const std::string what =
        real.empty() ? "a smoke run shows that the sweep runs from end to end. Its"
                     : fmt::format(
                           "{} of {} points are of a smoke run, which shows that the sweep "
                           "runs from end to end. Their",
                           points.size() - real.size(), points.size());
    lines.push_back(fmt::format("SMOKE: {} times, distances and images mean nothing.", what));
  }
  for (size_t i = 0; i < std::min(told.size(), kFamilies); ++i)
    lines.push_back(paragraph(*told[i]));
  if (told.size() > kFamilies) {
    lines.push_back(
        fmt::format("{} more groups of settings are in the tables.", told.size() - kFamilies));
  }
  add_tough_blocks(lines, real);
  return lines;
}

std::vector<std::pair<std::string, std::string>> glossary() {
  return {
      {"strategy",
       "How the blocks are inverted. For: token after token. [7-8-32-10]: block 7 in 8 segments of "
       "at most 32 iterations each, all other blocks in at most 10 iterations. Jacobi-N: all "
       "tokens "
       "at once, N iterations in every block."},
      {"cfg", "Guidance weight: how strongly samples are pulled towards their class. 0: none."},
      {"attn_temp", "Attention temperature of the unconditional pass of guidance."},
      {"self_denoising_lr", "Step size of the self-denoising after sampling. 0: none."},
      {"distance",
       "Frechet distance between features of samples and of real images. It is called FID when the "
       "features are those of Inception, else FD with the name of the extractor. Smaller is "
       "better. "
       "Distances of different extractors or numbers of images cannot be compared."},
      {"±",
       "Standard error: over seeds, or of one seed by leaving out one group of images at a time."},
      {"rate",
       "Speed-up over For: total time of For / total time of the strategy. 2: twice as fast."},
      {"deviation",
       "Relative RMS difference from For's image for the same noise, before self-denoising."},
      {"passes",
       "Amount of computation: tokens evaluated / tokens of an image, summed over blocks."},
      {"CRM", "Convergence ranking metric: a block with a large CRM converges slowly."},
      {"CRM %", "Share of a block in the sum of the CRM over all blocks of its model."},
      {"tough block", "A block whose CRM is more than twice the median. It needs segments."},
      {"IGM", "Initial guessing metric: the guess with the smaller IGM suits a block better."},
  };
}

}  // namespace tarflow::analysis
