# Writes OUTPUT, a header with the state of the sources, when that has changed: cmake -DSOURCE=... -DOUTPUT=... -P this
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12
                OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(revision "unknown")  # sources without git
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define TARFLOW_GIT_REVISION \"@revision@\"\n" @ONLY)
