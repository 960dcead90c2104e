#include "framework/record/links.h"

#include <fmt/format.h>

#include <vector>

#include "framework/core/stamp.h"
#include "framework/record/envelope.h"
#include "framework/record/fault.h"
#include "framework/record/origins.h"

namespace tarflow::record {
namespace fs = std::filesystem;
namespace {

constexpr const char* kChanged = "which has changed since it was merged";

}  // namespace

std::optional<Link> link_at(hid_t group, const std::string& name) {
  const std::string what = fmt::format("cannot read the link `{}`", name);
  H5L_info_t info;
  check(H5Lget_info(group, name.c_str(), &info, H5P_DEFAULT), what);
  if (info.type != H5L_TYPE_EXTERNAL) return std::nullopt;
  std::vector<char> value(info.u.val_size + 1);
  check(H5Lget_val(group, name.c_str(), value.data(), info.u.val_size, H5P_DEFAULT), what);
  const char *file = nullptr, *path = nullptr;
  unsigned flags = 0;
  check(H5Lunpack_elink_val(value.data(), info.u.val_size, &flags, &file, &path), what);
  return Link{file, path};
}

void write_link(hid_t group, const std::string& name, const Link& link) {
  check(H5Lcreate_external(link.file.c_str(), link.path.c_str(), group, name.c_str(), H5P_DEFAULT,
                           H5P_DEFAULT),
        fmt::format("cannot write the link `{}`", name));
}

LinkedFiles::LinkedFiles(fs::path record, hid_t file) : record_(std::move(record)) {
  const std::optional<Origins> origins = read_origins(file, /*linked_only=*/true);
  if (!origins) return;
  for (const Origin& origin : origins->jobs) {
    if (origin.file.empty()) continue;
    sha256_[origin.file] = origin.sha256;
    by_job_[origin.job] = origin.file;
  }
}

fs::path LinkedFiles::place_of(const std::string& file) const {
  return record_.parent_path() / file;
}

Problem LinkedFiles::lost(const std::string& file, const std::string& why) const {
  return {{},
          fmt::format("{} has arrays in {}, {}", record_.string(), place_of(file).string(), why),
          "keep the folder of results beside the record, or write a record that holds everything: "
          "`analyze bundle IN OUT`, where both are. After a change of results run the sweep again",
          ""};
}

std::optional<Problem> LinkedFiles::problem(const std::string& file) const {
  const auto known = sha256_.find(file);
  if (known == sha256_.end()) return lost(file, "of which the record does not tell the content");
  try {
    if (read_envelope(place_of(file)).sha256 == known->second) return std::nullopt;
    return lost(file, kChanged);
  } catch (const NotRead& failure) {
    if (failure.fault() == Fault::kAbsent) return lost(file, "which is absent");
    return lost(file, fmt::format("which cannot be used: {}", failure.problems().front().what));
  }
}

std::optional<Problem> LinkedFiles::problem_of_job(const std::string& job) const {
  const auto file = by_job_.find(job);
  return file == by_job_.end() ? std::nullopt : problem(file->second);
}

std::vector<Problem> LinkedFiles::problems() const {
  std::vector<Problem> problems;
  for (const auto& [file, sha256] : sha256_) {
    if (std::optional<Problem> found = problem(file)) problems.push_back(std::move(*found));
  }
  return problems;
}

hid_t LinkedFiles::open(const Link& link) {
  if (last_.first == link.file && last_.second >= 0) return last_.second;
  const auto fail = [](const Problem& problem) {
    throw NotRead(Fault::kUnreadable, problem.what, problem.repair);
  };
  if (const std::optional<Problem> found = problem(link.file)) fail(*found);
  const fs::path place = place_of(link.file);
  const FileStamp stamp = file_stamp(place);
  std::string& checked = checked_[link.file];
  if (checked.empty() || checked != stamp.text) {
    std::string sha256;
    try {
      sha256 = verify_envelope(place).sha256;
    } catch (const NotRead& failure) {
      fail(lost(link.file,
                fmt::format("which cannot be used: {}", failure.problems().front().what)));
    }
    if (sha256 != sha256_.at(link.file)) fail(lost(link.file, kChanged));
    checked = stamp.text;
  }
  last_ = {link.file, open_file(place)};
  return last_.second;
}

OpenLinked LinkedFiles::opener() {
  if (empty()) return {};
  return [this](const Link& link) { return open(link); };
}

}  // namespace tarflow::record
