# LibTorch as imported targets, from TARFLOW_TORCH_ROOT: a folder that holds torch/ (and nvidia/) as pip lays them out.
#
#   tarflow_torch        headers, libtorch_cpu and libc10; with CUDA also libtorch_cuda, libc10_cuda and the CUDA runtime
#
# Torch's own CMake files are not used: they demand the CUDA toolkit even where only libtorch_cpu is wanted.

set(TARFLOW_TORCH_ROOT "" CACHE PATH "Folder that holds torch/include and torch/lib; found on CMAKE_PREFIX_PATH when empty")
find_path(TARFLOW_TORCH_INCLUDE ATen/ATen.h
  HINTS ${TARFLOW_TORCH_ROOT}/torch/include
  PATH_SUFFIXES include torch/include lib/python3.11/site-packages/torch/include
                lib/python3.12/site-packages/torch/include lib/python3.13/site-packages/torch/include
                lib/python3.10/site-packages/torch/include)
if(NOT TARFLOW_TORCH_INCLUDE)
  message(FATAL_ERROR "LibTorch was not found. ./run_sweep fetches it; or name a folder that holds torch/ with "
                      "-DTARFLOW_TORCH_ROOT=..., or build the driver alone with -DTARFLOW_WORKER=OFF.")
endif()
get_filename_component(TARFLOW_TORCH_DIR ${TARFLOW_TORCH_INCLUDE} DIRECTORY)
set(TARFLOW_TORCH_LIB ${TARFLOW_TORCH_DIR}/lib)
get_filename_component(TARFLOW_NVIDIA_DIR ${TARFLOW_TORCH_DIR}/../nvidia ABSOLUTE)

# --- CUDA or not -------------------------------------------------------------------------------------------------
set(TARFLOW_USE_CUDA OFF)
if(NOT TARFLOW_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER AND EXISTS ${TARFLOW_TORCH_LIB}/libtorch_cuda.so)
    set(TARFLOW_USE_CUDA ON)
  elseif(TARFLOW_CUDA STREQUAL "ON")
    message(FATAL_ERROR "TARFLOW_CUDA=ON needs nvcc and a LibTorch with libtorch_cuda.so "
                        "(nvcc: ${CMAKE_CUDA_COMPILER}; LibTorch: ${TARFLOW_TORCH_LIB})")
  endif()
endif()

if(TARFLOW_USE_CUDA)
  # The field's variable for architectures, "8.0;9.0+PTX", turned into CMake's, "80-real;90".
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(architectures "$ENV{TORCH_CUDA_ARCH_LIST}")
    if(TORCH_CUDA_ARCH_LIST)
      set(architectures "${TORCH_CUDA_ARCH_LIST}")
    elseif(NOT architectures)
      set(architectures "8.0;9.0+PTX")
    endif()
    string(REPLACE " " ";" architectures "${architectures}")
    foreach(architecture ${architectures})
      string(REPLACE "." "" number "${architecture}")
      if(number MATCHES "^([0-9]+a?)\\+PTX$")
        list(APPEND CMAKE_CUDA_ARCHITECTURES ${CMAKE_MATCH_1})
      elseif(number MATCHES "^[0-9]+a?$")
        list(APPEND CMAKE_CUDA_ARCHITECTURES ${number}-real)
      else()
        message(FATAL_ERROR "TORCH_CUDA_ARCH_LIST: `${architecture}` is not like 9.0 or 9.0+PTX")
      endif()
    endforeach()
  endif()
  enable_language(CUDA)
  # Headers of ours are C++20, and CMake 3.25 does not know how nvcc is told so.
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  find_package(CUDAToolkit REQUIRED)
endif()

# cuDNN, and the headers by which work is described to it.
if(TARFLOW_USE_CUDA)
  find_path(TARFLOW_CUDNN_FRONTEND cudnn_frontend.h HINTS ${TARFLOW_TORCH_ROOT}/include)
  find_library(TARFLOW_CUDNN NAMES libcudnn.so.9 HINTS ${TARFLOW_NVIDIA_DIR}/cudnn/lib ${CUDAToolkit_LIBRARY_DIR})
  if(NOT TARFLOW_CUDNN_FRONTEND OR NOT TARFLOW_CUDNN)
    message(FATAL_ERROR "A CUDA build needs cuDNN 9 and the headers of cudnn-frontend "
                        "(cuDNN: ${TARFLOW_CUDNN}; headers: ${TARFLOW_CUDNN_FRONTEND}). ./run_sweep fetches both; the "
                        "PyPI wheel nvidia-cudnn-frontend holds the headers in include/: name its folder with "
                        "-DCMAKE_PREFIX_PATH=... .")
  endif()
endif()

# --- the target --------------------------------------------------------------------------------------------------
add_library(tarflow_torch INTERFACE)
target_include_directories(tarflow_torch SYSTEM INTERFACE
  ${TARFLOW_TORCH_INCLUDE} ${TARFLOW_TORCH_INCLUDE}/torch/csrc/api/include)
# LibTorch brings the OpenMP runtime it was built with; a second one would double the threads.
target_compile_options(tarflow_torch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>)
target_link_directories(tarflow_torch INTERFACE ${TARFLOW_TORCH_LIB})
target_link_libraries(tarflow_torch INTERFACE ${TARFLOW_TORCH_LIB}/libtorch_cpu.so ${TARFLOW_TORCH_LIB}/libc10.so)
if(EXISTS ${TARFLOW_TORCH_LIB}/libgomp.so.1)
  target_link_libraries(tarflow_torch INTERFACE ${TARFLOW_TORCH_LIB}/libgomp.so.1)
else()
  target_link_libraries(tarflow_torch INTERFACE gomp)
endif()

# LibTorch ships the headers of a newer {fmt} than its users have installed, but not that {fmt}'s library.
target_compile_definitions(tarflow_torch INTERFACE FMT_HEADER_ONLY)

# The PyPI wheel exports the BLAS it carries; other builds of LibTorch come with a BLAS library of their own.
include(CheckFunctionExists)
set(CMAKE_REQUIRED_LIBRARIES ${TARFLOW_TORCH_LIB}/libtorch_cpu.so ${TARFLOW_TORCH_LIB}/libc10.so
    -Wl,--unresolved-symbols=ignore-in-shared-libs)
check_function_exists(sgemm_ TARFLOW_TORCH_HAS_BLAS)
unset(CMAKE_REQUIRED_LIBRARIES)
if(NOT TARFLOW_TORCH_HAS_BLAS)
  find_package(BLAS REQUIRED)
  target_link_libraries(tarflow_torch INTERFACE BLAS::BLAS)
endif()

set(TARFLOW_RUNTIME_DIRS ${TARFLOW_TORCH_LIB})
foreach(folder cu13 cudnn nccl cusparselt nvshmem)
  if(EXISTS ${TARFLOW_NVIDIA_DIR}/${folder}/lib)
    list(APPEND TARFLOW_RUNTIME_DIRS ${TARFLOW_NVIDIA_DIR}/${folder}/lib)
  endif()
endforeach()
if(TARFLOW_USE_CUDA)
  get_filename_component(cuda_libraries ${CUDAToolkit_LIBRARY_DIR} ABSOLUTE)
  list(APPEND TARFLOW_RUNTIME_DIRS ${cuda_libraries})
  target_compile_definitions(tarflow_torch INTERFACE TARFLOW_USE_CUDA)
  target_include_directories(tarflow_torch SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS})
  foreach(folder cu13 cudnn nccl)  # headers of what did not come with the toolkit
    if(EXISTS ${TARFLOW_NVIDIA_DIR}/${folder}/include)
      target_include_directories(tarflow_torch SYSTEM INTERFACE ${TARFLOW_NVIDIA_DIR}/${folder}/include)
    endif()
  endforeach()
  # Nothing refers to libtorch_cuda by name (its operators register themselves), so the linker must be told to keep it.
  target_link_libraries(tarflow_torch INTERFACE
    -Wl,--no-as-needed ${TARFLOW_TORCH_LIB}/libtorch_cuda.so ${TARFLOW_TORCH_LIB}/libc10_cuda.so -Wl,--as-needed
    CUDA::cudart CUDA::nvrtc ${TARFLOW_CUDNN})
  target_include_directories(tarflow_torch SYSTEM INTERFACE ${TARFLOW_CUDNN_FRONTEND})
endif()
set(CMAKE_BUILD_RPATH ${TARFLOW_RUNTIME_DIRS})
set_target_properties(tarflow_torch PROPERTIES TARFLOW_RUNTIME_DIRS "${TARFLOW_RUNTIME_DIRS}"
                      TARFLOW_USE_CUDA ${TARFLOW_USE_CUDA})  # for TarflowInstall.cmake
# What LibTorch itself needs is found along the same folders while linking.
foreach(folder ${TARFLOW_RUNTIME_DIRS})
  target_link_options(tarflow_torch INTERFACE -Wl,-rpath-link,${folder})
endforeach()
# DT_RPATH, unlike DT_RUNPATH, also serves the libraries that LibTorch loads in turn.
target_link_options(tarflow_torch INTERFACE -Wl,--disable-new-dtags)
message(STATUS "LibTorch: ${TARFLOW_TORCH_DIR}, CUDA ${TARFLOW_USE_CUDA}")

# LibTorch's headers cost seconds a file; every room below the line shares one precompiled set.
add_library(tarflow_pch STATIC ${CMAKE_SOURCE_DIR}/cmake/pch.cc)
target_link_libraries(tarflow_pch PUBLIC tarflow_torch tarflow_core)
target_precompile_headers(tarflow_pch PRIVATE <ATen/ATen.h> <torch/csrc/autograd/autograd.h> ${TARFLOW_COMMON_HEADERS})

# tarflow_torch_room(NAME DEPENDS rooms...): as tarflow_room, with LibTorch; *.cu joins in CUDA builds. Files
# X_isa.cc are left to the room: they are compiled once for each instruction set.
function(tarflow_torch_room name)
  cmake_parse_arguments(ROOM "" "" "DEPENDS;LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc ${CMAKE_CURRENT_SOURCE_DIR}/*/*.cc)
  list(FILTER sources EXCLUDE REGEX "_(main|isa)\\.cc$")
  if(TARFLOW_USE_CUDA)
    file(GLOB kernels CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cu)
    list(APPEND sources ${kernels})
  endif()
  if(NOT sources)
    return()
  endif()
  add_library(tarflow_${name} STATIC ${sources})
  target_link_libraries(tarflow_${name} PUBLIC tarflow_torch ${ROOM_LIBS})
  target_include_directories(tarflow_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  foreach(room ${ROOM_DEPENDS})
    if(TARGET tarflow_${room})
      target_link_libraries(tarflow_${name} PUBLIC tarflow_${room})
    endif()
  endforeach()
  target_precompile_headers(tarflow_${name} REUSE_FROM tarflow_pch)
endfunction()
