#include "framework/dist/store_link.h"

#include <c10/util/Logging.h>

#include <algorithm>
#include <cstdlib>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

namespace tarflow::dist {
namespace {

constexpr size_t kPiece = 4 << 20;  // the store takes values of 8 MiB at most

std::string piece(const std::string& key, size_t index) {
  return key + "#" + std::to_string(index);
}

std::string text_of(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

std::vector<uint8_t> bytes_of(const std::string& text, size_t first, size_t count) {
  const auto begin = text.begin() + static_cast<std::ptrdiff_t>(first);
  return {begin, begin + static_cast<std::ptrdiff_t>(std::min(count, text.size() - first))};
}

// Its warnings are pages of addresses; what they warn of is said by whoever uses the link.
void quieten() {
  if (!std::getenv("TORCH_CPP_LOG_LEVEL")) FLAGS_caffe2_log_level = 2;  // errors
}

// Kept by LibTorch's own count.
std::shared_ptr<c10d::Store> shared(c10::intrusive_ptr<c10d::TCPStore> store) {
  c10d::Store* const pointer = store.get();
  return {pointer, [store = std::move(store)](c10d::Store*) mutable { store.reset(); }};
}

}  // namespace

StoreLink::StoreLink(std::shared_ptr<c10d::Store> store) : store_(std::move(store)) {}

StoreLink StoreLink::serve(uint16_t port, int listening) {
  quieten();
  c10d::TCPStoreOptions options;
  options.port = port;
  options.isServer = true;
  options.waitWorkers = false;
  if (listening >= 0) options.masterListenFd = listening;
  return StoreLink(shared(c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options)));
}

StoreLink StoreLink::join(const std::string& address, uint16_t port,
                          std::chrono::milliseconds limit) {
  quieten();
  c10d::TCPStoreOptions options;
  options.port = port;
  options.waitWorkers = false;
  options.timeout = limit;
  return StoreLink(shared(c10::make_intrusive<c10d::TCPStore>(address, options)));
}

// The number of pieces stands under the key itself, which is there last.
void StoreLink::set(const std::string& key, const std::string& value) {
  size_t pieces = 0;
  for (size_t first = 0; first < value.size(); first += kPiece)
    store_->set(piece(key, pieces++), bytes_of(value, first, kPiece));
  const std::string count = std::to_string(pieces);
  store_->set(key, bytes_of(count, 0, count.size()));
}

bool StoreLink::has(const std::string& key) { return store_->check({key}); }

std::string StoreLink::get(const std::string& key) {
  const size_t pieces = std::stoul(text_of(store_->get(key)));
  std::string value;
  for (size_t i = 0; i < pieces; ++i) value += text_of(store_->get(piece(key, i)));
  return value;
}

void StoreLink::remove(const std::string& key) {
  const size_t pieces = std::stoul(text_of(store_->get(key)));
  store_->deleteKey(key);
  for (size_t i = 0; i < pieces; ++i) store_->deleteKey(piece(key, i));
}

int64_t StoreLink::add(const std::string& key, int64_t value) { return store_->add(key, value); }

}  // namespace tarflow::dist
