// NVRTC's entry points: clang compiles the kernels for the processor, after a preamble that gives CUDA's words their meaning.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "Emulator.h"

extern char **environ;

namespace {

enum Status { success = 0, compilation = 6, invalidOption = 5, invalidProgram = 4 };

const char kernelHeader[] = {
#embed "EmulatedKernel.h" suffix(, 0)
};
const char prelude[] = {
#embed "Prelude.h" suffix(, 0)
};

struct Program {
  std::string source, name, log, image;
  std::vector<std::pair<std::string, std::string>> headers;
};

std::string contents(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void write(const std::filesystem::path &path, const std::string &text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

// Runs clang with its messages in a file; whether it succeeded.
bool runClang(std::vector<std::string> arguments, const std::filesystem::path &messages) {
  arguments.insert(arguments.begin(), EMULATED_CLANG);
  std::vector<char *> pointers;
  for (auto &argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 2, messages.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t process = 0;
  int status = -1;
  if (posix_spawn(&process, EMULATED_CLANG, &actions, nullptr, pointers.data(), environ) == 0)
    waitpid(process, &status, 0);
  posix_spawn_file_actions_destroy(&actions);
  return status == 0;
}

// NVRTC's options as clang's; false for one that this emulator does not know.
bool translate(const std::string &option, std::vector<std::string> &result) {
  static const std::set<std::string> without = {"--std=c++17", "-default-device", "--use_fast_math=false"};
  if (option.starts_with("--gpu-architecture=") || option.starts_with("--ptxas-options=")) return true;
  if (option.starts_with("-D")) return result.push_back(option), true;
  if (option == "--fmad=false") return result.push_back("-ffp-contract=off"), true;
  if (option == "--fmad=true") return true;
  return without.contains(option);
}

}  // namespace

EMULATED int nvrtcVersion(int *major, int *minor) {
  *major = 12;
  *minor = 9;
  return success;
}

EMULATED const char *nvrtcGetErrorString(int status) { return status == compilation ? "compilation" : "other"; }

EMULATED int nvrtcGetNumSupportedArchs(int *count) {
  *count = 2;
  return success;
}

EMULATED int nvrtcGetSupportedArchs(int *architectures) {
  architectures[0] = 80;
  architectures[1] = 90;
  return success;
}

EMULATED int nvrtcCreateProgram(
    Program **program, const char *source, const char *name, int headerCount, const char *const *headers,
    const char *const *names) {
  *program = new Program{source, name ? name : "kernel", {}, {}, {}};
  for (int index = 0; index < headerCount; index++) (*program)->headers.emplace_back(names[index], headers[index]);
  return success;
}

EMULATED int nvrtcDestroyProgram(Program **program) {
  delete *program;
  *program = nullptr;
  return success;
}

EMULATED int nvrtcCompileProgram(Program *program, int optionCount, const char *const *options) {
  char pattern[] = "/tmp/emulated-nvrtc-XXXXXX";
  if (!mkdtemp(pattern)) return invalidProgram;
  std::filesystem::path directory = pattern;
  struct Remover {
    std::filesystem::path path;
    ~Remover() { std::filesystem::remove_all(path); }
  } remover{directory};
  for (auto &[name, text] : program->headers) write(directory / name, text);
  write(directory / "preamble.h", std::string(kernelHeader) + prelude);
  write(directory / "kernel.cpp", program->source);
  // Real devices fault on an address that is not aligned to its type, and so does this one.
  std::vector<std::string> common = {
      "-std=c++20", "-O2", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-fvisibility=hidden",
      "-fsanitize=alignment", "-fsanitize-trap=alignment", "-nostdinc++", "-w", "-I" + directory.string()};
  for (int index = 0; index < optionCount; index++)
    if (!translate(options[index], common)) {
      program->log = std::string("unknown option ") + options[index];
      return invalidOption;
    }
  auto messages = directory / "messages", expanded = directory / "expanded.cpp", library = directory / "kernel.so";
  auto arguments = common;
  for (auto argument : {std::string("-E"), "-include" + (directory / "preamble.h").string(),
                        (directory / "kernel.cpp").string(), std::string("-o"), expanded.string()})
    arguments.push_back(argument);
  bool compiles = runClang(arguments, messages);
  if (compiles) {
    std::string text = contents(expanded), entries;
    std::regex kernel("__global__\\s+void\\s+(\\w+)\\s*\\(");
    for (auto match = std::sregex_iterator(text.begin(), text.end(), kernel); match != std::sregex_iterator(); ++match) {
      std::string name = (*match)[1];
      entries += "extern \"C\" __attribute__((visibility(\"default\"))) EmulatedKernel emulatedEntry_" + name +
                 " = EmulatedEntry<" + name + ">::entry(__start_emulated_shared, __stop_emulated_shared);\n";
    }
    write(expanded, text + "\n" + entries);
    arguments = common;
    for (auto argument : {std::string("-D__global__="), std::string("-shared"), expanded.string(), std::string("-lm"),
                          std::string("-o"), library.string()})
      arguments.push_back(argument);
    compiles = runClang(arguments, messages);
  }
  program->log = contents(messages);
  if (!compiles) return compilation;
  std::string object = contents(library);
  uint64_t byteCount = object.size();
  program->image = "EMULATED" + std::string(reinterpret_cast<char *>(&byteCount), sizeof byteCount) + object;
  return success;
}

EMULATED int nvrtcGetProgramLogSize(Program *program, size_t *byteCount) {
  *byteCount = program->log.size() + 1;
  return success;
}

EMULATED int nvrtcGetProgramLog(Program *program, char *log) {
  memcpy(log, program->log.c_str(), program->log.size() + 1);
  return success;
}

EMULATED int nvrtcGetCUBINSize(Program *program, size_t *byteCount) {
  *byteCount = program->image.size();
  return success;
}

EMULATED int nvrtcGetCUBIN(Program *program, char *image) {
  memcpy(image, program->image.data(), program->image.size());
  return success;
}

EMULATED int nvrtcGetPTXSize(Program *program, size_t *byteCount) { return nvrtcGetCUBINSize(program, byteCount); }

EMULATED int nvrtcGetPTX(Program *program, char *image) { return nvrtcGetCUBIN(program, image); }
