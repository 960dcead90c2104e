#include "framework/core/hash.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "framework/core/error.h"

namespace tarflow {

namespace {

// Points are hashed by the hundred thousand: formatting digit by digit would cost more than
// hashing.
std::string hexadecimal(const unsigned char* digest, size_t size) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * size);
  for (size_t i = 0; i < size; ++i) {
    text += kDigits[digest[i] >> 4];
    text += kDigits[digest[i] & 15];
  }
  return text;
}

}  // namespace

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (!state_->context || EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1) {
    throw std::bad_alloc();
  }
}

Sha256::~Sha256() = default;

void Sha256::update(const void* data, size_t bytes) {
  EVP_DigestUpdate(state_->context, data, bytes);
}

std::string Sha256::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(state_->context, digest, &size);
  return hexadecimal(digest, size);
}

std::string sha256_hex(std::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return hexadecimal(digest, sizeof digest);
}

std::string sha256_file(const std::filesystem::path& path) {
  const auto fail = [&] {
    return Error(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw fail();
  Sha256 hash;
  char buffer[1 << 16];  // not more: folders may hold a million small files
  ssize_t bytes = 0;
  while ((bytes = ::read(file, buffer, sizeof buffer)) > 0 || (bytes < 0 && errno == EINTR)) {
    if (bytes > 0) hash.update(buffer, static_cast<size_t>(bytes));
  }
  const int reason = errno;
  ::close(file);
  errno = reason;
  if (bytes < 0) throw fail();
  return hash.hex();
}

std::string short_hash(std::string_view text) { return sha256_hex(text).substr(0, 16); }

}  // namespace tarflow
