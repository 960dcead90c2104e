#include "framework/record/array.h"
#include "framework/record/job_file.h"
#include "framework/record/opened.h"

namespace tarflow::record {

void bundle(const std::filesystem::path& in, const std::filesystem::path& out) {
  const OpenedSweep opened = open_sweep(in);
  const std::optional<Array> order = about(in, "read", [&] { return opened.stored->order(); });
  if (std::vector<Problem> broken = opened.stored->broken_links(); !broken.empty())
    throw Error(std::move(broken));
  write_record(out, "sweep", opened.sweep.name, "", [&](hid_t file, hid_t jobs) {
    write_table(file, opened.sweep.columns, opened.sweep.rows);
    if (order) write_arrays(file, {*order});
    for (const auto& [hash, job] : opened.sweep.jobs)
      write_job_group(jobs, opened.stored->read(hash));
  });
}

}  // namespace tarflow::record
