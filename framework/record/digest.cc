#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "framework/core/hash.h"
#include "framework/record/array.h"
#include "framework/record/opened.h"
#include "framework/record/record.h"

namespace tarflow::record {
namespace {

// Every part with its length before it, so that no two contents run together to the same bytes.
void add(Sha256& hash, std::string_view text) {
  hash.update(fmt::format("{}:", text.size()));
  hash.update(text);
}

void add_cell(Sha256& hash, const std::string& name, const Cell& cell) {
  if (const double* number = std::get_if<double>(&cell)) {
    if (std::isnan(*number)) return;
    add(hash, name);
    add(hash, fmt::format("f{:a}", *number));
  } else if (const int64_t* whole = std::get_if<int64_t>(&cell)) {
    add(hash, name);
    add(hash, fmt::format("i{}", *whole));
  } else if (const std::string& text = std::get<std::string>(cell); !text.empty()) {
    add(hash, name);
    add(hash, "s" + text);
  }
}

void add_array(Sha256& hash, const Array& array) {
  add(hash, array.path);
  add(hash, array.point);
  add(hash, type_name(array.type));
  for (const int64_t size : array.shape) add(hash, fmt::format("{}", size));
  hash.update(";");
  for (const std::string& text : array.strings) add(hash, text);
  hash.update(array.data.data(), array.data.size());
}

template <typename Item, typename Key>
std::vector<const Item*> sorted(const std::vector<Item>& items, const Key& key) {
  std::vector<const Item*> pointers;
  for (const Item& item : items) pointers.push_back(&item);
  std::sort(pointers.begin(), pointers.end(),
            [&](const Item* a, const Item* b) { return key(*a) < key(*b); });
  return pointers;
}

// Calls its argument with the hash of each job, sorted, and the job.
using EachJob =
    std::function<void(const std::function<void(const std::string&, const JobRecord&)>&)>;

// `sweep` without its jobs.
std::string digest_of(const SweepRecord& sweep, const EachJob& each_job) {
  std::set<std::string> left_out{"device"};
  for (const Column& column : sweep.columns) {
    if (column.timing) left_out.insert(column.name);
  }
  Sha256 hash;
  add(hash, "tarflow digest 1");
  const auto point = [](const Row& row) { return std::get<std::string>(row.at("point")); };
  for (const Row* row : sorted(sweep.rows, point)) {
    hash.update("row;");
    for (const auto& [name, cell] : *row) {
      if (!left_out.contains(name)) add_cell(hash, name, cell);
    }
  }
  each_job([&](const std::string& name, const JobRecord& job) {
    hash.update("job;");
    add(hash, name);
    for (const Array* array : sorted(job.arrays, [](const Array& a) { return a.path; })) {
      if (!array->timing) add_array(hash, *array);
    }
  });
  return hash.hex();
}

}  // namespace

std::string digest(const SweepRecord& sweep) {
  return digest_of(sweep, [&](const auto& take) {
    for (const auto& [hash, job] : sweep.jobs) take(hash, job);
  });
}

std::string digest(const std::filesystem::path& file) {
  const OpenedSweep opened = open_sweep(file);
  return digest_of(opened.sweep, [&](const auto& take) {
    for (const auto& [hash, job] : opened.sweep.jobs) take(hash, opened.stored->read(hash));
  });
}

}  // namespace tarflow::record
