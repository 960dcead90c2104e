// One connection to the store that the ranks share, for one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace c10d {
class Store;
}

namespace tarflow::dist {

// Functions throw what LibTorch throws (std::exception) when the store is gone, and wait for as
// long as its process is stopped: whoever must not wait calls them on another thread.
class StoreLink {
 public:
  // Opens the store at this port, of all of the host's addresses; with `listening` at that socket.
  static StoreLink serve(uint16_t port, int listening);
  // Joins it, trying again until `limit`. Either side asks for the name of the address at the other
  // end (see dist/addresses.h).
  static StoreLink join(const std::string& address, uint16_t port, std::chrono::milliseconds limit);

  // A key's whole value, whatever its size.
  void set(const std::string& key, const std::string& value);
  bool has(const std::string& key);
  std::string get(const std::string& key);  // one that is there
  void remove(const std::string& key);      // one that is there
  int64_t add(const std::string& key, int64_t value);

  c10d::Store& store() const { return *store_; }

 private:
  explicit StoreLink(std::shared_ptr<c10d::Store> store);

  std::shared_ptr<c10d::Store> store_;
};

}  // namespace tarflow::dist
