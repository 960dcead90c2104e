// Which tensors of a file are the model: below prefixes and wrappers, one of several.
#include <functional>
#include <random>

#include "tests/checkpoint/small_state.h"

namespace tarflow::checkpoint {
namespace {

using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::small_shape;

using Rename = std::function<std::string(const std::string&)>;

class FindState : public ::testing::Test {
 protected:
  void add(const Rename& rename, const ModelShape& shape = small_shape()) {
    for (ExpectedTensor tensor : expected_tensors(shape)) {
      tensor.name = rename(tensor.name);
      tensors_.push_back(tensor);
    }
  }
  void add(const std::string& prefix, const ModelShape& shape = small_shape()) {
    add([&](const std::string& name) { return prefix + name; }, shape);
  }
  Checkpoint file(const std::string& name = "a.pth") {
    return testing::write_state(folder_ / name, tensors_);
  }

  testing::TemporaryFolder folder_;
  std::vector<ExpectedTensor> tensors_;
};

TEST_F(FindState, WrappersMayStandAnywhereInAName) {
  for (const char* prefix :
       {"module.", "_orig_mod.", "module._orig_mod.", "_fsdp_wrapped_module.module.module.",
        "model.", "model.module.", "module.model.", "state_dict._orig_mod.model."}) {
    tensors_.clear();
    add(prefix);
    const TarflowState state = as_tarflow(file());
    EXPECT_EQ(state.shape, small_shape()) << prefix;
    EXPECT_EQ(state.weights, "") << prefix;
  }
  tensors_.clear();
  add([](const std::string& name) {
    std::string wrapped = name;
    if (const size_t at = name.find("attention."); at != std::string::npos)
      wrapped.insert(at, "_checkpoint_wrapped_module._orig_mod.");
    return "_fsdp_wrapped_module." + wrapped;
  });
  EXPECT_EQ(as_tarflow(file()).shape, small_shape());
}

TEST_F(FindState, EachNameMayHaveWrappersOfItsOwn) {
  std::mt19937 random(1);
  add([&](const std::string& name) {
    const char* wrappers[] = {"module", "_orig_mod", "_fsdp_wrapped_module",
                              "_checkpoint_wrapped_module", "_forward_module"};
    std::string wrapped;
    size_t begin = 0;
    while (begin <= name.size()) {
      while (random() % 3 == 0) wrapped += std::string(wrappers[random() % 5]) + ".";
      const size_t end = std::min(name.find('.', begin), name.size());
      wrapped += name.substr(begin, end - begin) + (end < name.size() ? "." : "");
      begin = end + 1;
    }
    return wrapped;
  });
  EXPECT_EQ(as_tarflow(file()).shape, small_shape());
}

TEST_F(FindState, TwoTensorsOfOneNameAreBothNamed) {
  add("");
  tensors_.push_back({"module.var", {16, 12}});
  EXPECT_THAT(error_of([&] { find_state(file()); }),
              HasSubstr("the tensors var and module.var are both var"));
}

TEST_F(FindState, WhatStandsBesideAModelIsSkipped) {
  add("module.");
  tensors_.push_back({"n_averaged", {}});  // torch.optim.swa_utils.AveragedModel
  tensors_.push_back({"optimizer.state.0.exp_avg", {4}});
  tensors_.push_back({"0", {4}});
  EXPECT_EQ(as_tarflow(file()).shape, small_shape());
  tensors_.clear();
  add("");
  tensors_.push_back({"1", {4}});  // {1: ...} in the same dict
  EXPECT_EQ(as_tarflow(file()).shape, small_shape());
}

TEST_F(FindState, SeveralModelsAreListedAndOneIsChosen) {
  ModelShape other = small_shape();
  other.layers = 2;
  add("model.module.");
  add("ema.", other);
  tensors_.push_back({"optimizer.state.0.exp_avg", {4}});
  const Checkpoint both = file();
  const std::string message = error_of([&] { find_state(both); });
  EXPECT_THAT(message, AllOf(HasSubstr("holds 2 models"), HasSubstr("`model` (39 tensors, 8px P2"),
                             HasSubstr("`ema` (63 tensors, 8px P2 C64 K2 L2"),
                             HasSubstr("`weights: model` or `weights: ema`")));
  EXPECT_EQ(as_tarflow(both, "model").shape, small_shape());
  const TarflowState ema = as_tarflow(both, "ema");
  EXPECT_EQ(ema.shape, other);
  EXPECT_EQ(ema.weights, "ema");
  EXPECT_THAT(error_of([&] { find_state(both, "emma"); }),
              AllOf(HasSubstr("`weights: emma`"), HasSubstr("`weights: ema`")));
  EXPECT_THAT(error_of([&] { find_state(both, "optimizer"); }), Not(HasSubstr("`optimizer` (")));
}

TEST_F(FindState, PartsOfALongerNameChooseWhereTheyNameOne) {
  add("state_dict.model.");
  add("state_dict.ema.module.");
  const Checkpoint both = file();
  EXPECT_EQ(find_state(both, "ema").weights, "state_dict.ema");
  EXPECT_EQ(find_state(both, "state_dict.ema").weights, "state_dict.ema");
  EXPECT_EQ(find_state(both, "state_dict.ema.module").weights, "state_dict.ema");
  EXPECT_THAT(error_of([&] { find_state(both, "state_dict"); }), HasSubstr("does not name one"));
}

TEST_F(FindState, AModelWithoutAPrefixIsCalledRoot) {
  add("");
  add("model_ema.");
  const Checkpoint both = file();
  EXPECT_EQ(as_tarflow(both, "root").shape, small_shape());
  EXPECT_EQ(as_tarflow(both, "model_ema").weights, "model_ema");
  EXPECT_THAT(error_of([&] { find_state(both); }), HasSubstr("`root` (39 tensors"));
}

TEST_F(FindState, TheOnlyModelMayBeNamed) {
  add("ema.");
  EXPECT_EQ(as_tarflow(file(), "ema").weights, "");
  EXPECT_THAT(error_of([&] { find_state(file(), "model"); }), HasSubstr("`ema` (39 tensors"));
}

}  // namespace
}  // namespace tarflow::checkpoint
