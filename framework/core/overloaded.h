// A visitor of a std::variant made of lambdas, one an alternative: an alternative that none of them
// takes does not compile.
#pragma once

namespace tarflow {

template <typename... Lambdas>
struct Overloaded : Lambdas... {
  using Lambdas::operator()...;
};

}  // namespace tarflow
