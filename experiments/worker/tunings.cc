#include "experiments/worker/tunings.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <thread>

#include "experiments/worker/arrays.h"
#include "experiments/worker/calibration.h"
#include "experiments/worker/distance_rise.h"
#include "experiments/worker/kept.h"
#include "experiments/worker/sampling_job.h"
#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/core/strategy_yaml.h"
#include "framework/core/tuning.h"
#include "framework/process/lease.h"
#include "framework/record/dataset_file.h"

namespace tarflow::experiments {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTuning = "tuning";  // dataset and key of the environment
// A tuning that was stopped is kept when this much time has passed since it was kept last.
constexpr double kKeepSeconds = 20;

TuningRequest request_of(JobContext& context, const TuningWish& wish) {
  TuningRequest request;
  request.deviation = wish.deviation;
  request.batch = wish.batch;
  request.guidance = {wish.cfg, wish.attn_temp};
  request.memory = batch_options(context, wish.memory_limit, wish.self_denoising);
  request.memory.say = {};
  request.most_rise = wish.fd_rise;
  return request;
}

// What a rise of the distance is measured with; nothing where it is no bound.
Json rise_identity(const JobContext& context, const TuningWish& wish) {
  if (wish.fd_rise <= 0) return nullptr;
  Json identity = {{"most", wish.fd_rise}};
  for (const char* setting :
       {"distance_images", "self_denoising_lr", "extractor_precision", "layout"})
    identity[setting] = context.settings().value(setting, Json());
  for (const char* content : {"extractor", "reference"})
    identity[content] = context.job().contents.get().at(content);
  return identity;
}

// What memory holds is part of it: the best methods for a divided batch are others.
Json identity_of(JobContext& context, const TuningWish& wish, const Model& model) {
  Json identity = kept_identity(context, model, kTuningVersion);
  identity.update({{"threads", model.device.is_cpu() ? at::get_num_threads() : 0},
                   {"batch", wish.batch},
                   {"fitting", tuning_batch(model, request_of(context, wish))},
                   {"cfg", wish.cfg},
                   {"attn_temp", wish.attn_temp},
                   {"deviation", wish.deviation},
                   {"rise", rise_identity(context, wish)}});
  return identity;
}

record::Array text_array(const std::string& text, const char* meaning) {
  return record::make_array(kTuning, {static_cast<int64_t>(text.size())},
                            std::vector<uint8_t>(text.begin(), text.end()), "", meaning);
}

Json json_in(const fs::path& file) {
  const std::vector<double> bytes = record::to_doubles(record::read_dataset(file, kTuning));
  std::string text;
  for (const double byte : bytes) text += static_cast<char>(static_cast<unsigned char>(byte));
  return Json::parse(text);
}

Tuning read_tuning(const fs::path& file, const Model& model) {
  Tuning tuning = tuning_from_json(json_in(file));
  if (tuning.blocks.size() != model.blocks.size() || tuning.rounds.empty())
    throw Error("it is of another number of blocks");
  return tuning;
}

void write_tuning(const KeptFile& file, const Tuning& tuning) {
  file.write("the tuning",
             {text_array(canonical(to_json(tuning)),
                         "what was measured and chosen, JSON in UTF-8 (docs/tuning.md)")},
             {{"strategy", to_yaml_line(tuning.result().strategy)}});
}

// What goes on after a stop.
TuningState read_state(const fs::path& file, const Model& model) {
  const Json json = json_in(file);
  TuningState state;
  state.tuning = tuning_from_json(json.at("tuning"));
  state.next_block = json.at("next_block").get<int>();
  state.rows = json.at("rows").get<std::vector<std::pair<int, int>>>();
  state.states = to_tensor(record::read_dataset(file, "states"));
  state.exact = to_tensor(record::read_dataset(file, "exact"));
  state.followed = to_tensor(record::read_dataset(file, "followed"));
  const int64_t blocks = model.shape.blocks, tokens = model.shape.tokens(),
                width = model.shape.token_width(), images = state.tuning.images,
                probes = state.tuning.probes, rows = static_cast<int64_t>(state.rows.size());
  const bool fitting =
      static_cast<int64_t>(state.tuning.blocks.size()) == blocks && state.next_block >= -1 &&
      state.next_block < blocks &&
      state.states.sizes() == at::IntArrayRef({blocks + 1, images, tokens, width}) &&
      state.exact.sizes() == at::IntArrayRef({probes, tokens, width}) &&
      state.followed.sizes() == at::IntArrayRef({rows * probes, tokens, width});
  if (!fitting) throw Error("it is of another model");
  for (const auto& [block, trial] : state.rows) {
    if (block < 0 || block >= blocks)
      throw Error("it follows a block that the model does not have");
    if (trial == kRounding) continue;
    if (trial < 0 || static_cast<size_t>(trial) >=
                         state.tuning.blocks.at(static_cast<size_t>(block)).trials.size())
      throw Error("it follows a trial that it does not hold");
  }
  return state;
}

void write_state(const KeptFile& file, const TuningState& state) {
  const Json json = {
      {"tuning", to_json(state.tuning)}, {"next_block", state.next_block}, {"rows", state.rows}};
  file.write("what the tuning measured so far",
             {text_array(canonical(json), "what was measured, JSON in UTF-8"),
              to_array("states", state.states, "", "sequential states, the noise first"),
              to_array("exact", state.exact, "", "probes as they were followed"),
              to_array("followed", state.followed, "", "trials followed so far")},
             {});
}

class Making {
 public:
  Making(JobContext& context, const TuningWish& wish, const Model& model,
         std::shared_ptr<const Calibration> calibration)
      : context_(context),
        wish_(wish),
        model_(model),
        calibration_(std::move(calibration)),
        identity_(identity_of(context, wish, model)),
        file_(context, kTuningFile, identity_) {}

  // On rank 0.
  KeptTuning result() {
    bool told = false;
    while (true) {
      if (const std::optional<KeptTuning> kept = read()) return *kept;
      if (const std::optional<KeptTuning> made = with_lease(told)) return *made;
      context_.stop_if_requested();
      context_.progress("waiting for a tuning", 0, 1, 0, "");
      std::this_thread::sleep_for(std::chrono::seconds(1));
    }
  }

 private:
  std::optional<KeptTuning> read() const {
    auto tuning = file_.read([&](const fs::path& path) { return read_tuning(path, model_); });
    if (!tuning) return std::nullopt;
    return KeptTuning{std::move(*tuning), "", false};
  }

  // Nothing while another job is at it.
  std::optional<KeptTuning> with_lease(bool& told) {
    fs::path folder = file_.path();
    folder.replace_extension(".lease");
    std::optional<process::Lease> lease;
    try {
      lease.emplace(folder, "tuning", [&](const std::string& line) { context_.log(line); });
    } catch (const process::LeaseHeld& held) {
      if (!told) context_.log("another job tunes for the same; waiting for it");
      told = true;
      return std::nullopt;
    } catch (const Error& failure) {
      context_.log(fmt::format("tuning without a lease: {}", failure.what()));
    }
    std::optional<KeptTuning> kept = read();  // made meanwhile
    if (!kept) kept = make();
    lease.reset();
    std::error_code ignored;
    fs::remove(folder, ignored);  // empty
    return kept;
  }

  KeptTuning make() {
    const KeptFile part(context_, kTuningFile, part_identity());
    std::optional<TuningState> from =
        part.read([&](const fs::path& path) { return read_state(path, model_); });
    const Stopwatch watch(model_.device);
    double earlier = 0, last = 0;
    if (from) {
      earlier = from->tuning.seconds;
      context_.log(fmt::format("tuning goes on before block {}", from->next_block));
    } else {
      context_.log(fmt::format("tuning for deviation {}, {} images at once, cfg {}",
                               wish_.deviation, wish_.batch, wish_.cfg));
    }
    TuningObserver observer;
    observer.say = [&](const std::string& line) { context_.log(line); };
    observer.progress = [&](int64_t done, int64_t total) {
      context_.progress("tuning", done, total, 0, "blocks");
    };
    observer.stop_if_requested = [&] { context_.stop_if_requested(); };
    observer.keep = [&](const TuningState& state) {
      const double now = watch.seconds();
      if (now - last < kKeepSeconds) return;
      last = now;
      TuningState kept = state;
      kept.tuning.seconds = earlier + now;
      write_state(part, kept);
    };
    context_.prepares();
    TuningRequest request = request_of(context_, wish_);
    request.rise = [&](const Strategy& strategy) {
      return wish_.rise->of(strategy, request, calibration_);
    };
    Tuning tuning = tuned(model_, request, calibration_, observer, std::move(from));
    tuning.seconds = earlier + watch.seconds();
    context_.work_begins();
    part.remove();
    // Without a lease two may tune: what is kept first holds.
    if (const std::optional<KeptTuning> first = read()) return *first;
    write_tuning(file_, tuning);
    return {std::move(tuning), "", true};
  }

  // Rests of other builds' tunings are other files.
  Json part_identity() const {
    Json identity = identity_;
    identity["part"] = true;
    return identity;
  }

  JobContext& context_;
  const TuningWish& wish_;
  const Model& model_;
  const std::shared_ptr<const Calibration> calibration_;
  const Json identity_;
  const KeptFile file_;
};

std::string hash_of(const Strategy& strategy) {
  return short_hash(canonical(to_json(strategy).at("blocks")));
}

void report(JobContext& context, const KeptTuning& kept) {
  const Tuning& tuning = kept.tuning;
  const Round& result = tuning.result();
  context.log(fmt::format(
      "auto is {}: {:.3g} s a batch of {} (sequential {:.3g} s), deviation {:.2g} of {}; tuning {} "
      "in {:.3g} s",
      kept.hash, result.measured_seconds, tuning.batch, tuning.sequential_seconds(),
      result.measured_deviation, tuning.deviation,
      kept.made ? "made" : "kept by an earlier job, made", tuning.seconds));
  context.log(to_yaml_line(result.strategy));
  context.environment()[kTuning] = {{"hash", kept.hash},
                                    {"strategy", to_yaml_line(result.strategy)},
                                    {"deviation", tuning.deviation},
                                    {"batch", tuning.batch},
                                    {"seconds", tuning.seconds},
                                    {"made_by_this_job", kept.made}};
}

}  // namespace

KeptTuning tuning_for(JobContext& context, const TuningWish& wish, const Model& model) {
  Making making(context, wish, model, calibration_of(context, model, wish.memory_limit));
  const std::string text = made_by_first(context, [&] {
    const KeptTuning kept = making.result();
    return canonical({{"tuning", to_json(kept.tuning)}, {"made", kept.made}});
  });
  const Json json = Json::parse(text);
  KeptTuning kept{tuning_from_json(json.at("tuning")), "", json.at("made").get<bool>()};
  kept.hash = hash_of(kept.tuning.result().strategy);
  report(context, kept);
  return kept;
}

Strategy tuned_strategy(JobContext& context, const Strategy& strategy, TuningWish wish,
                        const Model& model) {
  const std::optional<double> deviation = strategy.open_deviation();
  if (!deviation) return strategy;
  if (strategy.blocks.size() != model.blocks.size()) {
    throw Error(fmt::format("strategy {} states {} blocks, the model has {}", strategy.name,
                            strategy.blocks.size(), model.blocks.size()));
  }
  wish.deviation = *deviation;
  const KeptTuning kept = tuning_for(context, wish, model);
  set_tuned_columns(context, kept);
  return kept.tuning.result().strategy;
}

std::string tuned_hash(JobContext& context) {
  const Json& environment = context.environment();
  return environment.contains(kTuning) ? environment.at(kTuning).at("hash").get<std::string>() : "";
}

std::vector<Column> tuned_columns() {
  return {{"tuned_strategy", ColumnType::kString, "",
           "where the strategy is auto, the methods that its tuning chose"},
          {"tuned_hash", ColumnType::kString, "", "hash of these methods"}};
}

void set_tuned_columns(JobContext& context, const KeptTuning& kept) {
  context.set_all("tuned_strategy", describe(kept.tuning.result().strategy));
  context.set_all("tuned_hash", kept.hash);
}

}  // namespace tarflow::experiments
