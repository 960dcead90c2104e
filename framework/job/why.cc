#include "framework/job/why.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <unordered_map>
#include <unordered_set>

#include "framework/core/error.h"
#include "framework/job/attempts.h"
#include "framework/job/job_folder.h"
#include "framework/job/saved_images.h"
#include "framework/sweep/identity.h"

namespace tarflow::job {
namespace {

constexpr size_t kShownValues = 3;
constexpr size_t kCompared = 256;    // earlier points of which more than one setting is compared
constexpr size_t kMostSettings = 3;  // that may differ from an earlier point which tells something

// A point with everything that tells it from others.
struct Known {
  std::string id, key;
  const ExperimentSchema* schema = nullptr;
  sweep::Settings settings;
  Json contents;  // field -> hash
};

Known known_point(const Job& job, const JobPoint& point, const ExperimentSchema& schema) {
  Known known{point.id, point.key, &schema, job.settings, job.contents.get()};
  known.settings.update(point.settings);
  if (known.contents.is_null()) known.contents = Json::object();
  if (!point.contents.is_null()) known.contents.update(point.contents.get());
  return known;
}

// Of one setting's part in the point's identity; 0 for none.
uint64_t part_of(const Field& field, const sweep::Settings& settings) {
  const Json* value = settings.find(field.name);
  if (!value) return 0;
  try {
    const std::string text = sweep::identity_text(field, *value);
    return text.empty() ? 0 : std::hash<std::string>()(field.name + "\n" + text);
  } catch (const std::exception&) {  // as another version wrote it
    return std::hash<std::string>()(field.name + "\n?" + value->dump());
  }
}

// Parts add up, so that a sum without one of them is quickly known.
struct Parts {
  uint64_t sum = 0;
  std::vector<uint64_t> parts;  // by field of the schema

  explicit Parts(const Known& known) : sum(std::hash<std::string>()(known.schema->name)) {
    for (const Field& field : known.schema->fields) {
      parts.push_back(part_of(field, known.settings));
      sum += parts.back();
    }
  }
};

std::string value_text(const Field& field, const sweep::Settings& settings) {
  if (!settings.contains(field.name)) return "not set";
  return label("", settings, {field.name}).substr(field.name.size() + 2);  // " name=value"
}

// Fields whose contents are not the same.
std::vector<std::string> differing(const Json& some, const Json& others) {
  std::vector<std::string> names;
  for (const auto& [name, value] : some.items()) {
    if (others.value(name, Json()) != value) names.push_back(name);
  }
  for (const auto& [name, value] : others.items()) {
    if (!some.contains(name)) names.push_back(name);
  }
  return names;
}

}  // namespace

// Points in folders of jobs that the plan does not use: of the sweep as it was, or of files as they
// were.
class WhyRun::Earlier {
 public:
  Earlier(const Plan& plan, const ExperimentSchemas& schemas) {
    std::unordered_set<std::string> used, keys;
    for (const auto& [key, point] : plan.done.by_key) used.insert(point.job);
    for (const Jobs* jobs : {&plan.all, &plan.pending}) {
      for (const Job& job : *jobs) {
        used.insert(job.hash);
        for (const JobPoint& point : job.points) {
          ids_.insert(point.id);
          keys.insert(point.key);
        }
      }
    }
    for (const JobFolder& folder : folders_in(plan.jobs_folder())) {
      if (used.contains(folder.path.filename().string())) continue;
      try {
        add(read_job(folder.job()), schemas, keys);
      } catch (const Error&) {  // it tells nothing
      }
    }
    for (size_t i = 0; i < points_.size(); ++i) index(i);
  }

  Why compare(const Known& now) const {
    const auto same = by_id_.find(now.id);
    if (same != by_id_.end()) return compare_contents(now, same->second);
    const Parts parts(now);
    if (by_sum_.contains(parts.sum)) {
      return {"revision", fmt::format("the experiment {} has a new revision", now.schema->name), 1};
    }
    for (size_t f = 0; f < parts.parts.size(); ++f) {
      const auto others = by_rest_.find({f, parts.sum - parts.parts[f]});
      if (others == by_rest_.end()) continue;
      const Field& field = now.schema->fields[f];
      std::vector<std::string> values;
      for (const size_t other : others->second) {
        values.push_back(value_text(field, points_[other].settings));
      }
      std::sort(values.begin(), values.end());
      values.erase(std::unique(values.begin(), values.end()), values.end());
      const bool more = values.size() > kShownValues;
      if (more) values.resize(kShownValues);
      return {"setting",
              fmt::format("{} was {}{}", field.name, fmt::join(values, " or "),
                          more ? " or another" : ""),
              1};
    }
    return compare_some(now, parts);
  }

 private:
  struct Compared {
    size_t point;
    Parts parts;
  };
  struct Rest {
    size_t field;
    uint64_t sum;
    bool operator==(const Rest&) const = default;
  };
  struct HashRest {
    size_t operator()(const Rest& rest) const { return rest.sum * 31 + rest.field; }
  };

  void add(const Job& job, const ExperimentSchemas& schemas,
           const std::unordered_set<std::string>& keys) {
    const ExperimentSchema& schema = schema_of(schemas, job.experiment);
    for (const JobPoint& point : job.points) {
      if (!keys.contains(point.key)) points_.push_back(known_point(job, point, schema));
    }
  }

  void index(size_t number) {
    const Known& point = points_[number];
    if (ids_.contains(point.id)) {  // a point that the sweep has; another must not be taken for it
      by_id_[point.id].push_back(number);
      return;
    }
    const Parts parts(point);
    by_sum_.insert(parts.sum);
    if (compared_.size() < kCompared) compared_.push_back({number, parts});
    for (size_t f = 0; f < parts.parts.size(); ++f) {
      if (point.schema->fields[f].identity == Identity::kNone) continue;
      by_rest_[{f, parts.sum - parts.parts[f]}].push_back(number);
    }
  }

  // With a few earlier points, for the nearest of them.
  Why compare_some(const Known& now, const Parts& parts) const {
    std::vector<size_t> fields;  // that differ from it
    const Known* nearest = nullptr;
    for (const Compared& other : compared_) {
      if (points_[other.point].schema != now.schema) continue;
      std::vector<size_t> differ;
      for (size_t f = 0; f < parts.parts.size() && differ.size() <= kMostSettings; ++f) {
        if (parts.parts[f] != other.parts.parts[f]) differ.push_back(f);
      }
      if (differ.size() > kMostSettings || (nearest && differ.size() >= fields.size())) continue;
      nearest = &points_[other.point];
      fields = std::move(differ);
    }
    if (!nearest) return {"new", "new", 1};
    std::vector<std::string> texts;
    for (const size_t f : fields) {
      const Field& field = now.schema->fields[f];
      texts.push_back(fmt::format("{} was {}", field.name, value_text(field, nearest->settings)));
    }
    return {"setting", fmt::format("{}", fmt::join(texts, ", ")), 1};
  }

  Why compare_contents(const Known& now, const std::vector<size_t>& others) const {
    std::vector<std::string> nearest;
    bool first = true;
    for (const size_t other : others) {
      std::vector<std::string> names = differing(now.contents, points_[other].contents);
      if (first || names.size() < nearest.size()) nearest = std::move(names);
      first = false;
    }
    if (!nearest.empty())
      return {"content", fmt::format("{} changed", fmt::join(nearest, " and ")), 1};
    return {"device", "planned for another model of device before", 1};
  }

  std::vector<Known> points_;
  std::unordered_set<std::string> ids_;  // that the sweep has
  std::unordered_map<std::string, std::vector<size_t>> by_id_;
  std::unordered_set<uint64_t> by_sum_;
  std::vector<Compared> compared_;
  std::unordered_map<Rest, std::vector<size_t>, HashRest> by_rest_;
};

WhyRun::WhyRun(const Plan& plan, const ExperimentSchemas& schemas, bool forced)
    : plan_(plan), schemas_(schemas), forced_(forced) {
  for (const BadResult& bad : plan.done.damaged) damaged_.insert(bad.keys.begin(), bad.keys.end());
}

WhyRun::~WhyRun() = default;

const WhyRun::Earlier& WhyRun::earlier() {
  if (!earlier_) earlier_ = std::make_unique<Earlier>(plan_, schemas_);
  return *earlier_;
}

namespace {

// Of a point that is not done, by the attempts of its job; nothing without any.
std::optional<Why> why_of(const Attempts& attempts) {
  if (!attempts.last) return std::nullopt;
  const Attempt& last = *attempts.last;
  if (attempts.failed()) return Why{"failed", "failed: " + last.reason, 1};
  if (last.outcome == "done") return Why{"gone", "done before, but its result is gone", 1};
  if (last.outcome.empty()) {
    return Why{"interrupted", fmt::format("begun on {} at {}, not ended", last.host, last.start),
               1};
  }
  return Why{"interrupted", "stopped before it was done", 1};
}

}  // namespace

Why WhyRun::of_point(const Job& job, const JobPoint& point, const Attempts& attempts) {
  const auto done = plan_.done.by_key.find(point.key);
  if (!point.selected) return {"file", "another point reads the file that it makes", 1};
  if (done != plan_.done.by_key.end()) {
    if (forced_) return {"forced", "done, and computed again by --force", 1};
    if (lacks_images({plan_.jobs_folder() / done->second.job}, job, point)) {
      return {"images", "done, but images that it asks for were not saved", 1};
    }
    return {"file", "done, but the file that it makes is absent or changed", 1};
  }
  if (damaged_.contains(point.key)) return {"damaged", "its result is damaged", 1};
  if (std::optional<Why> why = why_of(attempts)) return *why;
  return earlier().compare(known_point(job, point, schema_of(schemas_, job.experiment)));
}

std::vector<Why> WhyRun::of(const Job& job) {
  const Attempts attempts = read_attempts(folder_of(plan_, job).attempts());
  std::vector<Why> whys;
  for (const JobPoint& point : job.points) {
    Why why = of_point(job, point, attempts);
    const auto known = std::find_if(whys.begin(), whys.end(), [&](const Why& other) {
      return other.reason == why.reason && other.text == why.text;
    });
    if (known != whys.end()) {
      ++known->points;
    } else {
      whys.push_back(std::move(why));
    }
  }
  std::stable_sort(whys.begin(), whys.end(),
                   [](const Why& a, const Why& b) { return a.points > b.points; });
  return whys;
}

std::string why_text(const std::vector<Why>& whys) {
  if (whys.size() == 1) return whys.front().text;
  std::string text;
  for (const Why& why : whys) {
    text +=
        fmt::format("{}{} ({})", text.empty() ? "" : ", ", why.text, counted(why.points, "point"));
  }
  return text;
}

}  // namespace tarflow::job
