#include "framework/dist/store_communicator.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>
#include <utility>

#include "framework/dist/gpu_bytes.h"
#include "framework/dist/gpu_gather.h"
#include "framework/dist/watch.h"
#include "framework/dist/worker.h"
#include "framework/tensor/device.h"

namespace tarflow::dist {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

double seconds(milliseconds time) { return std::chrono::duration<double>(time).count(); }

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "?";
}

// Waits for a key in short sleeps that grow; false when it was given up.
bool wait_for(StoreLink& link, const std::string& key, const std::atomic<bool>& given_up) {
  std::chrono::microseconds pause(100);
  while (!link.has(key)) {
    if (given_up) return false;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(5000));
  }
  return true;
}

// Calls `use` with each tensor and its place in a row of the contents of all.
template <typename Use>
void each_content(const std::vector<at::Tensor>& tensors, const Use& use) {
  size_t at = 0;
  for (const at::Tensor& tensor : tensors) {
    use(tensor, at);
    at += tensor.nbytes();
  }
}

std::string contents_of(const std::vector<at::Tensor>& tensors) {
  std::string bytes;
  for (const at::Tensor& tensor : tensors)
    bytes.append(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
  return bytes;
}

void require_contents(const std::vector<at::Tensor>& tensors, const std::string& bytes) {
  size_t expected = 0;
  for (const at::Tensor& tensor : tensors) expected += tensor.nbytes();
  if (bytes.size() != expected)
    throw Error("what another rank sent does not fit", "are all ranks of the same build?");
}

void take_contents(const std::vector<at::Tensor>& tensors, const std::string& bytes) {
  require_contents(tensors, bytes);
  each_content(tensors, [&](const at::Tensor& tensor, size_t at) {
    std::memcpy(tensor.mutable_data_ptr(), bytes.data() + at, tensor.nbytes());
  });
}

void add_contents(const std::vector<at::Tensor>& tensors, const std::string& bytes) {
  require_contents(tensors, bytes);
  each_content(tensors, [&](at::Tensor tensor, size_t at) {
    const at::Tensor other = at::empty_like(tensor);
    std::memcpy(other.mutable_data_ptr(), bytes.data() + at, tensor.nbytes());
    tensor.add_(other);
  });
}

class StoreCommunicator : public Communicator {
 public:
  StoreCommunicator(const RankPlace& place, const at::Device& device, const Limits& limits,
                    StoreLink link, StoreLink beats, std::optional<StoreLink> nccl)
      : rank_(place.rank),
        size_(place.size),
        prefix_(fmt::format("tarflow/{}/", place.run)),
        device_(device),
        limits_(limits),
        link_(std::make_shared<StoreLink>(std::move(link))),
        nccl_link_(std::move(nccl)) {
    const std::vector<std::string> hosts = meet_or_say_why();
    watch_ = std::make_unique<Watch>(std::move(beats), prefix_, rank_, hosts, limits.silence);
  }

  ~StoreCommunicator() override {
    *given_up_ = true;
    if (broken_) linger();
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  std::vector<std::string> gather(const std::string& bytes) override {
    const std::string key = next_key();
    if (!first()) {
      perform(
          [link = link_, key = fmt::format("{}/{}", key, rank_), bytes] { link->set(key, bytes); });
      return {};
    }
    auto parts = std::make_shared<std::vector<std::string>>(static_cast<size_t>(size_));
    parts->front() = bytes;
    // All ranks have read what was broadcast before.
    perform([link = link_, key, parts, old = std::exchange(broadcasts_, {}), given_up = given_up_] {
      for (size_t other = 1; other < parts->size(); ++other) {
        const std::string own = fmt::format("{}/{}", key, other);
        if (!wait_for(*link, own, *given_up)) return;
        (*parts)[other] = link->get(own);
        link->remove(own);
      }
      for (const std::string& read : old) link->remove(read);
    });
    return std::move(*parts);
  }

  std::string broadcast(const std::string& bytes) override { return spread(bytes, true); }

  std::vector<Tensors> gather_tensors(const Tensors& tensors) override {
    SplitTensors own = split(tensors);
    const std::vector<std::string> messages = gather(pack(own.message));
    std::vector<Tensors> received;
    for (const std::string& message : messages) received.push_back(unpack(message));
    int64_t most = 0;
    for (const Tensors& message : received) most = std::max(most, gpu_bytes(message));
    // Without GPUs no rank has anything more to send.
    if (device_.is_cuda()) most = std::stoll(spread(std::to_string(most), true));
    const std::vector<at::Tensor> parts =
        most > 0 ? gather_bytes(flat_bytes(own.on_gpu, most, device_)) : std::vector<at::Tensor>{};
    std::vector<Tensors> all;
    for (size_t other = 0; other < received.size(); ++other) {
      all.push_back(other == 0
                        ? tensors
                        : joined(received[other], parts.empty() ? at::Tensor() : parts[other]));
    }
    return all;
  }

  void begin_sum(const at::Tensor& tensor) override {
    if (tensor.is_cpu()) {
      sums_.push_back(tensor);
      return;
    }
    perform([gpus = gpus_, link = nccl_link_, device = device_, rank = rank_, size = size_,
             limit = limits_.collective, tensor] {
      if (!*gpus) *gpus = nccl_gather(*link, rank, size, device, limit);
      (*gpus)->begin_sum(tensor);
    });
  }

  void finish_sums() override {
    if (device_.is_cuda()) {
      perform([gpus = gpus_, given_up = given_up_] {
        if (*gpus) (*gpus)->finish_sums([&] { return given_up->load(); });
      });
    }
    const std::vector<at::Tensor> sums = std::exchange(sums_, {});
    if (sums.empty()) return;
    std::vector<std::string> parts = gather(contents_of(sums));
    if (first()) {
      for (size_t other = 1; other < parts.size(); ++other) add_contents(sums, parts[other]);
    }
    const std::string total = broadcast(first() ? contents_of(sums) : "");
    if (!first()) take_contents(sums, total);
  }

  void call_together() noexcept override { watch_->call_together(); }
  bool called_together() const noexcept override { return watch_->called_together(); }

  void fail(const std::string& why) noexcept override {
    try {
      if (!broken_ && !watch_->failure()) tell(why);
      broken_ = true;
      linger();
    } catch (...) {  // they will find out
    }
  }

  int end(int status) override {
    const int agreed = std::stoi(spread(std::to_string(status), false));
    watch_->expect_ends();
    const std::string key = prefix_ + "ended";
    if (!first()) {
      perform([link = link_, key] { link->add(key, 1); });
      return agreed;
    }
    // The store ends with this process; those who have not read yet would not know why.
    const Clock::time_point until = Clock::now() + limits_.silence;
    perform([link = link_, key, until, others = size_ - 1] {
      while (link->add(key, 0) < others && Clock::now() < until)
        std::this_thread::sleep_for(milliseconds(5));
    });
    return agreed;
  }

 private:
  std::vector<at::Tensor> gather_bytes(const at::Tensor& bytes) {
    synchronize(device_);  // other threads' streams do not wait for this one's
    auto parts = std::make_shared<std::vector<at::Tensor>>();
    perform([gpus = gpus_, link = nccl_link_, device = device_, rank = rank_, size = size_,
             limit = limits_.collective, bytes, parts, given_up = given_up_] {
      if (!*gpus) *gpus = nccl_gather(*link, rank, size, device, limit);
      *parts = (*gpus)->gather(bytes, [&] { return given_up->load(); });
    });
    synchronize(device_);
    return std::move(*parts);
  }

  void tell(const std::string& why) {
    const Failure failure{rank_, fmt::format("{} failed: {}", watch_->name(rank_), why), ""};
    const Clock::time_point until = Clock::now() + std::chrono::seconds(3);
    worker_.run([link = link_, key = failed_key(prefix_),
                 text = failure_text(failure)] { link->set(key, text); },
                [&] {
                  if (Clock::now() > until) throw Error("nobody answers");
                });
  }

  // The others read what is wrong when they next beat, and the store ends with rank 0.
  void linger() {
    if (!first() || std::exchange(lingered_, true)) return;
    std::this_thread::sleep_for(std::min(limits_.silence / 4, milliseconds(2500)));
  }

  std::string next_key() { return fmt::format("{}{}", prefix_, calls_++); }

  std::string spread(const std::string& bytes, bool limited) {
    const std::string key = next_key();
    if (first()) {
      perform([link = link_, key, bytes] { link->set(key, bytes); });
      broadcasts_.push_back(key);
      return bytes;
    }
    auto received = std::make_shared<std::string>();
    perform(
        [link = link_, key, received, given_up = given_up_] {
          if (wait_for(*link, key, *given_up)) *received = link->get(key);
        },
        limited);
    return std::move(*received);
  }

  // On the worker's thread, looking at the other ranks meanwhile.
  void perform(std::function<void()> task, bool limited = true) {
    if (broken_) throw std::logic_error("a communicator is of no use after a failure");
    const Clock::time_point start = Clock::now();
    try {
      worker_.run(std::move(task), [&] {
        if (const auto failure = watch_->failure())
          throw OtherRankFailed(failure->rank, failure->what, failure->repair);
        if (limited && Clock::now() - start > limits_.collective) {
          throw Error(fmt::format("the ranks did not come together within {:.0f} s although all "
                                  "of them live; {} waited",
                                  seconds(limits_.collective), watch_->name(rank_)),
                      "--collective-limit sets how long is waited");
        }
      });
    } catch (const Error&) {
      give_up();
      throw;
    } catch (const std::exception& failure) {
      give_up();
      throw_reason(failure);
    }
  }

  void give_up() {
    broken_ = true;
    *given_up_ = true;
  }

  // The store's connection broke: what the watch found is the reason, or will be in a moment.
  [[noreturn]] void throw_reason(const std::exception& failure) const {
    for (int round = 0; round < 100; ++round) {
      if (const auto found = watch_->failure())
        throw OtherRankFailed(found->rank, found->what, found->repair);
      std::this_thread::sleep_for(milliseconds(20));
    }
    const std::string text = failure.what();
    throw Error(fmt::format("{} lost the other ranks: {}", watch_->name(rank_),
                            text.substr(0, text.find('\n'))));
  }

  std::vector<std::string> meet_or_say_why() {
    try {
      return meet();
    } catch (const Error&) {
      throw;
    } catch (const std::exception& failure) {
      const std::string text = failure.what();
      throw OtherRankFailed(
          0,
          fmt::format("rank 0 ended while rank {} waited for all ranks to come: {}", rank_,
                      text.substr(0, text.find('\n'))),
          "its own message says why");
    }
  }

  // Every rank tells its host; all know all, by rank.
  std::vector<std::string> meet() {
    const auto key = [&](int rank) { return fmt::format("{}host/{}", prefix_, rank); };
    link_->set(key(rank_), host_name());
    std::vector<std::string> hosts;
    const Clock::time_point until = Clock::now() + limits_.connect;
    for (int other = 0; other < size_; ++other) {
      while (!link_->has(key(other))) {
        if (Clock::now() > until) throw absent(key);
        std::this_thread::sleep_for(milliseconds(5));
      }
      hosts.push_back(link_->get(key(other)));
    }
    return hosts;
  }

  template <typename Key>
  Error absent(const Key& key) {
    std::vector<int> missing;
    for (int other = 0; other < size_; ++other)
      if (!link_->has(key(other))) missing.push_back(other);
    return Error(fmt::format("rank {} waited {:.0f} s for rank{} {} of {}, in vain", rank_,
                             seconds(limits_.connect), missing.size() == 1 ? "" : "s",
                             fmt::join(missing, ", "), size_),
                 "were they started, and does the firewall let them reach rank 0? "
                 "--connect-limit sets how long is waited");
  }

  const int rank_, size_;
  const std::string prefix_;
  const at::Device device_;
  const Limits limits_;
  // Tasks that were given up keep what they use.
  std::shared_ptr<StoreLink> link_;
  std::shared_ptr<std::atomic<bool>> given_up_ = std::make_shared<std::atomic<bool>>(false);
  std::optional<StoreLink> nccl_link_;
  std::shared_ptr<std::unique_ptr<GpuGather>> gpus_ =
      std::make_shared<std::unique_ptr<GpuGather>>();  // made when it is first needed
  std::unique_ptr<Watch> watch_;
  Worker worker_;
  int64_t calls_ = 0;
  std::vector<std::string> broadcasts_;  // keys to remove
  std::vector<at::Tensor> sums_;         // begun, on the CPU
  bool broken_ = false, lingered_ = false;
};

}  // namespace

std::unique_ptr<Communicator> store_communicator(const RankPlace& place, const at::Device& device,
                                                 const Limits& limits, StoreLink link,
                                                 StoreLink beats, std::optional<StoreLink> nccl) {
  return std::make_unique<StoreCommunicator>(place, device, limits, std::move(link),
                                             std::move(beats), std::move(nccl));
}

}  // namespace tarflow::dist
