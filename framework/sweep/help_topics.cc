#include "framework/sweep/help_topics.h"

namespace tarflow::sweep {
namespace {

constexpr const char* kSweeps =
    R"(A sweep file says what to run. Its keys: name, models, strategies, defaults, run,
experiments, use. Unknown keys, repeated keys and values out of range are errors with
their line. Nothing runs then.

    models:
      m: {checkpoint: a_model_4_128_8_2_0.05.pth, image_size: 32, classes: 10}
    defaults: {model: m}
    experiments:
      - evaluate:
          num_images: 500
          grid:
            strategy: [For, "[7-8-32-10]"]
            cfg: [0, 1]

name: name of the results, results/NAME.h5. Default: the name of the sweep file.
defaults: settings for every experiment that has them. Settings of an experiment win.
A relative path is searched in this order: the folder of the file that names it; models/
and data/ of the working folder, of that file's folder and of the folder above it; the
working folder; the folder above that file's folder. YAML anchors and merge keys (<<) work.
)";

constexpr const char* kGrids =
    R"(Every combination under `grid` is a point; the last key varies fastest. Lists under `zip`
are taken in parallel and have the same length. Both can be combined and nested:

    - evaluate:
        strategy: For
        zip: {cfg: [0, 1, 2], attn_temp: [1, 0.5, 0.3]}
        grid:
          seed: [1, 2]
          zip: {num_images: [100, 1000], chunk: [50, 64]}

A grid or zip may also be a list of spaces; a space is a map like that of an experiment.
`include` adds points to those of the grid, with the plain settings. An entry with `when`
instead extends the earlier points that match. `exclude` drops points, after all else:

    - evaluate:
        strategy: For
        grid: {cfg: [0, 1, 2], seed: [1, 2]}
        include:
          - {cfg: 5, seed: 1}
          - {when: {cfg: {above: 0}}, grid: {attn_temp: [0.5, 1]}}
        exclude:
          - {cfg: 2, seed: 2}

Without grid and zip, the entries of `include` without `when` are the only points. A
point that occurs twice runs once.
)";

constexpr const char* kStrategies =
    R"(A strategy says how each block is inverted. It has one of these forms:

    - evaluate:
        grid:
          strategy:
            - For                        # token after token, exact
            - "[7-8-32-10]"              # block 7: 8 segments, 32 iterations; others Jacobi 10
            - Jacobi-16                  # 16 Jacobi iterations in every block
            - {name: "[7-8-32-10]", guess_list: [0,0,0,0,0,1,1,0], label: guessed}
            - {num_GS_list: [8,1,1,1,1,1,1,1], max_jacobi_list: [16,5,5,5,5,5,5,5]}
            - SeJD                       # samplers of others: SeJD, STARFlow, STARFlow-16
            - Window-64                  # adaptive windows; Window-64-0.05 states the tolerance
            - auto                       # chosen by measurements: see docs/tuning.md; auto-0.01
            - {window: [64, 64, 64, 64, 64, 64, 64, 16], tolerance: 0.03, guess: up}
            - {stack: 7, segments: 2, iterations: 16, else: 10}             # [7-2-16-10]
            - {stack: 7, segments: [4, 8], iterations: [8, 16], else: 10}   # four strategies
            - product: {window: [16, 64], tolerance: [0.02, 0.05]}          # four as well
            - label: mine                # by blocks: see --help blocks
              blocks:
                7: {segments: 8, max_iterations: 32, guess: z, clamp: 3, stop: {published: 1.0e-6}}
                0/6: sequential
                else: {window: 64, tolerance: 0.02}

Lists are in sampling order (the last block first). Block numbers are those of the
checkpoint. Names and lists have clamp 3 and the published stop; blocks have neither
unless you state them. Names of your own:

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

segments: 0: sequential; 1: Jacobi; more: GS-Jacobi. Or segment_length: tokens per segment.
stop: the iterations of a segment end when the norm of their change is at most a threshold.
Norms: published (that of the published code), max_abs (largest change of a value),
relative_mse (mean square of the change / mean square of the tokens), token_rms (largest
RMS change of a token). scope: chunk (default): all images sampled at once stop together;
if memory divides a chunk, each part stops for itself. scope: image: each image stops for
itself. guess: z or 0, zero or 1, or auto: for each block the guess with the smaller initial
guessing metric (see igm_crm) on real images. State the images beside the strategy:

    - evaluate:
        strategy: {name: "[7-8-32-10]", guess: auto}   # guess_list and blocks take auto too
        guess_images: data/afhq                        # a folder of real images
        guess_num_images: 1000

window: tokens per evaluation, after the front of final tokens. The front moves over tokens
that change by at most `tolerance`. guess: linear (default), up or z. sweeps: iterations of
the linear model. pattern: evaluations, F full, H only the conditional pass. `guess: linear`
needs a calibration of the checkpoint; the first job makes it for all others.
)";

constexpr const char* kModels = R"(models: a checkpoint under a name that experiments use.

    models:
      afhq:
        checkpoint: afhq_model_8_768_8_8_0.07.pth     # DATASET_model_P_C_K_L_EPS.pth
        published: "who publishes the file and where"
        image_size: 256
        classes: 3

Only `checkpoint` is required. The tensors of the file hold everything except noise_std; its
name holds patch_size, channels, blocks, layers and noise_std. Values that you state must agree
with the file; a contradiction is an error with both values. `weights: ema` chooses from a file
with several models. .pt and .safetensors files are read too. If the file is absent (--smoke,
plan), image_size and classes are required. `random_weights: SEED` draws random weights, for
timings: it needs no file, only the shape or a file name that states it. `trained_by: NAME` is
the model of the experiment `train` with that `name`; points that use it wait for the training.
`weights: ema` beside it takes the averaged weights. Several models:

    - evaluate:
        strategy: For
        grid: {model: [m, other]}
)";

constexpr const char* kConditions =
    R"(A condition is a map of settings. All of them must hold. Conditions are used in `exclude`
and in `when` of an entry of `include`.

    - evaluate:
        grid: {cfg: [0, 1, 2], seed: [1, 2, 3], strategy: [For, "[7-8-4-4]"]}
        exclude:
          - {cfg: 2, seed: [2, 3]}             # one value, or any of several
          - {cfg: {above: 0, max: 1}, seed: 3} # min, max, above, below
          - {strategy: {not: For}, cfg: 2}     # anything else
          - any: [{seed: 1, cfg: 1}, {seed: 2, cfg: 1}]
          - {cfg: 0, not: {seed: [1, 2]}}

Numbers are compared by value: 1 and 1.0 are equal. Strategies are compared by content or
name. `null` matches a setting that the point does not have. A condition that matches nothing
gives a warning. A setting that the experiment does not have is an error. --only takes
conditions on one setting: --only 'cfg>=1' --only 'strategy=For,[7-8-4-4]'.
)";

constexpr const char* kPresets =
    R"(use: takes values from other files. FILE is searched in the folder of the file that names
it, then among the shipped presets. #key points into its maps; `#key` alone into the same file.

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

Alone, `{use: ...}` is the value there; in a list, it is the items of the list there. Beside
other keys, or at the top of a file, it adds the keys of a map, and keys beside it win. Only the
maps models, strategies, defaults, run, grid and zip are merged. `use: [A, B]` takes both; A
wins. Shipped: presets/paper.yaml, presets/neighbours.yaml.
)";

constexpr const char* kEnvironment =
    R"(${env:NAME} in a value is the environment variable NAME. ${env:NAME:-default} has a default.
Nothing else is evaluated, and nothing in keys. Quote it inside braces.

    - evaluate:
        strategy: For
        seed: ${env:SEED:-0}
        num_images: ${env:IMAGES:-64}

$${ is a literal ${.
)";

constexpr const char* kRun =
    R"(run: how jobs run. It changes neither results nor which points are done.

    run:
      gpus: 1             # GPUs per job on each of its nodes, one process per GPU; 0: the CPU
      nodes: 1            # machines per job; more than 1 on a cluster only
      ranks: 1            # processes per job on each of its nodes if gpus is 0
      jobs_per_gpu: 1     # untimed jobs that may share a GPU
      workers: 1          # parallel jobs on a machine without GPUs
      threads: 0          # CPU threads per process; 0: the cores divided among the processes
      retries: 2          # further attempts after a job failed
      backoff: 30 s       # pause before the first further attempt, doubled before each next one
      time_limit: 2 h     # of an attempt; none: no limit
      fail_fast: false    # stop the sweep when a job has failed for good
      exclusive: true     # timed jobs have their device to themselves
      merge_limit: 1 GB   # of the arrays in results/NAME.h5; large ones beyond are links

`gpus: 1` uses the CPU on a machine without GPUs. A larger number is an error on a machine with
fewer GPUs. igm_crm, evaluate, fid_stats, bpd and convergence use several processes, with the
same numbers. Other experiments always use one process and ignore gpus, nodes and ranks of the
top-level `run:`.

A duration is a number with s, min, h or d. `backoff` without a unit is in seconds; `time_limit`
without a unit is an error. `run:` in an experiment applies to that experiment (except `workers`
and `merge_limit`):

    - evaluate:
        strategy: For
        run: {time_limit: 30 min}
)";

constexpr const char* kOverrides =
    R"(--set KEY=VALUE replaces a value of the file. VALUE is YAML:

  --set cfg=2                       in every experiment that has cfg, also in grids
  --set 'cfg=[0, 1, 2]'             a list of values
  --set evaluate.num_images=100     in one experiment
  --set models.afhq.checkpoint=x.pth   --set run.retries=2   --set name=trial

--only CONDITION chooses the points that match, for run, plan, status, watch, log and cancel.
Several conditions must all hold. Points without the setting do not match.

  --only cfg=2   --only cfg=0,2   --only 'cfg>=1'   --only 'cfg!=1'
  --only 'strategy=[7-8-32-10]'   --only experiment=evaluate   --only model=afhq
  --only segments=4   --only window=64      numbers of strategies: also stack, iterations,
  else and tolerance
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
