// A visitor of a std::variant made of lambdas, one an alternative: an alternative that none of them
// takes does not compile.
#pragma once

namespace tarflow {

template <typename... Lambdas>
struct Overloaded : Lambdas... {
  using Lambdas::operator()...;
};

// Clang before 17 does not deduce this for an aggregate.
template <typename... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

}  // namespace tarflow
