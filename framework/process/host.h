// This machine as records and leases name it.
#pragma once

#include <string>

namespace tarflow::process {

std::string host_name();   // "unknown" where it cannot be told
std::string boot_id();     // differs after each start of the machine; "" where it cannot be told
std::string machine_id();  // of the installed system; "" where it cannot be told
std::string utc_now();     // "2026-01-02T03:04:05Z"
// Process numbers mean the same where this is the same: each container has its own.
std::string pid_namespace();
std::string random_nonce();  // 24 letters and digits like no others

}  // namespace tarflow::process
