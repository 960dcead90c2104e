#include "framework/sweep/help_topics.h"

namespace tarflow::sweep {
namespace {

constexpr const char* kSweeps =
    R"(A sweep file says what to run. Its keys: name, models, strategies, defaults, run,
experiments, use. Whatever is unknown, doubled or out of range is reported with its
line, and nothing is run then.

    models:
      m: {checkpoint: a_model_4_128_8_2_0.05.pth, image_size: 32, classes: 10}
    defaults: {model: m}
    experiments:
      - evaluate:
          num_images: 500
          grid:
            strategy: [For, "[7-8-32-10]"]
            cfg: [0, 1]

name: of the results, results/NAME.h5; the file's own name without it.
defaults: settings for every experiment that has them; its own win.
Paths are looked for beside the file that names them, in models/ and data/ of the
working folder, of that file's folder and of the one above, and in those folders.
YAML anchors and merge keys (<<) work.
)";

constexpr const char* kGrids =
    R"(Every combination under `grid` is a point, the last key varying fastest. Lists under
`zip` go together and are equally long. Both may stand side by side and in each other:

    - evaluate:
        strategy: For
        zip: {cfg: [0, 1, 2], attn_temp: [1, 0.5, 0.3]}
        grid:
          seed: [1, 2]
          zip: {num_images: [100, 1000], chunk: [50, 64]}

A grid or zip may also be a list of spaces; a space is a map like that of an experiment.
`include` adds points beside the grid, on top of the plain settings; with `when` an entry
extends the points so far that match. `exclude` drops points, last of all:

    - evaluate:
        strategy: For
        grid: {cfg: [0, 1, 2], seed: [1, 2]}
        include:
          - {cfg: 5, seed: 1}
          - {when: {cfg: {above: 0}}, grid: {attn_temp: [0.5, 1]}}
        exclude:
          - {cfg: 2, seed: 2}

Without grid and zip, entries of `include` without `when` are the only points. A point
that occurs twice is run once.
)";

constexpr const char* kStrategies =
    R"(A strategy says how each block is inverted. It is written in one of these ways:

    - evaluate:
        grid:
          strategy:
            - For                        # token after token, exact
            - "[7-8-32-10]"              # block 7: 8 segments, 32 iterations; others Jacobi 10
            - {name: "[7-8-32-10]", guess_list: [0,0,0,0,0,1,1,0], label: guessed}
            - {num_GS_list: [8,1,1,1,1,1,1,1], max_jacobi_list: [16,5,5,5,5,5,5,5]}
            - SeJD                       # samplers of others: SeJD, STARFlow, STARFlow-16
            - Window-64                  # adaptive windows; Window-64-0.05 states the tolerance
            - auto                       # chosen by measurements: see docs/tuning.md; auto-0.01
            - {window: [64, 64, 64, 64, 64, 64, 64, 16], tolerance: 0.03, guess: up}
            - {stack: 7, segments: 8, iterations: 32, else: 10}             # [7-8-32-10]
            - {stack: 7, segments: [4, 8], iterations: [8, 16], else: 10}   # four strategies
            - product: {window: [16, 64], tolerance: [0.02, 0.05]}          # four as well
            - label: mine                # by blocks: see --help blocks
              blocks:
                7: {segments: 8, max_iterations: 32, guess: z, clamp: 3, stop: {published: 1.0e-6}}
                0/6: sequential
                else: {window: 64, tolerance: 0.02}

Lists are in sampling order (the last block first), block numbers are the checkpoint's.
Names and lists mean clamp 3 and the published stop; blocks have neither unless stated.
Names of your own:

    strategies:
      fast: "[7-8-4-4]"
    experiments:
      - evaluate: {strategy: fast}
)";

constexpr const char* kBlocks =
    R"(A block of a strategy is `sequential` or one of these maps:

    strategies:
      mine:
        blocks:
          7: {segments: 8, max_iterations: 32, guess: zero, clamp: 3, stop: {published: 1.0e-6}}
          5: {segment_length: 32, max_iterations: 32, stop: {relative_mse: 1.0e-3}}
          4: {window: 64, tolerance: 0.03, guess: linear, sweeps: 3, pattern: HF}
          else: {segments: 1, max_iterations: 63, stop: {max_abs: 0.5, scope: image}}

segments: 0: sequential; 1: Jacobi; more: GS-Jacobi; or segment_length: tokens a segment.
stop ends the iterations of a segment when their change is at most a threshold. Its norm is
published (the published code's), max_abs (largest change of a value), relative_mse (mean
square of the change over that of the tokens) or token_rms (largest rms change of a token).
scope: chunk (default): all images of a chunk stop together; image: each for itself.
guess: z or 0, zero or 1, or auto: of each block the one with the smaller initial guessing
metric (as igm_crm measures it) on real images, which are named beside the strategy:

    - evaluate:
        strategy: {name: "[7-8-32-10]", guess: auto}   # guess_list and blocks take auto too
        guess_images: data/afhq                        # a folder of real images
        guess_num_images: 1000

window: tokens an evaluation, behind a front of final tokens. The front moves on by those
that change by at most `tolerance`. guess: linear (default), up or z. sweeps: of the linear
model. pattern: evaluations, F full, H the conditional pass alone. `guess: linear` needs a
calibration of the checkpoint, which the first job makes for all others.
)";

constexpr const char* kModels = R"(models: a checkpoint under a name that experiments use.

    models:
      afhq:
        checkpoint: afhq_model_8_768_8_8_0.07.pth     # DATASET_model_P_C_K_L_EPS.pth
        published: "who publishes the file and where"
        image_size: 256
        classes: 3

All but `checkpoint` may be left out where the file tells it: its tensors tell everything
but noise_std, its name patch_size, channels, blocks, layers and noise_std. What is stated
must agree with the file; a contradiction is an error with both values. `weights: ema` chooses
from a file that holds several models. .pt and .safetensors files are read as well. Without the
file (--smoke, --dry-run) image_size and classes are needed. `random_weights: SEED` draws the
weights instead: timings need no file, only the shape or a file's name that tells it.
`trained_by: NAME` is the model that the experiment `train` with that `name` makes; what uses it
waits for the training. `weights: ema` beside it takes the averaged weights. Several models:

    - evaluate:
        strategy: For
        grid: {model: [m, other]}
)";

constexpr const char* kConditions =
    R"(A condition is a map of settings, all of which must hold. It stands in `exclude` and in
`when` of an entry of `include`.

    - evaluate:
        grid: {cfg: [0, 1, 2], seed: [1, 2, 3], strategy: [For, "[7-8-4-4]"]}
        exclude:
          - {cfg: 2, seed: [2, 3]}             # one value, or any of several
          - {cfg: {above: 0, max: 1}, seed: 3} # min, max, above, below
          - {strategy: {not: For}, cfg: 2}     # anything else
          - any: [{seed: 1, cfg: 1}, {seed: 2, cfg: 1}]
          - {cfg: 0, not: {seed: [1, 2]}}

Values are compared as settings: 1 and 1.0 are equal, strategies by what they do or by
what they are called. `null` is a setting that the point lacks. A condition that matches
nothing is warned of; a setting that the experiment lacks is an error. --only takes
conditions of one setting: --only 'cfg>=1' --only 'strategy=For,[7-8-4-4]'.
)";

constexpr const char* kPresets =
    R"(use: takes values from other files. FILE is looked for beside the file that names it, then
among the shipped presets; #key leads into its maps, `#key` alone into the same file.

    models:
      afhq: {use: "presets/paper.yaml#afhq.model"}
    experiments:
      - evaluate:
          use: presets/paper.yaml#afhq.settings
          model: afhq
          cfg: 3
          grid:
            strategy:
              - For
              - {use: "presets/paper.yaml#afhq.strategy"}
              - {use: "presets/neighbours.yaml#afhq"}

Alone, `{use: ...}` is the value there; in a list, the items of a list there. Beside other
keys, or at the top of a file, it adds the keys of a map, and keys stated beside it win;
only of models, strategies, defaults, run, grid and zip the maps of both are joined.
`use: [A, B]` takes both, A winning. Shipped: presets/paper.yaml, presets/neighbours.yaml.
)";

constexpr const char* kEnvironment =
    R"(${env:NAME} in a value is the environment variable NAME, ${env:NAME:-default} what to take
without it. Nothing else is evaluated, and keys are not. In braces quote it.

    - evaluate:
        strategy: For
        note: "run by ${env:USER:-nobody}"
        num_images: ${env:IMAGES:-64}

$${ is ${ itself.
)";

constexpr const char* kRun =
    R"(run: how jobs are run. None of it changes results or what counts as done.

    run:
      gpus: 1             # GPUs of a job on each of its nodes, a process each; 0: the CPU
      nodes: 1            # machines of a job; above 1 on a cluster only
      ranks: 1            # processes of a job on each of its nodes where gpus is 0
      jobs_per_gpu: 1     # untimed jobs that may share one
      workers: 1          # jobs at once on a machine without GPUs
      threads: 0          # CPU threads a process; 0: the cores divided among them
      retries: 2          # further attempts of a job that failed
      backoff: 30 s       # before the first of them, doubled for each one after it
      time_limit: 2 h     # of an attempt; none: no limit
      fail_fast: false    # stop the sweep at the first job that fails for good
      exclusive: true     # timed jobs have their device to themselves

`gpus: 1` takes the CPU where there is no GPU; a larger number is an error on a machine
with fewer. igm_crm, evaluate, fid_stats, bpd and convergence run in several processes,
with the same numbers; other experiments in one, whatever the `run:` at the top says.

Durations: a number with s, min, h or d; without a unit `backoff` is in seconds, and
`time_limit` asks for one. In an experiment it holds for that experiment (but `workers`):

    - evaluate:
        strategy: For
        run: {time_limit: 30 min}
)";

constexpr const char* kOverrides =
    R"(--set KEY=VALUE puts a value, in YAML, in the place of what the file says:

  --set cfg=2                       in every experiment that has a cfg, axes included
  --set 'cfg=[0, 1, 2]'             as an axis
  --set evaluate.num_images=100     in one experiment
  --set models.afhq.checkpoint=x.pth   --set run.retries=2   --set name=trial

--only CONDITION runs the points that match; several must all hold. Points without the
setting do not match.

  --only cfg=2   --only cfg=0,2   --only 'cfg>=1'   --only 'cfg!=1'
  --only 'strategy=[7-8-32-10]'   --only experiment=evaluate   --only model=afhq
)";

}  // namespace

const std::vector<HelpTopic>& help_topics() {
  static const std::vector<HelpTopic> topics = {
      {"sweeps", "Sweep files", kSweeps},
      {"grids", "Points: grid, zip, include, exclude", kGrids},
      {"strategies", "Strategies", kStrategies},
      {"blocks", "Blocks of a strategy: segments, stop, guess, window", kBlocks},
      {"models", "Models", kModels},
      {"conditions", "Conditions", kConditions},
      {"presets", "Presets and values of other files: use", kPresets},
      {"environment", "Environment variables", kEnvironment},
      {"run", "How jobs are run: run", kRun},
      {"overrides", "Overrides and selections: --set, --only", kOverrides}};
  return topics;
}

}  // namespace tarflow::sweep
