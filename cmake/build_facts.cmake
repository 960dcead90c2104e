# Writes OUTPUT, a header with the state of the sources and what is built from them, when that has changed:
# cmake -DSOURCE=... -DOUTPUT=... -DVERSION=... -DVARIANT=... -P this
cmake_minimum_required(VERSION 3.24)

function(ask_git result)
  execute_process(COMMAND git -C ${SOURCE} ${ARGN}
                  OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(failed)
    set(answer "")  # sources without git
  endif()
  set(${result} "${answer}" PARENT_SCOPE)
endfunction()

ask_git(revision describe --always --dirty --abbrev=12)
ask_git(branch symbolic-ref --short --quiet HEAD)  # nothing where no branch is checked out
if(NOT revision)
  set(revision "unknown")
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define TARFLOW_VERSION \"@VERSION@\"
#define TARFLOW_VARIANT \"@VARIANT@\"
#define TARFLOW_GIT_REVISION \"@revision@\"
#define TARFLOW_GIT_BRANCH \"@branch@\"
" @ONLY)
