// Reading checkpoints of PyTorch and safetensors: tensors by name, straight from the file, without
// executing anything in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "framework/checkpoint/dtype.h"

namespace tarflow::checkpoint {

// One tensor as the file lays it out.
struct TensorInfo {
  std::string
      name;  // keys of nested containers joined by '.'; "tensor" when the file is one tensor alone
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;   // elements
  int64_t storage_offset = 0;     // elements from the begin of the storage
  std::string storage_key;        // tensors with the same key share their bytes
  std::string name_in_file = {};  // for messages, where `name` has been shortened

  int64_t elements() const;
  bool contiguous() const;  // row-major without gaps
};

std::string shape_str(const std::vector<int64_t>& shape);  // "(128, 48)", "()" for a scalar

// Whether the file is a zip archive as torch.save writes it: NAME/data.pkl, and no code beside the
// tensors as in a TorchScript archive.
bool is_checkpoint_archive(const std::filesystem::path& path);

// An open checkpoint: a zip or legacy file of PyTorch, or a safetensors file. Opening reads the
// index alone; tensors are read on demand, each from the file. Copies are cheap and share the open
// file; one thread at a time may read.
class Checkpoint {
 public:
  // Throws Error naming the file for everything that is no readable checkpoint, and the tensor for
  // a view outside of its storage.
  static Checkpoint open(const std::filesystem::path& path);

  const std::filesystem::path& path() const;
  const std::vector<TensorInfo>& tensors() const { return tensors_; }  // in the order of the file
  const TensorInfo* find(std::string_view name) const;                 // nullptr when there is none

  // Row-major contiguous, whatever the strides. Throw Error for an unknown name, a name that two
  // tensors have, damaged bytes, or a view that repeats its storage into more than the file's size
  // (64 MiB for small files).
  std::vector<std::byte> read_bytes(
      std::string_view name) const;  // elements of the tensor's own dtype
  std::vector<float> read_f32(std::string_view name) const;
  std::vector<double> read_f64(std::string_view name) const;
  std::vector<int64_t> read_i64(std::string_view name) const;  // integers and bools only

  // The tensors to which `new_name` gives a name that is not "", under that name. Throws Error that
  // names both when two get the same one.
  Checkpoint renamed(const std::function<std::string(const TensorInfo&)>& new_name) const;

  // Only the tensors whose names begin with `prefix`, without it: of {"model": {...}} by "model.".
  // Throws Error when there is none.
  Checkpoint with_prefix_stripped(std::string_view prefix) const;

 private:
  struct Source;

  void index_by_name();
  std::vector<std::byte> load(const TensorInfo& tensor, uint64_t bytes) const;
  const TensorInfo& at(std::string_view name) const;  // throws Error
  void require_one(std::string_view name) const;      // throws Error for a name of two tensors

  std::shared_ptr<Source> source_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, size_t, std::less<>> by_name_;
  // The second tensor of each name that is there twice: {1: x} and {"1": x} beside a model do no
  // harm as long as they are not read.
  std::map<std::string, size_t, std::less<>> repeated_;
};

}  // namespace tarflow::checkpoint
