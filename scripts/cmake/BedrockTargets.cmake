# How this project's targets are made: every one gets the same warnings, the same sanitizers and the source
# tree as its include root.

include(GoogleTest)

add_library(bedrock_flags INTERFACE)
target_compile_options(bedrock_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
  # Initializers leave out what keeps its default. g++ warns of that in designated ones, clang in the others.
  -Wno-missing-field-initializers
  # g++ 12 warns of overlapping copies inside std::string operator+ that can't happen (GCC bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  # g++ 12 takes the empty half of an inlined std::optional for an uninitialized value (GCC bug 80635); clang's analysis
  # and the sanitizer builds look after real ones.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
target_include_directories(bedrock_flags INTERFACE "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>")
if(BEDROCK_SANITIZE)
  target_compile_options(bedrock_flags INTERFACE -fsanitize=${BEDROCK_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(bedrock_flags INTERFACE -fsanitize=${BEDROCK_SANITIZE})
  # Asio orders its handlers by fences, which TSan does not see; null fences keep the mutexes it does see.
  target_compile_definitions(bedrock_flags INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
endif()
if(BEDROCK_FUZZERS)
  target_compile_options(bedrock_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined
                         -fno-sanitize-recover=all)
  target_link_options(bedrock_flags INTERFACE -fsanitize=address,undefined)
endif()

# bedrock_library(NAME SOURCES a.cc … [DEPS lib …] [PRIVATE_DEPS lib …]): a static library a folder. DEPS are what
# its headers need, PRIVATE_DEPS only its sources; a missing one shows as an unresolved symbol, a forbidden one in
# scripts/layers.txt.
function(bedrock_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS}
                        $<BUILD_INTERFACE:bedrock_flags>)
  target_include_directories(${name} PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>")
endfunction()

# bedrock_program(NAME SOURCES a.cc … DEPS lib …): an executable, in the build folder's bin/.
function(bedrock_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} bedrock_flags)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
endfunction()

# bedrock_test(NAME SOURCES a_test.cc … DEPS lib … [TIMEOUT seconds] [LABELS label …]): a GoogleTest binary whose
# cases are separate ctest tests.
function(bedrock_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS;PROPERTIES" ${ARGN})
  if(NOT BEDROCK_TESTS)
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  find_package(GTest REQUIRED)
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main bedrock_flags)
  set(environment "")
  if(BEDROCK_SANITIZE MATCHES "thread")
    set(environment ENVIRONMENT "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/scripts/tsan.supp")
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST
                       PROPERTIES ${environment} TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}" ${ARG_PROPERTIES})
endfunction()

# bedrock_process_test(NAME SOURCES a_test.cc … [DEPS lib …]): a bedrock_test that runs the three programs, with the
# clusters, HTTP client and loads of tests/process. One at a time: a machine that is busy looks like a fault.
function(bedrock_process_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  bedrock_test(${name}
    SOURCES ${ARG_SOURCES}
    DEPS bedrock_process_rig ${ARG_DEPS}
    TIMEOUT 300
    LABELS process
    PROPERTIES RUN_SERIAL TRUE)
  add_dependencies(${name} storaged raftd routerd)
endfunction()

if(BEDROCK_FUZZERS)
  add_custom_target(fuzzers)
endif()

# bedrock_fuzzer(NAME SOURCES a_fuzz.cc … DEPS lib …): a libFuzzer target, and a ctest test that runs it for a few
# seconds, always from the same seed: new ground is for longer runs (scripts/check fuzz). Only with BEDROCK_FUZZERS.
function(bedrock_fuzzer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  if(NOT BEDROCK_FUZZERS)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} bedrock_flags)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers ${name})
  set(corpus "${PROJECT_BINARY_DIR}/fuzz/${name}")
  file(MAKE_DIRECTORY "${corpus}")
  # What is found goes into the build folder; a corpus in the source tree is only read.
  set(seeds "${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name}")
  if(NOT EXISTS "${seeds}")
    set(seeds "")
  endif()
  add_test(NAME ${name} COMMAND ${name} -seed=1 -max_total_time=5 -rss_limit_mb=2048 "${corpus}" ${seeds})
  set_tests_properties(${name} PROPERTIES TIMEOUT 120 LABELS fuzz)
endfunction()
