# What every room of the house shares: flags, third-party packages, and the functions that declare a room and its tests.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# -O3 is kept for the kernels: elsewhere it costs compile time and buys nothing.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wall> $<$<COMPILE_LANGUAGE:CXX>:-Wextra>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
  # GCC 13 takes a reference for dangling wherever an argument of the call was a temporary.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-dangling-reference>)
endif()

find_program(TARFLOW_CCACHE ccache)
if(TARFLOW_CCACHE)
  # ccache refuses files that use precompiled headers unless it may ignore the macros and times that such a header hides.
  # The base folder makes paths relative, so that a second checkout finds what the first one compiled.
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${TARFLOW_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${launcher})
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  endif()
endif()
if(TARFLOW_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "TARFLOW_FUZZ needs clang: cmake --preset fuzz")
  endif()
  set(TARFLOW_SANITIZE address,undefined,fuzzer-no-link)
  add_compile_options(-fno-sanitize-recover=all)
endif()
if(TARFLOW_SANITIZE)
  add_compile_options(-fsanitize=${TARFLOW_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${TARFLOW_SANITIZE})
  if(TARFLOW_FUZZ)  # AddressSanitizer finds what these do; they take a quarter of the time to compile
    add_compile_options(-fno-sanitize=null,object-size,vptr)
  endif()
endif()

find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(fmt REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Eigen3 3.3 REQUIRED NO_MODULE)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
# Debian's CMake files of libzip ask for its command-line tools as well, so the library is found by hand.
find_library(TARFLOW_LIBZIP NAMES zip libzip.so.4 libzip.so.5 REQUIRED)
find_path(TARFLOW_LIBZIP_INCLUDE zip.h REQUIRED)
add_library(tarflow_libzip INTERFACE)
target_link_libraries(tarflow_libzip INTERFACE ${TARFLOW_LIBZIP})
target_include_directories(tarflow_libzip INTERFACE ${TARFLOW_LIBZIP_INCLUDE})
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
set(HDF5_PREFER_PARALLEL OFF)
find_package(HDF5 REQUIRED COMPONENTS C)
add_library(tarflow_hdf5 INTERFACE)
target_link_libraries(tarflow_hdf5 INTERFACE ${HDF5_C_LIBRARIES})
target_include_directories(tarflow_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})

# Headers that nearly every file of the house reads; precompiled, since they cost more than the files themselves.
set(TARFLOW_COMMON_HEADERS <fmt/format.h> <fmt/ranges.h> <nlohmann/json.hpp> <algorithm> <filesystem> <fstream>
    <functional> <map> <memory> <optional> <string> <vector>)

# tarflow_room(NAME DEPENDS rooms... LIBS libraries...): framework/NAME/*.cc becomes the library tarflow_NAME.
# A file NAME_main.cc is left to the caller. Rooms included by path: #include "framework/NAME/file.h".
function(tarflow_room name)
  cmake_parse_arguments(ROOM "" "" "DEPENDS;LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(FILTER sources EXCLUDE REGEX "_main\\.cc$")
  if(NOT sources)  # a room of headers only
    add_library(tarflow_${name} INTERFACE)
    target_include_directories(tarflow_${name} INTERFACE ${CMAKE_SOURCE_DIR})
    return()
  endif()
  add_library(tarflow_${name} STATIC ${sources})
  target_include_directories(tarflow_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  foreach(room ${ROOM_DEPENDS})
    target_link_libraries(tarflow_${name} PUBLIC tarflow_${room})
  endforeach()
  target_link_libraries(tarflow_${name} PUBLIC ${ROOM_LIBS})
  if(NOT name STREQUAL "core")
    target_precompile_headers(tarflow_${name} REUSE_FROM tarflow_core)
  endif()
endfunction()

# tarflow_test(ROOM LIBS libraries... PCH target): tests/ROOM/*_test.cc becomes the program test_ROOM, each case a ctest
# test; it shares the precompiled headers of the target.
function(tarflow_test room)
  cmake_parse_arguments(TEST "GPU" "PCH" "LIBS;LABELS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${room}/*_test.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${room} ${sources})
  set_property(GLOBAL APPEND PROPERTY TARFLOW_TEST_ROOMS ${room})
  target_link_libraries(test_${room} PRIVATE tarflow_test_support ${TEST_LIBS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(test_${room} PRIVATE TARFLOW_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                             TARFLOW_BINARY_DIR="${CMAKE_BINARY_DIR}")
  target_precompile_headers(test_${room} REUSE_FROM ${TEST_PCH})
  get_target_property(options ${TEST_PCH} COMPILE_OPTIONS)
  set_target_properties(test_${room} PROPERTIES COMPILE_OPTIONS "${options}")
  set(timeout 300)
  if(TEST_LABELS)
    set(labels LABELS "${TEST_LABELS}")
    set(timeout 1800)
  endif()
  # ctest runs tests side by side; each with all threads would wait for the others more than it computes, and threads
  # that spin while they wait would keep the others from computing.
  set(common TEST_PREFIX "${TARFLOW_TEST_PREFIX}${room}." DISCOVERY_TIMEOUT 60)
  set(properties ENVIRONMENT OMP_NUM_THREADS=1 ENVIRONMENT_MODIFICATION OMP_WAIT_POLICY=set:PASSIVE TIMEOUT ${timeout})
  if(TEST_GPU)  # the cases that need one, which skip elsewhere, can be asked for alone
    gtest_discover_tests(test_${room} ${common} TEST_FILTER "-*cuda*:*Gpu.*" PROPERTIES ${properties} ${labels})
    gtest_discover_tests(test_${room} ${common} TEST_FILTER "*cuda*:*Gpu.*" TEST_LIST test_${room}_GPU_TESTS
                         PROPERTIES ${properties} LABELS gpu)
  else()
    gtest_discover_tests(test_${room} ${common} PROPERTIES ${properties} ${labels})
  endif()
endfunction()
