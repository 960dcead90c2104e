// GS-Jacobi (method.md section 2): one segment after another. Each segment is solved by Jacobi over
// the keys and values of the finished prefix. The cache keeps the keys and values of the inputs of
// a segment's last evaluation.
#include "framework/sampling/solvers/iterations.h"

namespace tarflow {
namespace {

class SegmentsSolver final : public Solver {
 public:
  SegmentsSolver(const Segments& plan, const Inversion& inversion)
      : count_(plan, inversion), ranges_(segments_of(plan, inversion.tokens())) {
    start(0);
  }

  std::optional<Step> next() override {
    if (segment_ < ranges_.size() && count_.ended()) start(segment_ + 1);
    if (segment_ >= ranges_.size()) return std::nullopt;
    const Segment& range = ranges_[segment_];
    return count_.step(count_.skip(count_.submitted(), range.last - range.first));
  }

  void update(Iterate& iterate, const Outputs& outputs, const Step& step) override {
    kernels::guided_update(count_.update(iterate, outputs, step));
  }

  std::vector<int64_t> key() const override { return count_.key(); }
  std::vector<int> iterations() const override { return count_.iterations(); }
  bool measures_change() const override { return true; }
  std::vector<double> residuals() const override { return count_.residuals(); }

 private:
  void start(size_t segment) {
    segment_ = segment;
    if (segment_ >= ranges_.size()) return;
    const Segment& range = ranges_[segment_];
    count_.start(static_cast<int>(segment_), range, {range.first + 1, range.last + 1});
  }

  IterationCount count_;
  const std::vector<Segment> ranges_;
  size_t segment_ = 0;
};

}  // namespace

std::unique_ptr<Solver> make_solver(const Segments& plan, const Inversion& inversion) {
  return std::make_unique<SegmentsSolver>(plan, inversion);
}

}  // namespace tarflow
