#include "framework/slurm/refusal.h"

#include <sstream>
#include <string_view>

namespace tarflow::slurm {
namespace {

// sbatch names the limit in a message of its own, before the one that all limits share. Older
// versions print the latter alone. `refusal` has the messages one after another, with semicolons.
bool names_limit(const std::string& refusal) {
  constexpr std::string_view kError = "error: ";
  std::istringstream messages(refusal);
  for (std::string message; std::getline(messages, message, ';');) {
    const size_t at = message.rfind(kError);
    if (at == std::string::npos) continue;
    const std::string word = message.substr(at + kError.size());
    if (word.find(' ') != std::string::npos) continue;
    if (word.starts_with("QOS") || word.starts_with("Assoc") || word.starts_with("Max")) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool says_full(const std::string& refusal) {
  for (const char* words : {"MaxSubmit", "GrpSubmit", "Job submit limit",
                            "slurm_submit_batch_job: Resource temporarily"}) {
    if (refusal.find(words) != std::string::npos) return true;
  }
  return refusal.find("Job violates accounting/QOS policy") != std::string::npos &&
         !names_limit(refusal);
}

}  // namespace tarflow::slurm
