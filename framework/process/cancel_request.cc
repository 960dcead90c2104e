#include "framework/process/cancel_request.h"

#include "framework/core/aside.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/json.h"

namespace tarflow::process {
namespace fs = std::filesystem;

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CancelRequest, id, points)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(CancelAnswer, id, stopped, dropped, shared, refused)

namespace {

fs::path answer_file(const fs::path& sweep_folder) { return sweep_folder / "cancel_answer.json"; }

// Nothing without one, or while it cannot be read. Text that is no JSON asks for all.
std::optional<CancelRequest> read_request(const fs::path& sweep_folder) {
  if (is_absent(cancel_file(sweep_folder))) return std::nullopt;
  try {
    const Json json =
        Json::parse(read_file(cancel_file(sweep_folder)), nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return CancelRequest{};
    return json.get<CancelRequest>();
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace

fs::path cancel_file(const fs::path& sweep_folder) { return sweep_folder / "cancel"; }

void ask_to_cancel(const fs::path& sweep_folder, const CancelRequest& request) {
  try {
    if (request.all()) {
      write_file(cancel_file(sweep_folder), "requested by run_sweep cancel\n");
    } else {
      write_json_file(cancel_file(sweep_folder), request);
    }
  } catch (const Error& failure) {
    throw Error(failure.problems().front().what + "; the run_sweep at work was not asked to stop",
                "make room there and give the same command again, or end it where it runs, with "
                "Ctrl-C or kill");
  }
}

std::optional<CancelAnswer> cancel_answer(const fs::path& sweep_folder, const std::string& id) {
  if (is_absent(answer_file(sweep_folder))) return std::nullopt;
  try {
    auto answer = read_json_file(answer_file(sweep_folder)).get<CancelAnswer>();
    if (answer.id == id) return answer;
  } catch (const std::exception&) {
    // Read again later.
  }
  return std::nullopt;
}

void answer_cancel(const fs::path& sweep_folder, const CancelAnswer& answer) {
  std::error_code ignored;
  fs::remove(cancel_file(sweep_folder), ignored);
  try {
    write_json_file(answer_file(sweep_folder), answer);
  } catch (const Error&) {
    // Who asked says that there was no answer.
  }
}

void forget_cancel(const fs::path& sweep_folder) {
  std::error_code ignored;
  fs::remove(cancel_file(sweep_folder), ignored);
  fs::remove(answer_file(sweep_folder), ignored);
}

std::function<std::optional<CancelRequest>()> cancel_asked(const fs::path& sweep_folder,
                                                           std::chrono::milliseconds poll) {
  using Clock = std::chrono::steady_clock;
  return [sweep_folder, poll, asked = Clock::now()]() mutable -> std::optional<CancelRequest> {
    if (Clock::now() - asked < poll) return std::nullopt;
    asked = Clock::now();
    return read_request(sweep_folder);
  };
}

std::function<bool()> cancel_of_all_asked(const fs::path& sweep_folder,
                                          std::chrono::milliseconds poll,
                                          const std::string& refusal) {
  return [sweep_folder, refusal, asked = cancel_asked(sweep_folder, poll)] {
    const std::optional<CancelRequest> request = asked();
    if (!request) return false;
    if (!request->all()) answer_cancel(sweep_folder, {request->id, 0, 0, {}, refusal});
    return request->all();
  };
}

}  // namespace tarflow::process
