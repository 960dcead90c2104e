// Tunings as JSON, for the cache and for other ranks.
#include <fmt/format.h>

#include <cmath>

#include "experiments/worker/tuning.h"
#include "framework/core/error.h"

namespace tarflow::experiments {
namespace {

// JSON has no word for what is no number.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

double number_from(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

Json json_of(const BlockPlan& plan) { return to_json(Strategy{"", {plan}}).at("blocks").at(0); }

BlockPlan plan_from(const Json& json) {
  return strategy_from_json({{"name", ""}, {"blocks", Json::array({json})}}).blocks.at(0);
}

Json json_of(const Trial& trial) {
  return {{"plan", json_of(trial.plan)},      {"seconds", trial.seconds},
          {"evaluations", trial.evaluations}, {"passes", trial.passes},
          {"change", number(trial.change)},   {"deviation", number(trial.deviation)}};
}

Trial trial_from(const Json& json) {
  Trial trial;
  trial.plan = plan_from(json.at("plan"));
  trial.seconds = json.at("seconds").get<double>();
  trial.evaluations = json.at("evaluations").get<double>();
  trial.passes = json.at("passes").get<double>();
  trial.change = number_from(json.at("change"));
  trial.deviation = number_from(json.at("deviation"));
  return trial;
}

Json json_of(const Round& round) {
  return {{"budget", round.budget},
          {"predicted_seconds", round.predicted_seconds},
          {"predicted_deviation", round.predicted_deviation},
          {"linear_deviation", round.linear_deviation},
          {"measured_seconds", round.measured_seconds},
          {"measured_deviation", number(round.measured_deviation)},
          {"rise", number(round.rise.value)},
          {"rise_error", number(round.rise.error)},
          {"block_seconds", round.block_seconds},
          {"predicted_block_seconds", round.predicted_block_seconds},
          {"block_deviations", round.block_deviations},
          {"strategy", to_json(round.strategy)}};
}

Round round_from(const Json& json) {
  Round round;
  round.budget = json.at("budget").get<double>();
  round.predicted_seconds = json.at("predicted_seconds").get<double>();
  round.predicted_deviation = json.at("predicted_deviation").get<double>();
  round.linear_deviation = json.at("linear_deviation").get<double>();
  round.measured_seconds = json.at("measured_seconds").get<double>();
  round.measured_deviation = number_from(json.at("measured_deviation"));
  round.rise = {number_from(json.at("rise")), number_from(json.at("rise_error"))};
  round.block_seconds = json.at("block_seconds").get<std::vector<double>>();
  round.predicted_block_seconds = json.at("predicted_block_seconds").get<std::vector<double>>();
  round.block_deviations = json.at("block_deviations").get<std::vector<double>>();
  round.strategy = strategy_from_json(json.at("strategy"));
  return round;
}

void require_whole(const Tuning& tuning) {
  const size_t blocks = tuning.blocks.size();
  if (tuning.chosen >= tuning.rounds.size() && !tuning.rounds.empty())
    throw Error("its choice is none of its rounds");
  for (const Round& round : tuning.rounds) {
    if (round.strategy.blocks.size() != blocks || round.block_seconds.size() != blocks ||
        round.predicted_block_seconds.size() != blocks || round.block_deviations.size() != blocks)
      throw Error("a round has another number of blocks");
  }
}

}  // namespace

Json to_json(const Tuning& tuning) {
  Json blocks = Json::array(), rounds = Json::array();
  for (const BlockTrials& block : tuning.blocks) {
    Json trials = Json::array();
    for (const Trial& trial : block.trials) trials.push_back(json_of(trial));
    blocks.push_back({{"crm_percent", block.crm_percent},
                      {"sequential_seconds", block.sequential_seconds},
                      {"rounding", block.rounding},
                      {"trials", std::move(trials)}});
  }
  for (const Round& round : tuning.rounds) rounds.push_back(json_of(round));
  return {{"deviation", tuning.deviation}, {"most_rise", tuning.most_rise},
          {"batch", tuning.batch},         {"images", tuning.images},
          {"probes", tuning.probes},       {"blocks", std::move(blocks)},
          {"rounds", std::move(rounds)},   {"chosen", tuning.chosen},
          {"seconds", tuning.seconds}};
}

Tuning tuning_from_json(const Json& json) {
  try {
    Tuning tuning;
    tuning.deviation = json.at("deviation").get<double>();
    tuning.most_rise = json.at("most_rise").get<double>();
    tuning.batch = json.at("batch").get<int64_t>();
    tuning.images = json.at("images").get<int64_t>();
    tuning.probes = json.at("probes").get<int64_t>();
    for (const Json& block : json.at("blocks")) {
      BlockTrials trials{block.at("crm_percent").get<double>(),
                         block.at("sequential_seconds").get<double>(),
                         block.at("rounding").get<double>(),
                         {}};
      for (const Json& trial : block.at("trials")) trials.trials.push_back(trial_from(trial));
      tuning.blocks.push_back(std::move(trials));
    }
    for (const Json& round : json.at("rounds")) tuning.rounds.push_back(round_from(round));
    tuning.chosen = json.at("chosen").get<size_t>();
    tuning.seconds = json.at("seconds").get<double>();
    require_whole(tuning);
    return tuning;
  } catch (const Json::exception& failure) {
    throw Error(fmt::format("not a tuning: {}", failure.what()));
  }
}

}  // namespace tarflow::experiments
