#include "experiments/worker/dealing.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

namespace tarflow::experiments {
namespace {

constexpr double kExchangeSeconds = 10;       // of work between two exchanges
constexpr double kExchangeBytes = 256 << 20;  // that come to rank 0 at once, where that allows
// What an exchange holds besides pieces, whose names begin with a number.
constexpr const char *kStopName = "asked to stop", *kMadeName = "made";

// Of the piece made in a round: "3 features" is what the piece calls features.
std::string round_name(int64_t round, const std::string& name) {
  return fmt::format("{} {}", round, name);
}

int64_t bytes_of(const dist::Tensors& tensors) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

// What a rank sends under names that begin so. Those of one piece lie side by side.
Piece taken(dist::Tensors& from, const std::string& prefix) {
  Piece piece;
  for (auto entry = from.lower_bound(prefix);
       entry != from.end() && entry->first.starts_with(prefix); entry = from.erase(entry))
    piece.emplace(entry->first.substr(prefix.size()), std::move(entry->second));
  return piece;
}

}  // namespace

Dealing::Dealing(dist::Communicator& comm, int64_t pieces, int64_t first)
    : comm_(comm), pieces_(pieces), first_(first), ranks_(comm.size()) {}

int64_t Dealing::first_mine() const {
  return first_ + (comm_.rank() - first_ % ranks_ + ranks_) % ranks_;
}

bool Dealing::run(const std::function<Piece(int64_t)>& work,
                  const std::function<void(int64_t, const Piece&)>& add,
                  const std::function<bool()>& stop_requested,
                  const std::function<void()>& settle) {
  using Clock = std::chrono::steady_clock;
  if (ranks_ == 1) {
    for (int64_t index = first_; index < pieces_; ++index) {
      add(index, work(index));
      if (index + 1 < pieces_ && stop_requested()) return false;
    }
    return true;
  }
  int64_t mine = first_mine(), rounds = 1;
  for (int64_t begin = first_; begin < pieces_;) {
    const Clock::time_point start = Clock::now();
    const int64_t end = std::min(pieces_, begin + rounds * ranks_);
    dist::Tensors own;
    int64_t made = 0;
    for (; mine < end && !comm_.called_together(); mine += ranks_, ++made) {
      for (const auto& [name, tensor] : work(mine))
        own.emplace(round_name((mine - begin) / ranks_, name), tensor);
      if (stop_requested()) comm_.call_together();
    }
    if (settle) settle();
    own[kMadeName] = at::full({}, made, at::kLong);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    own[kStopName] = at::full({}, stop_requested() ? 1 : 0, at::kByte);
    const Agreement agreed = exchange(std::move(own), begin, rounds, seconds, add);
    begin = end;
    if (agreed.stop) return agreed.whole && begin >= pieces_;
    rounds = agreed.rounds;
  }
  return true;
}

Dealing::Agreement Dealing::exchange(dist::Tensors own, int64_t first, int64_t rounds,
                                     double seconds,
                                     const std::function<void(int64_t, const Piece&)>& add) {
  comm_.barrier();
  const auto start = std::chrono::steady_clock::now();
  std::vector<dist::Tensors> all = comm_.gather_tensors(own);
  exchange_seconds_ +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const int64_t end = std::min(pieces_, first + rounds * ranks_);
  int64_t largest = 0, made = 0;
  std::vector<int64_t> counts;
  bool stop = false;
  for (const dist::Tensors& one : all) {
    stop = stop || one.at(kStopName).item<uint8_t>() != 0;
    counts.push_back(one.at(kMadeName).item<int64_t>());
    made += counts.back();
    largest = std::max(largest, bytes_of(one));
  }
  // The others go on while rank 0 adds.
  const Agreement agreed = shared(
      {comm_.first() ? next_rounds(seconds, rounds, largest) : 0, stop, made == end - first});
  if (!comm_.first()) return agreed;
  for (int64_t index = first; index < end; ++index) {
    const int64_t round = (index - first) / ranks_;
    const size_t rank = static_cast<size_t>(index % ranks_);
    // Ranks that were called together have not all come equally far.
    if (round >= counts[rank]) break;
    add(index, taken(all[rank], round_name(round, "")));
  }
  return agreed;
}

Dealing::Agreement Dealing::shared(const Agreement& agreement) {
  const std::string text = comm_.broadcast(fmt::format(
      "{}{}{}", agreement.stop ? 's' : '-', agreement.whole ? 'w' : '-', agreement.rounds));
  return {std::stoll(text.substr(2)), text[0] == 's', text[1] == 'w'};
}

int64_t Dealing::next_rounds(double seconds, int64_t rounds, int64_t bytes) const {
  const double a_round = std::max(seconds, 1e-3) / static_cast<double>(rounds);
  const double room = kExchangeBytes / static_cast<double>(std::max<int64_t>(bytes, 1)) *
                      static_cast<double>(rounds) / static_cast<double>(ranks_);
  return std::max<int64_t>(1, static_cast<int64_t>(std::min(kExchangeSeconds / a_round, room)));
}

}  // namespace tarflow::experiments
