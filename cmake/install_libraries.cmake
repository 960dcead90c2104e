# Run while installing (TarflowInstall.cmake): copies the libraries of `programs` to PREFIX/lib.
set(glibc "/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|resolv|util|anl|mvec|nsl|BrokenLocale)\\.so)[.0-9]*$")
set(driver "/(libcuda\\.so|libnvidia-)[^/]*$")
file(GET_RUNTIME_DEPENDENCIES EXECUTABLES ${programs}
  DIRECTORIES ${folders}
  RESOLVED_DEPENDENCIES_VAR found UNRESOLVED_DEPENDENCIES_VAR absent CONFLICTING_DEPENDENCIES_PREFIX several
  PRE_EXCLUDE_REGEXES "^libcuda\\.so" "^libnvidia-" "^ld-linux"
  POST_EXCLUDE_REGEXES "${glibc}" "${driver}")
# One name in two places: the first place is the one the programs were built with.
foreach(name ${several_FILENAMES})
  list(GET several_${name} 0 first)
  list(APPEND found ${first})
endforeach()
if(absent)
  string(JOIN ", " absent ${absent})
  message(FATAL_ERROR "These libraries, which the programs need, were not found: ${absent}. "
                      "Name their folder in LD_LIBRARY_PATH and install again.")
endif()
if(cuda)  # cuDNN, cuBLAS and LibTorch load parts of themselves by name
  foreach(folder ${folders})
    if(folder MATCHES "/(torch|nvidia/[^/]+)/lib$")
      file(GLOB parts ${folder}/*.so ${folder}/*.so.*)
      list(APPEND found ${parts})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES found)
endif()
file(INSTALL ${found} DESTINATION "${CMAKE_INSTALL_PREFIX}/lib" TYPE SHARED_LIBRARY FOLLOW_SYMLINK_CHAIN)
