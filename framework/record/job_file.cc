#include "framework/record/job_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "framework/core/file.h"
#include "framework/record/array.h"
#include "framework/record/envelope.h"
#include "framework/record/hdf5.h"
#include "framework/record/table.h"

namespace tarflow::record {
namespace fs = std::filesystem;
namespace {

std::string text_of(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

// Takes the array called `path` out of the job.
std::string take_text(JobRecord& job, const std::string& path) {
  const auto found = std::find_if(job.arrays.begin(), job.arrays.end(),
                                  [&](const Array& array) { return array.path == path; });
  if (found == job.arrays.end() || found->type != ArrayType::kString ||
      found->strings.size() != 1) {
    throw Error(fmt::format("the job {} lacks its {}", job.hash, path));
  }
  std::string text = std::move(found->strings.front());
  job.arrays.erase(found);
  return text;
}

// 0 when job.json has none, as before version 2.
int64_t generation_of(const std::string& job_text) {
  const Json job = Json::parse(job_text);
  const auto generation = job.is_object() ? job.find("generation") : job.end();
  if (generation == job.end()) return 0;
  if (!generation->is_number_integer()) {
    throw Error("the `generation` in its job.json is no whole number");
  }
  return generation->get<int64_t>();
}

void copy_to_change(const fs::path& file, const fs::path& copy) {
  std::error_code failed;
  fs::copy_file(file, copy, fs::copy_options::overwrite_existing, failed);
  if (!failed) {
    fs::permissions(copy, fs::perms::owner_read | fs::perms::owner_write, fs::perm_options::add,
                    failed);
  }
  if (failed) {
    throw Error(
        fmt::format("cannot copy {} to {}: {}", file.string(), copy.string(), failed.message()));
  }
}

}  // namespace

JobRecord read_job_group(hid_t jobs, const std::string& hash, const OpenLinked& linked) {
  JobRecord job;
  job.hash = hash;
  job.arrays = read_arrays(open_group(jobs, hash), linked);
  job.job = Json::parse(take_text(job, kJobText));
  job.environment = Json::parse(take_text(job, kEnvironmentText));
  return job;
}

FileContent read_content(hid_t file) {
  FileContent content;
  content.kind = read_text_attribute(file, "kind");
  content.name = read_text_attribute(file, "name");
  KnownColumns known;
  const ColumnList columns = read_columns(file, known);
  content.rows = unpacked(read_packed(file, columns));
  content.columns = *columns;
  return content;
}

void write_job_group(hid_t jobs, const JobRecord& job) {
  std::vector<Array> arrays = job.arrays;
  arrays.push_back(make_text(kJobText, text_of(job.job), "the job as it was run, in JSON"));
  arrays.push_back(make_text(kEnvironmentText, text_of(job.environment),
                             "where and with what the job ran, in JSON"));
  std::sort(arrays.begin(), arrays.end(),
            [](const Array& a, const Array& b) { return a.path < b.path; });
  for (size_t i = 0; i < arrays.size(); ++i) {
    check_array(arrays[i]);
    if (i > 0 && arrays[i].path == arrays[i - 1].path) {
      throw Error(fmt::format("the array `{}` is there twice", arrays[i].path));
    }
  }
  write_arrays(create_group(jobs, job.hash), arrays);
}

void write_record(const fs::path& file, const std::string& kind, const std::string& name,
                  const std::string& merged, const Fill& fill) {
  about(file, "write", [&] {
    write_aside(file, [&](const fs::path& aside) {
      {
        const Handle out = create_file(aside);
        write_attribute(out, "kind", kind);
        write_attribute(out, "name", name);
        write_attribute(out, "record_version", kRecordVersion);
        fill(out, create_group(out, kJobsGroup));
        check(H5Fflush(out, H5F_SCOPE_GLOBAL), "cannot write to the disk");
      }
      seal(aside, merged);
    });
  });
}

void change_record(const fs::path& file, const std::string& sha256, const std::string& merged,
                   const Fill& change) {
  about(file, "write", [&] {
    write_aside(file, [&](const fs::path& aside) {
      copy_to_change(file, aside);
      if (content_sha256(aside) != sha256) {
        throw Error("another file took its place while it was read",
                    "wait until the run that writes it has ended");
      }
      {
        const Handle out = open_to_change(aside);
        change(out, open_group(out, kJobsGroup));
        check(H5Fflush(out, H5F_SCOPE_GLOBAL), "cannot write to the disk");
      }
      seal(aside, merged);
    });
  });
}

void remove_member(hid_t group, const std::string& name) {
  if (H5Lexists(group, name.c_str(), H5P_DEFAULT) <= 0) return;
  check(H5Ldelete(group, name.c_str(), H5P_DEFAULT), fmt::format("cannot remove `{}`", name));
}

FileContent read_table(const fs::path& file) {
  return about(file, "read", [&] {
    verify_envelope(file);
    return read_content(open_file(file));
  });
}

FileHead read_head(const fs::path& file, KnownColumns& known, const std::string& known_sha256) {
  return about(file, "read", [&] {
    FileHead head;
    Envelope envelope = read_envelope(file);
    if (envelope.sha256 != known_sha256) envelope = verify_envelope(file);
    head.sha256 = envelope.sha256;
    head.bytes = envelope.bytes;
    const Handle in = open_file(file);
    head.kind = read_text_attribute(in, "kind");
    head.name = read_text_attribute(in, "name");
    head.rows = read_packed(in, read_columns(in, known));
    if (head.kind != "job") return head;
    const Handle job = open_group(open_group(in, kJobsGroup), head.name);
    head.generation = generation_of(read_text(job, kJobText));
    return head;
  });
}

std::pair<FileContent, std::vector<JobRecord>> read_whole(const fs::path& file) {
  return about(file, "read", [&] {
    verify_envelope(file);
    const Handle in = open_file(file);
    std::pair<FileContent, std::vector<JobRecord>> whole;
    whole.first = read_content(in);
    const Handle jobs = open_group(in, kJobsGroup);
    LinkedFiles linked(file, in);
    for (const std::string& hash : member_names(jobs)) {
      whole.second.push_back(read_job_group(jobs, hash, linked.opener()));
    }
    return whole;
  });
}

std::string verify(const fs::path& file) { return verify_envelope(file).sha256; }

std::string content_sha256(const fs::path& file) { return read_envelope(file).sha256; }

void write_job(const fs::path& file, const JobRecord& record) {
  const std::vector<Column> columns = united_columns({record.columns});
  write_record(file, "job", record.hash, "", [&](hid_t out, hid_t jobs) {
    check_table(columns, record.rows);
    write_table(out, columns, record.rows);
    write_job_group(jobs, record);
  });
}

JobRecord read_job(const fs::path& file) {
  auto [content, jobs] = read_whole(file);
  if (jobs.size() != 1) {
    throw Error(fmt::format("{} holds {} jobs and is no job's result", file.string(), jobs.size()),
                "read it as a sweep's record");
  }
  jobs.front().columns = std::move(content.columns);
  jobs.front().rows = std::move(content.rows);
  return std::move(jobs.front());
}

}  // namespace tarflow::record
