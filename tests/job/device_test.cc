// CUDA_VISIBLE_DEVICES against the GPUs that there are, and an nvidia-smi that hangs.
#include "framework/job/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/core/error.h"
#include "tests/support/house.h"

namespace tarflow::job {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;

constexpr auto kTwo =
    "GPU 0: NVIDIA A800 (UUID: GPU-1a2b)\n"
    "  MIG 1g.5gb      Device  0: (UUID: MIG-77aa)\n"
    "  MIG 1g.5gb      Device  1: (UUID: MIG-77bb)\n"
    "GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-1c3d)\n";

GpuListing two() {
  GpuListing listing;
  listing.gpus = listed_gpus(kTwo);
  listing.count = listing.gpus.size();
  return listing;
}

std::string refusal(const char* named, const GpuListing& listing = two()) {
  try {
    visible_gpus(named, listing);
  } catch (const Error& failure) {
    return failure.what();
  }
  return "";
}

TEST(VisibleGpus, AListingIsReadWithItsParts) {
  const std::vector<ListedGpu> gpus = listed_gpus(kTwo);
  ASSERT_THAT(gpus, SizeIs(2));
  EXPECT_EQ(gpus[0].model, "NVIDIA A800");
  EXPECT_EQ(gpus[0].uuid, "GPU-1a2b");
  EXPECT_THAT(gpus[0].parts, ElementsAre("MIG-77aa", "MIG-77bb"));
  EXPECT_EQ(gpus[1].model, "NVIDIA A100-SXM4-40GB");
  EXPECT_THAT(listed_gpus("No devices were found\n"), IsEmpty());
}

TEST(VisibleGpus, AreAllWhereTheVariableIsNotSet) {
  EXPECT_THAT(visible_gpus(nullptr, two()).names, ElementsAre("0", "1"));
  EXPECT_THAT(visible_gpus(nullptr, {}).names, IsEmpty());
}

TEST(VisibleGpus, AreThoseThatAreNamed) {
  EXPECT_THAT(visible_gpus("1", two()).names, ElementsAre("1"));
  EXPECT_THAT(visible_gpus(" 1 , 0 ", two()).names, ElementsAre("1", "0"));
  EXPECT_THAT(visible_gpus("GPU-1a,GPU-1c3d", two()).names, ElementsAre("GPU-1a", "GPU-1c3d"));
  EXPECT_THAT(visible_gpus("MIG-77bb,MIG-GPU-1c3d/1/0", two()).names,
              ElementsAre("MIG-77bb", "MIG-GPU-1c3d/1/0"));
  EXPECT_THAT(visible_gpus("1", two()).notes, IsEmpty());
}

TEST(VisibleGpus, ANameThatIsNoneIsRefusedSoThatNoJobGoesToTheCpu) {
  for (const char* named : {"0,,1", "0,-1,1", "-1,0", "0,", ",0", ",", "0,x", "0 1", "0;1", "0,0",
                            "GPU-", "0.0", "+1", "all", "0,GPU-1a,GPU-1a", "NoDevFiles,0"}) {
    EXPECT_THAT(refusal(named), HasSubstr(fmt::format("CUDA_VISIBLE_DEVICES is `{}`", named)));
    EXPECT_NE(refusal(named, {}), "") << named << ", without a listing";
  }
  EXPECT_THAT(refusal("0,,1"), HasSubstr("entry 2, ``, is empty"));
  EXPECT_THAT(refusal("0,-1,1"), HasSubstr("entry 2, `-1`, is no number"));
  EXPECT_THAT(refusal("0,0"), HasSubstr("twice"));
}

TEST(VisibleGpus, ThoseThatAreNotThereAreNamed) {
  EXPECT_THAT(refusal("0,7"), AllOf(HasSubstr("entry 2, `7`, is not there"), HasSubstr("0 to 1")));
  EXPECT_THAT(refusal("99999999999999999999"), HasSubstr("not there"));
  EXPECT_THAT(refusal("GPU-9"), HasSubstr("not there"));
  EXPECT_THAT(refusal("GPU-1"), HasSubstr("several"));
  EXPECT_THAT(refusal("MIG-99"), HasSubstr("not there"));
  const VisibleGpus unseen = visible_gpus("0,7", {});
  EXPECT_THAT(unseen.names, ElementsAre("0", "7"));
  EXPECT_THAT(unseen.notes, ElementsAre(HasSubstr("`0,7`, but no NVIDIA GPU is seen")));
}

TEST(VisibleGpus, HiddenOnesAreSaid) {
  for (const char* named : {"", " ", "-1", "NoDevFiles"}) {
    EXPECT_THAT(visible_gpus(named, two()).names, IsEmpty()) << named;
    EXPECT_THAT(visible_gpus(named, two()).notes, ElementsAre(HasSubstr("jobs run on the CPU")));
    EXPECT_THAT(visible_gpus(named, {}).notes, IsEmpty()) << "there are none to hide";
  }
}

TEST(GpuListing, AnNvidiaSmiThatHangsEndsAndIsSaid) {
  const Scratch devices;
  for (const char* name : {"nvidiactl", "nvidia0", "nvidia1", "nvidia-uvm"}) {
    write_file(devices / name, "");
  }
  const GpuListing listing =
      list_gpus({"sh", "-c", "sleep 600 & wait"}, devices.path(), std::chrono::milliseconds(200));
  EXPECT_EQ(listing.count, 2u);
  EXPECT_THAT(listing.trouble, HasSubstr("did not end in time"));
  const VisibleGpus visible = visible_gpus(nullptr, listing);
  EXPECT_THAT(visible.names, ElementsAre("0", "1")) << "not the CPU";
  EXPECT_THAT(visible.notes, ElementsAre(listing.trouble));
  EXPECT_THAT(refusal("2", listing), HasSubstr("not there"));
  EXPECT_EQ(refusal("GPU-7", listing), "") << "nobody can tell";
}

TEST(GpuListing, IsAskedForOnlyWhereThereIsADriver) {
  const Scratch devices;
  const GpuListing none = list_gpus({"/no/such/program"}, devices.path(), std::chrono::seconds(60));
  EXPECT_EQ(none.count, 0u);
  EXPECT_EQ(none.trouble, "");
  write_file(devices / "nvidiactl", "");
  write_file(devices / "nvidia0", "");
  const GpuListing failed =
      list_gpus({"/no/such/program"}, devices.path(), std::chrono::seconds(60));
  EXPECT_EQ(failed.count, 1u);
  EXPECT_THAT(failed.trouble, HasSubstr("no such program"));
  const GpuListing told = list_gpus({"printf", kTwo}, devices.path(), std::chrono::seconds(60));
  EXPECT_EQ(told.count, 2u);
  EXPECT_EQ(told.trouble, "");
}

TEST(Device, IsOfAModelWhoseWordsItHas) {
  for (const auto& [used, stated] : std::vector<std::pair<std::string, std::string>>{
           {"NVIDIA H200", "NVIDIA H200"},
           {"NVIDIA H200", "h200"},
           {"NVIDIA H200 MIG 1g.18gb", "NVIDIA H200"},
           {"NVIDIA A100-SXM4-80GB", "A100"},
           {"AMD EPYC 7742 64-Core Processor, 8 threads", "AMD EPYC 7742 64-Core Processor"},
           {"", "NVIDIA H200"}}) {
    EXPECT_TRUE(is_of_model(used, stated)) << used << " of " << stated;
  }
  for (const auto& [used, stated] : std::vector<std::pair<std::string, std::string>>{
           {"NVIDIA A100-SXM4-80GB", "NVIDIA H200"},
           {"NVIDIA A100-SXM4-80GB", "NVIDIA A100-SXM4-40GB"},
           {"NVIDIA GH200 480GB", "H200"},
           {"NVIDIA H200", "NVIDIA H200 NVL"},
           {"CUDA device", "NVIDIA H200"}}) {
    EXPECT_FALSE(is_of_model(used, stated)) << used << " of " << stated;
  }
}

}  // namespace
}  // namespace tarflow::job
