// cuDNN, cuBLAS and LibTorch's private operators have no stable interface. Only few files call
// them.
#include <gtest/gtest.h>

#include <optional>
#include <regex>
#include <set>
#include <string>

#include "tests/habits/source_files.h"

namespace tarflow::habits {
namespace {

const std::set<std::string> kMayCall = {
    "framework/kernels/adamw.cc",          "framework/kernels/attention.cc",
    "framework/kernels/convolution.cc",    "framework/kernels/cudnn_attention.cc",
    "framework/kernels/cudnn_attention.h", "framework/kernels/linear.cc"};

// The operator, function or header of such a library that a line names.
std::optional<std::string> library_name(const std::string& line) {
  static const std::regex name(R"(\b(at|torch)::(_ops::)?_[a-z]\w*|\bat::native::|\b_call_\w+|)"
                               R"(\b(cudnn|cublas|miopen)(Lt)?[A-Z_]\w*|<(cudnn|cublas)\w*\.h>|)"
                               R"(<ATen/(native|ops/_)\w*|<ATen/cudnn/)");
  const std::string code = code_of(line);
  std::smatch match;
  if (!std::regex_search(code, match, name)) return std::nullopt;
  return match.str();
}

TEST(LibraryOperators, AreCalledInFewFiles) {
  for (const auto& file :
       source_files({"framework", "experiments", "analysis"}, {".h", ".cc", ".cu", ".cuh"})) {
    if (kMayCall.contains(file.string())) continue;
    const auto lines = read_lines(file);
    for (size_t i = 0; i < lines.size(); ++i) {
      const auto name = library_name(lines[i]);
      EXPECT_FALSE(name) << file.string() << ":" << i + 1 << " names " << name.value_or("")
                         << "; call it in a file of framework/kernels that this test lists";
    }
  }
}

TEST(LibraryOperators, TheFilesThatMayCallThemDo) {
  for (const std::string& file : kMayCall) {
    bool calls = false;
    for (const std::string& line : read_lines(file)) calls = calls || library_name(line);
    EXPECT_TRUE(calls) << file << " names none of them: take it from the list";
  }
}

TEST(LibraryOperators, NamesAreSeen) {
  EXPECT_TRUE(library_name("  return at::cudnn_convolution_relu(x, w);"));
  EXPECT_TRUE(library_name("  at::_addmm_activation(bias, rows, weight);"));
  EXPECT_TRUE(library_name("  at::_foreach_copy_(to, from);"));
  EXPECT_TRUE(library_name("  at::native::relu(x);"));
  EXPECT_TRUE(library_name("  cublasLtMatmul(handle);"));
  EXPECT_TRUE(library_name("  cublasSgemm_v2(handle);"));
  EXPECT_TRUE(library_name("#include <cublasLt.h>"));
  EXPECT_TRUE(library_name("#include <cudnn.h>"));
  EXPECT_TRUE(library_name("#include <ATen/ops/_flash_attention_forward.h>"));
  EXPECT_FALSE(library_name("  at::addmm(bias, rows, weight);  // not at::_addmm_activation"));
  EXPECT_FALSE(library_name("  at::globalContext().setAllowTF32CuDNN(false);"));
  EXPECT_FALSE(library_name("#include <ATen/ops/empty.h>"));
}

}  // namespace
}  // namespace tarflow::habits
