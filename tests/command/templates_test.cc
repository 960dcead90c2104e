#include "framework/command/templates.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/process/command.h"

namespace tarflow::command {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string complaint(Template which, const std::string& text) {
  const auto fault = fault_of(which, text);
  return fault ? fault->what + "\n" + fault->repair : "";
}

TEST(Templates, FieldsAreNamesInBraces) {
  EXPECT_THAT(fields_in("qsub -N {name} -o {log} {script} {name}"),
              ElementsAre("name", "log", "script"));
  EXPECT_THAT(fields_in("qstat -u ${USER} | awk '{print $1, $5}' {{id}} {} {a b} $USER{"),
              IsEmpty());
  EXPECT_THAT(fields_in("a=${x}{id}"), ElementsAre("id"));
  EXPECT_TRUE(has_field("-l select=1:ncpus={cpus}", "cpus"));
}

TEST(Templates, WhatIsTheShellsIsLeftToIt) {
  const Fields fields{{{"id", "7"}}, {}};
  EXPECT_EQ(filled("echo ${HOME} '{print $1}' {{id}} {id}", fields),
            "echo ${HOME} '{print $1}' {id} 7");
}

// Each as one word with these letters, for a shell.
TEST(Templates, ValuesAreQuotedForWhereTheyStand) {
  for (const std::string value :
       {"plain", "/a b/c", "it's", "a\"b", "$HOME", "`id`", "a\\b", "a;b|c&d", "*", "", "{id}"}) {
    for (const char* line : {"printf %s {log}", "printf %s '{log}'", "printf %s \"{log}\"",
                             "printf %s x{log}", "printf %s \"\\\"\"{log}"}) {
      const std::string text = filled(line, {{{"log", value}}, {}});
      const process::Said said = process::run_command({"/bin/sh", "-c", text});
      EXPECT_TRUE(said.well()) << text << ": " << said.err;
      const std::string before = std::string(line).find("x{") != std::string::npos     ? "x"
                                 : std::string(line).find("\\\"") != std::string::npos ? "\""
                                                                                       : "";
      EXPECT_EQ(said.out, before + value) << text;
    }
  }
}

TEST(Templates, AListIsSeveralWords) {
  EXPECT_EQ(filled("qstat {ids}", {{}, {"1.a", "2 b"}}), "qstat 1.a '2 b'");
}

TEST(Templates, AValueWithALineBreakIsAnError) {
  EXPECT_THROW(filled("x {log}", {{{"log", "a\nb"}}, {}}), Error);
  EXPECT_THROW(filled("x {log}", {}), Error) << "nor is a field left empty";
}

TEST(Templates, FaultsNameTheFieldAndTheRepair) {
  EXPECT_EQ(complaint(Template::kSubmit, "qsub {script}"), "");
  EXPECT_THAT(
      complaint(Template::kSubmit, "qsub -N {nam} {script}"),
      AllOf(HasSubstr("the field {nam}"), HasSubstr("did you mean `name`?"), HasSubstr("{{nam}}")));
  EXPECT_THAT(complaint(Template::kSubmit, "qsub job.sh"), HasSubstr("{script}"));
  EXPECT_THAT(complaint(Template::kState, "qstat {script}"), HasSubstr("{script}"));
  EXPECT_EQ(complaint(Template::kState, "qstat -u $USER"), "");
  EXPECT_THAT(complaint(Template::kCancel, "qdel all"), HasSubstr("{id}"));
  EXPECT_FALSE(fault_of_id("Job <([0-9]+)>"));
  EXPECT_THAT(fault_of_id("[0-9]+")->what, HasSubstr("0 groups"));
  EXPECT_THAT(fault_of_id("([0-9]+")->what, HasSubstr("no regular expression"));
}

}  // namespace
}  // namespace tarflow::command
