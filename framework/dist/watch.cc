#include "framework/dist/watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <exception>

#include "framework/core/json.h"

namespace tarflow::dist {
namespace {

constexpr const char* kSilentRepair =
    "its host may be down, its process stopped or its memory full; --silence-limit sets how long "
    "silence is borne";

}  // namespace

std::string rank_name(int rank, const std::string& host) {
  return fmt::format("rank {} (host {})", rank, host);
}

std::string failed_key(const std::string& prefix) { return prefix + "failed"; }

std::string failure_text(const Failure& failure) {
  return Json{{"rank", failure.rank}, {"what", failure.what}, {"repair", failure.repair}}.dump(
      -1, ' ', false, Json::error_handler_t::replace);
}

struct Watch::State {
  State(StoreLink link_, std::string prefix_, int rank_, std::vector<std::string> hosts_,
        std::chrono::milliseconds silence_)
      : link(std::move(link_)),
        prefix(std::move(prefix_)),
        rank(rank_),
        hosts(std::move(hosts_)),
        silence(silence_),
        interval(std::clamp(silence_ / 8, std::chrono::milliseconds(20),
                            std::chrono::milliseconds(1000))),
        beats(hosts.size(), 0),
        seen(hosts.size(), Clock::now()) {}

  // Of the thread alone.
  StoreLink link;
  const std::string prefix;
  const int rank;
  const std::vector<std::string> hosts;
  const std::chrono::milliseconds silence, interval;
  std::vector<int64_t> beats;           // by rank, the last that was seen
  std::vector<Clock::time_point> seen;  // and when

  // Shared.
  mutable std::mutex mutex;
  std::condition_variable changed;
  bool stop = false, ends_expected = false, finished = false;
  bool call = false, called = false;
  std::optional<Failure> failure;
  Clock::time_point answered = Clock::now();  // the store, last
  Clock::time_point asked{};                  // for a failure, last

  std::string beat_key(int other) const { return fmt::format("{}beat/{}", prefix, other); }

  void fail(Failure found) {
    const std::lock_guard lock(mutex);
    if (!failure && !ends_expected) failure = std::move(found);
  }

  std::string call_key() const { return prefix + "called"; }

  void beat() {
    link.add(beat_key(rank), 1);
    std::unique_lock lock(mutex);
    if (called) return;
    const bool calling = call;
    lock.unlock();
    if (calling) link.set(call_key(), "");
    const bool now = calling || link.has(call_key());
    lock.lock();
    called = now;
  }

  // Everyone's time starts anew: this process, or all of them, had been stopped.
  void forgive() { std::fill(seen.begin(), seen.end(), Clock::now()); }

  void look_at(int other) {
    const int64_t now = link.add(beat_key(other), 0);
    const size_t i = static_cast<size_t>(other);
    if (now != beats[i]) {
      beats[i] = now;
      seen[i] = Clock::now();
      return;
    }
    const auto silent = Clock::now() - seen[i];
    if (silent < silence) return;
    Failure found{other,
                  fmt::format("{} has been silent for {:.0f} s", rank_name(other, hosts[i]),
                              std::chrono::duration<double>(silent).count()),
                  kSilentRepair};
    if (rank == 0) {
      link.set(failed_key(prefix), failure_text(found));
    }
    fail(std::move(found));
  }

  void look() {
    if (link.has(failed_key(prefix))) {
      const Json told = Json::parse(link.get(failed_key(prefix)));
      fail({told.at("rank").get<int>(), told.at("what").get<std::string>(),
            told.at("repair").get<std::string>()});
    }
    for (int other = 0; other < static_cast<int>(hosts.size()); ++other) {
      if (other != rank && (rank == 0 || other == 0)) look_at(other);
    }
  }

  void run() {
    for (Clock::time_point last = Clock::now();;) {
      try {
        beat();
        if (Clock::now() - last > silence / 2) forgive();
        last = Clock::now();
        look();
      } catch (const std::exception& gone) {
        fail({0,
              fmt::format("{}, which keeps the ranks together, is gone",
                          rank_name(0, hosts.front())),
              "its own message, or the log of its host, says why"});
        return;
      }
      std::unique_lock lock(mutex);
      answered = Clock::now();
      changed.wait_for(lock, interval, [&] { return stop || (call && !called); });
      if (stop) return;
    }
  }
};

Watch::Watch(StoreLink link, std::string prefix, int rank, std::vector<std::string> hosts,
             std::chrono::milliseconds silence)
    : state_(std::make_shared<State>(std::move(link), std::move(prefix), rank, std::move(hosts),
                                     silence)) {
  thread_ = std::thread([state = state_] {
    state->run();
    const std::lock_guard lock(state->mutex);
    state->finished = true;
    state->changed.notify_all();
  });
}

Watch::~Watch() {
  std::unique_lock lock(state_->mutex);
  state_->stop = true;
  state_->changed.notify_all();
  const bool finished =
      state_->changed.wait_for(lock, std::chrono::seconds(2), [&] { return state_->finished; });
  lock.unlock();
  finished ? thread_.join() : thread_.detach();
}

std::optional<Failure> Watch::failure() const {
  const std::lock_guard lock(state_->mutex);
  if (state_->failure) return state_->failure;
  // The thread waits for an answer of the store for as long as the process of rank 0 is stopped.
  // Whoever asks for the first time for long may have been stopped as well.
  const Clock::time_point now = Clock::now();
  if (now - state_->asked > state_->silence / 2) state_->answered = now;
  state_->asked = now;
  const auto silent = now - state_->answered;
  if (state_->finished || state_->ends_expected || silent < state_->silence + state_->interval)
    return std::nullopt;
  return Failure{0,
                 fmt::format("{}, which keeps the ranks together, has been silent for {:.0f} s",
                             name(0), std::chrono::duration<double>(silent).count()),
                 kSilentRepair};
}

void Watch::call_together() {
  const std::lock_guard lock(state_->mutex);
  state_->call = true;
  state_->changed.notify_all();
}

bool Watch::called_together() const {
  const std::lock_guard lock(state_->mutex);
  return state_->call || state_->called;
}

void Watch::expect_ends() {
  const std::lock_guard lock(state_->mutex);
  state_->ends_expected = true;
}

std::string Watch::name(int rank) const {
  return rank_name(rank, state_->hosts.at(static_cast<size_t>(rank)));
}

}  // namespace tarflow::dist
