#include "experiments/worker/tuning.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "experiments/worker/tuning_search.h"
#include "experiments/worker/tuning_trials.h"
#include "framework/core/choice.h"
#include "framework/core/error.h"

namespace tarflow::experiments {
namespace {

constexpr size_t kFollowed = 5;  // trials of a block, at most, that are sampled to the end
constexpr size_t kRounds = 5;    // choices that are measured, at most
// After a measured deviation above the stated one the budget shrinks in proportion and by this;
// after one far below it grows once, by `kMostGrowth` at most. One more measurement costs far less
// than the trials, so that "far" need not be far.
constexpr double kMargin = 0.95, kFarBelow = 0.9, kMostGrowth = 1.5;

// Whether the CRM is above the mean of K blocks: such a block gets the long list.
bool is_above_mean(double crm_percent, size_t blocks) {
  return crm_percent > 100.0 / static_cast<double>(blocks);
}

class Tuner {
 public:
  Tuner(const Model& model, const TuningRequest& request,
        const std::shared_ptr<const Calibration>& calibration, const TuningObserver& observer)
      : model_(model),
        request_(request),
        linear_(calibration != nullptr),
        observer_(observer),
        trials_(model, request, calibration, observer) {}

  Tuning run(std::optional<TuningState> from) {
    if (from && from->tuning.batch == trials_.batch() && from->tuning.images == trials_.images() &&
        from->tuning.probes == trials_.probes()) {
      state_ = std::move(*from);
      trials_.set_states(state_.states);
    } else {
      begin();
    }
    for (int block = state_.next_block; block >= 0; --block) {
      observer_.progress(model_.shape.blocks - 1 - block, model_.shape.blocks);
      try_methods(block);
      state_.next_block = block - 1;
      observer_.keep(state_);
    }
    take_deviations();
    choose();
    return std::move(state_.tuning);
  }

 private:
  std::vector<BlockTrials>& blocks() { return state_.tuning.blocks; }

  void begin() {
    Tuning& tuning = state_.tuning;
    tuning.deviation = request_.deviation;
    tuning.most_rise = request_.most_rise;
    tuning.batch = trials_.batch();
    tuning.images = trials_.images();
    tuning.probes = trials_.probes();
    if (tuning.batch < request_.batch) {
      observer_.say(fmt::format("tuning with {} images at once: {} do not fit into memory",
                                tuning.batch, request_.batch));
    }
    std::vector<double> seconds;
    state_.states = trials_.sequential(seconds);
    const std::vector<double> crm = trials_.crm_percent();
    for (size_t b = 0; b < seconds.size(); ++b) blocks().push_back({crm[b], seconds[b], 0, {}});
    state_.next_block = model_.shape.blocks - 1;
    state_.exact = trials_.probes_before(state_.next_block);
    state_.followed = state_.exact.slice(0, 0, 0);
  }

  void try_methods(int block) {
    BlockTrials& own = blocks()[static_cast<size_t>(block)];
    state_.followed = at::cat({state_.followed, trials_.rounded_otherwise(block, state_.exact)});
    state_.rows.emplace_back(block, kRounding);
    follow(block);
    std::vector<at::Tensor> outputs;
    const SearchSpace space{model_.shape.tokens(),
                            request_.guidance.doubled(model_.shape),
                            linear_,
                            is_above_mean(own.crm_percent, blocks().size()),
                            request_.deviation,
                            own.sequential_seconds};
    own.trials = search(space, [&](const BlockPlan& plan) -> std::optional<Trial> {
      observer_.stop_if_requested();
      std::optional<Tried> tried = trials_.tried(block, plan);
      if (!tried) return std::nullopt;
      outputs.push_back(std::move(tried->probes));
      return tried->trial;
    });
    std::vector<at::Tensor> rows = {state_.followed};
    const at::Tensor after = trials_.probes_after(block);
    for (const size_t trial : worth_following(own)) {
      // What the method changes, on top of the probes as they are followed: these differ from the
      // sequential ones by the rounding of other batches.
      rows.push_back(state_.exact + (outputs[trial] - after));
      state_.rows.emplace_back(block, static_cast<int>(trial));
    }
    state_.followed = at::cat(rows);
    say_tried(block, own);
  }

  // All rows through one more block; those that are exact beside the others.
  void follow(int block) {
    const at::Tensor all = trials_.followed(block, at::cat({state_.exact, state_.followed}));
    state_.exact = all.slice(0, 0, trials_.probes());
    state_.followed = all.slice(0, trials_.probes());
  }

  // The trials that no other beats in time and change, sequential sampling included; some of them
  // where there are many, the fastest and the nearest among them.
  static std::vector<size_t> worth_following(const BlockTrials& block) {
    std::vector<Option> options = {{block.sequential_seconds, 0}};
    std::vector<size_t> trials = {0};  // of options behind the first
    for (size_t t = 0; t < block.trials.size(); ++t) {
      const Trial& trial = block.trials[t];
      if (!std::isfinite(trial.change)) continue;
      options.push_back({trial.seconds, trial.change});
      trials.push_back(t);
    }
    std::vector<size_t> kept;
    for (const size_t option : unbeaten(options))
      if (option > 0) kept.push_back(trials[option]);
    if (kept.size() <= kFollowed) return kept;
    std::vector<size_t> some;
    for (size_t i = 0; i < kFollowed; ++i)
      some.push_back(kept[i * (kept.size() - 1) / (kFollowed - 1)]);
    return some;
  }

  void say_tried(int block, const BlockTrials& own) const {
    const auto key = [](const Trial& trial) {
      return std::pair(!std::isfinite(trial.change), trial.seconds);
    };
    const auto fastest =
        std::min_element(own.trials.begin(), own.trials.end(),
                         [&](const Trial& a, const Trial& b) { return key(a) < key(b); });
    std::string text = fmt::format("block {}: CRM {:.3g} %, sequential {:.3g} s", block,
                                   own.crm_percent, own.sequential_seconds);
    if (fastest != own.trials.end()) {
      text += fmt::format(", {} methods from {:.3g} s on ({}, changes {:.2g})", own.trials.size(),
                          fastest->seconds, describe(fastest->plan), fastest->change);
    }
    observer_.say(text);
  }

  void take_deviations() {
    for (size_t i = 0; i < state_.rows.size(); ++i) {
      const auto [block, trial] = state_.rows[i];
      const int64_t first = static_cast<int64_t>(i) * trials_.probes();
      const double deviation = trials_.deviation(
          state_.followed.slice(0, first, first + trials_.probes()), state_.exact);
      BlockTrials& own = blocks()[static_cast<size_t>(block)];
      if (trial != kRounding) {
        own.trials[static_cast<size_t>(trial)].deviation = deviation;
      } else if (std::isfinite(deviation)) {
        own.rounding = deviation;
      }
    }
    say_rounding();
  }

  void say_rounding() {
    double most = 0;
    for (const BlockTrials& block : blocks()) most = std::max(most, block.rounding);
    if (most < kMargin / 100 * request_.deviation) return;  // far from what was asked for
    observer_.say(fmt::format(
        "rounding in {} alone changes the images by {:.2g}{}", to_string(model_.compute), most,
        most > request_.deviation && request_.most_rise <= 0
            ? ", more than the deviation asked for: early blocks stay sequential"
            : ""));
  }

  // The fastest choice whose predicted deviation is within `budget`.
  Round chosen_for(double budget) {
    std::vector<BlockMethods> methods;
    std::vector<std::vector<const Trial*>> trials;  // nullptr: sequential
    for (const BlockTrials& block : blocks()) {
      methods.push_back({block.rounding, {{block.sequential_seconds, 0}}});
      trials.push_back({nullptr});
      for (const Trial& trial : block.trials) {
        if (!std::isfinite(trial.deviation)) continue;
        methods.back().methods.push_back({trial.seconds, trial.deviation});
        trials.back().push_back(&trial);
      }
    }
    const MethodChoice choice = fastest_of_deviation(methods, budget);
    Round round;
    round.budget = budget;
    round.strategy.name = request_.most_rise > 0
                              ? fmt::format("tuned FD {:+g} %", 100 * request_.most_rise)
                              : fmt::format("tuned {}", request_.deviation);
    const size_t count = methods.size();
    round.strategy.blocks.resize(count);
    for (size_t b = 0; b < count; ++b) {
      const Option& option = methods[b].methods[choice.methods[b]];
      if (const Trial* const trial = trials[b][choice.methods[b]])
        round.strategy.blocks[count - 1 - b] = trial->plan;
      round.predicted_block_seconds.push_back(option.seconds);
      round.block_deviations.push_back(option.error);
      round.predicted_seconds += option.seconds;
      round.linear_deviation += option.error;
    }
    round.predicted_deviation = choice.deviation;
    return round;
  }

  void measure(Round round) {
    trials_.run(round.strategy, round);
    if (request_.most_rise > 0) round.rise = request_.rise(round.strategy);
    observer_.say(fmt::format(
        "chosen for deviation {:.3g}: predicted {:.3g} s and {:.3g} (deviations of blocks summed "
        "{:.3g}), measured {:.3g} s and {:.3g}{}: {}",
        round.budget, round.predicted_seconds, round.predicted_deviation, round.linear_deviation,
        round.measured_seconds, round.measured_deviation, rise_text(round.rise),
        describe(round.strategy)));
    state_.tuning.rounds.push_back(std::move(round));
  }

  static std::string rise_text(const Rise& rise) {
    if (!std::isfinite(rise.value)) return "";
    return fmt::format(", distance {:+.2f}{} %", 100 * rise.value,
                       std::isfinite(rise.error) ? fmt::format(" ± {:.2f}", 100 * rise.error) : "");
  }

  // What was measured over what is allowed, in units of the deviation: the distance rises about
  // with its square. NaN where what was measured is not finite.
  double part_of_bound(const Round& round) const {
    if (request_.most_rise <= 0) return round.measured_deviation / request_.deviation;
    const double part = round.rise.value / request_.most_rise;
    return part < 0 ? 0 : std::sqrt(part);  // a distance may fall by chance
  }

  void choose() {
    Tuning& tuning = state_.tuning;
    double budget = request_.deviation;
    std::optional<size_t> best;
    for (size_t i = 0; i < kRounds; ++i) {
      Round round = chosen_for(budget);
      const bool again = std::any_of(tuning.rounds.begin(), tuning.rounds.end(),
                                     [&](const Round& r) { return r.strategy == round.strategy; });
      if (again) {
        if (best) break;
        budget *= kMargin;  // a smaller budget, until the choice is another
        continue;
      }
      measure(std::move(round));
      const Round& now = tuning.rounds.back();
      const double part = part_of_bound(now);
      if (part <= 1) {
        if (!best || now.measured_seconds < tuning.rounds[*best].measured_seconds)
          best = tuning.rounds.size() - 1;
        if (i > 0 && !(grows_again() && part < kFarBelow)) break;
        if (part > kFarBelow) break;
        budget *= std::min(kMostGrowth, kMargin / (part + 1e-12));
      } else if (best) {
        break;
      } else {
        budget *= std::isfinite(part) ? std::min(kMargin, kMargin / part) : 0.5;
      }
    }
    tuning.chosen = best && faster(tuning.rounds[*best]) ? *best : take_sequential(best);
  }

  // Where the distance is the bound, the deviation is but a start and may be far from it.
  bool grows_again() const { return request_.most_rise > 0; }

  bool faster(const Round& round) const {
    return round.measured_seconds <= state_.tuning.sequential_seconds();
  }

  std::string bound_text() const {
    if (request_.most_rise <= 0) return fmt::format("the deviation {}", request_.deviation);
    return fmt::format("a rise of the distance by {:g} %", 100 * request_.most_rise);
  }

  // Says why, and returns the round of sequential sampling, which is measured now unless it was.
  size_t take_sequential(std::optional<size_t> best) {
    const std::vector<Round>& rounds = state_.tuning.rounds;
    Round sequential = chosen_for(0);
    if (best && rounds[*best].strategy == sequential.strategy) {
      observer_.say("no method is faster than sequential sampling, which is taken");
      return *best;
    }
    observer_.say(best ? fmt::format("the choice takes {:.3g} s, sequential sampling {:.3g} s: "
                                     "sequential sampling is taken",
                                     rounds[*best].measured_seconds,
                                     state_.tuning.sequential_seconds())
                       : fmt::format("none of {} choices keeps {}: sequential sampling is taken",
                                     rounds.size(), bound_text()));
    measure(std::move(sequential));
    return rounds.size() - 1;
  }

  const Model& model_;
  const TuningRequest& request_;
  const bool linear_;
  const TuningObserver& observer_;
  TuningTrials trials_;
  TuningState state_;
};

}  // namespace

double Tuning::sequential_seconds() const {
  return std::accumulate(
      blocks.begin(), blocks.end(), 0.0,
      [](double sum, const BlockTrials& block) { return sum + block.sequential_seconds; });
}

size_t Tuning::trial_count() const {
  return std::accumulate(
      blocks.begin(), blocks.end(), size_t{0},
      [](size_t sum, const BlockTrials& block) { return sum + block.trials.size(); });
}

double amplification(const BlockTrials& block) {
  double products = 0, squares = 0;
  for (const Trial& trial : block.trials) {
    const Window* const window = std::get_if<Window>(&trial.plan.method);
    if (!window || !std::isfinite(trial.deviation)) continue;
    products += window->tolerance * trial.deviation;
    squares += window->tolerance * window->tolerance;
  }
  return squares > 0 ? products / squares : std::numeric_limits<double>::quiet_NaN();
}

Tuning tuned(const Model& model, const TuningRequest& request,
             const std::shared_ptr<const Calibration>& calibration, const TuningObserver& observer,
             std::optional<TuningState> from) {
  if (!(request.deviation > 0) || !std::isfinite(request.deviation))
    throw Error(fmt::format("{} is no deviation to tune for", request.deviation),
                "state a number above 0; strategy For is exact");
  if (request.batch < 1) throw Error(fmt::format("{} images are no batch", request.batch));
  return Tuner(model, request, calibration, observer).run(std::move(from));
}

}  // namespace tarflow::experiments
