# cmake --install BUILD --prefix P: a tree that runs wherever it is moved to, with every library but those of glibc and the
# GPU's driver. P/bin programs, P/lib libraries, P/share/tarflow what programs and people read.
include(GNUInstallDirs)

set(installed_programs run_sweep analyze make_checkpoint)
if(TARGET run_job)
  list(APPEND installed_programs run_job)
endif()
# DT_RPATH, unlike DT_RUNPATH, also serves the libraries that libraries need.
foreach(program ${installed_programs})
  set_target_properties(${program} PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
  target_link_options(${program} PRIVATE -Wl,--disable-new-dtags)
  list(APPEND program_files "$<TARGET_FILE:${program}>")
endforeach()
install(TARGETS ${installed_programs} RUNTIME DESTINATION bin)

set(share share/tarflow)
install(FILES ${CMAKE_BINARY_DIR}/share/published.yaml DESTINATION ${share})
if(TARGET run_job)
  install(FILES ${CMAKE_BINARY_DIR}/share/experiments.json DESTINATION ${share})
endif()
install(DIRECTORY sweeps DESTINATION ${share})
install(DIRECTORY docs DESTINATION ${share})
install(FILES share/results.py DESTINATION ${share})
install(FILES README.md LICENSE CITATION.cff CHANGELOG.md DESTINATION ${share})
install(FILES share/completions/run_sweep.bash DESTINATION share/bash-completion/completions RENAME run_sweep)
install(FILES share/completions/run_sweep.bash DESTINATION share/bash-completion/completions RENAME analyze)
install(FILES share/completions/run_sweep.zsh DESTINATION share/zsh/site-functions RENAME _run_sweep)

# Libraries that the programs are linked with, and what LibTorch loads while it runs.
if(TARGET tarflow_torch)
  get_target_property(runtime_folders tarflow_torch TARFLOW_RUNTIME_DIRS)
  get_target_property(uses_cuda tarflow_torch TARFLOW_USE_CUDA)
endif()
string(JOIN "\n" install_libraries
  "set(programs \"${program_files}\")"
  "set(folders \"${runtime_folders}\")"
  "set(cuda \"${uses_cuda}\")"
  "include(\"${CMAKE_SOURCE_DIR}/cmake/install_libraries.cmake\")")
install(CODE "${install_libraries}")

# Sweeps and presets are found beside the programs of a build folder as well.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/share)
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/sweeps ${CMAKE_BINARY_DIR}/share/sweeps SYMBOLIC)
