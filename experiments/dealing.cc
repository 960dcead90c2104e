#include "experiments/dealing.h"

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
constexpr const char* kStopName = "asked to stop";

// Of the piece made in a round: "3 features" is what the piece calls features.
std::string round_name(int64_t round, const std::string& name) {
  return fmt::format("{} {}", round, name);
}

int64_t bytes_of(const dist::Tensors& tensors) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

}  // namespace

Dealing::Dealing(dist::Communicator& comm, int64_t pieces, int64_t first)
    : comm_(comm), pieces_(pieces), first_(first), ranks_(comm.size()) {}

int64_t Dealing::first_mine() const {
  return first_ + (comm_.rank() - first_ % ranks_ + ranks_) % ranks_;
}

bool Dealing::run(const std::function<Piece(int64_t)>& work,
                  const std::function<void(int64_t, const Piece&)>& add,
                  const std::function<bool()>& stop_requested) {
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
    for (; mine < end; mine += ranks_) {
      for (const auto& [name, tensor] : work(mine))
        own.emplace(round_name((mine - begin) / ranks_, name), tensor);
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const int64_t next = exchange(std::move(own), begin, rounds, seconds, stop_requested(), add);
    begin = end;
    if (next == 0 && begin < pieces_) return false;
    rounds = std::max<int64_t>(next, 1);
  }
  return true;
}

int64_t Dealing::exchange(dist::Tensors own, int64_t first, int64_t rounds, double seconds,
                          bool stop, const std::function<void(int64_t, const Piece&)>& add) {
  own[kStopName] = at::full({}, stop ? 1 : 0, at::kByte);
  std::vector<dist::Tensors> all = comm_.gather_tensors(own);
  int64_t largest = 0;
  for (dist::Tensors& one : all) {
    stop = stop || one.at(kStopName).item<uint8_t>() != 0;
    one.erase(kStopName);
    largest = std::max(largest, bytes_of(one));
  }
  // The others go on while rank 0 adds.
  const int64_t next =
      std::stoll(comm_.broadcast(std::to_string(stop ? 0 : next_rounds(seconds, rounds, largest))));
  if (!comm_.first()) return next;
  for (int64_t index = first; index < std::min(pieces_, first + rounds * ranks_); ++index) {
    // Names of one piece lie side by side, since their beginning is the same.
    const std::string prefix = round_name((index - first) / ranks_, "");
    dist::Tensors& from = all[static_cast<size_t>(index % ranks_)];
    Piece piece;
    for (auto entry = from.lower_bound(prefix);
         entry != from.end() && entry->first.starts_with(prefix); entry = from.erase(entry))
      piece.emplace(entry->first.substr(prefix.size()), std::move(entry->second));
    add(index, piece);
  }
  return next;
}

int64_t Dealing::next_rounds(double seconds, int64_t rounds, int64_t bytes) const {
  const double a_round = std::max(seconds, 1e-3) / static_cast<double>(rounds);
  const double room = kExchangeBytes / static_cast<double>(std::max<int64_t>(bytes, 1)) *
                      static_cast<double>(rounds) / static_cast<double>(ranks_);
  return std::max<int64_t>(1, static_cast<int64_t>(std::min(kExchangeSeconds / a_round, room)));
}

}  // namespace tarflow::experiments
