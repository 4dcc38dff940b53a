import CCUDA
import Compute
import ComputeKernels

/// NVRTC: compiles kernels for a device, and needs none to do so.
package struct CUDACompilation {
  private let compiler: CUDACompiler
  /// The compiler's version, such as `12.9`.
  package let version: String

  /// What a program is compiled for.
  package enum Target: Sendable, Equatable {
    /// The machine code of a compute capability, such as 90 for 9.0.
    case machine(Int)
    /// The assembly of a compute capability, which the driver compiles for devices that came later.
    case assembly(Int)

    /// The name of the target in NVRTC's words.
    package var name: String {
      switch self {
      case .machine(let capability): "sm_\(capability)"
      case .assembly(let capability): "compute_\(capability)"
      }
    }
  }

  /// Takes an open compiler.
  ///
  /// - Throws: `DeviceError` when it does not tell its version.
  package init(_ compiler: CUDACompiler) throws(DeviceError) {
    var (major, minor) = (Int32(0), Int32(0))
    try CUDACompilation.check(compiler, compiler.version(&major, &minor), "open NVRTC", "its version")
    self.compiler = compiler
    version = "\(major).\(minor)"
  }

  /// What to compile for a device: its own machine code, that of an earlier device of the same generation, which it runs as
  /// well, or assembly where it is newer than the compiler.
  ///
  /// - Parameter capability: The device's compute capability, such as 90 for 9.0.
  /// - Returns: The target.
  /// - Throws: `DeviceError.Code.unavailable` for a device older than all that the compiler knows.
  package func target(for capability: Int) throws(DeviceError) -> Target {
    var count: Int32 = 0
    try check(compiler.architectureCount(&count), "open NVRTC", "the architectures that it knows")
    var known = [Int32](repeating: 0, count: Int(count))
    try check(compiler.architectures(&known), "open NVRTC", "the architectures that it knows")
    let older = known.map(Int.init).filter { $0 <= capability }.sorted()
    guard let newest = older.last else {
      throw DeviceError(
        .unavailable, operation: "open CUDA",
        expected:
          "a device of compute capability \(CUDACompilation.text(Int(known.min() ?? 0))) or later, for NVRTC \(version)",
        got: "compute capability \(CUDACompilation.text(capability))")
    }
    return newest / 10 == capability / 10 ? .machine(newest) : .assembly(newest)
  }

  /// A compute capability such as `9.0`.
  package static func text(_ capability: Int) -> String { "\(capability / 10).\(capability % 10)" }

  /// The options with which every program is compiled.
  ///
  /// A product and a sum are rounded each, unless a kernel writes fma: fusion gives the same bytes on every
  /// backend.
  package static func options(for target: Target) -> [String] {
    ["--gpu-architecture=\(target.name)", "--fmad=false", "--std=c++17"]
  }

  /// Compiles a program.
  ///
  /// - Parameters:
  ///   - source: The program.
  ///   - target: What it is compiled for.
  ///   - further: Further options.
  /// - Returns: The machine code or assembly, and the compiler's messages.
  /// - Throws: `DeviceError.Code.buildFailed` with the messages.
  package func compile(
    _ source: ProgramSource, for target: Target, further: [String] = []
  ) throws(DeviceError) -> (image: [UInt8], log: String) {
    let operation = "compile \(source.file)"
    var program: CUDASourceProgram?
    try check(
      compiler.createProgram(&program, source.text(in: .cuda), source.file, 0, nil, nil), operation, "a program")
    guard let created = program else {
      throw DeviceError(.driver, operation: operation, expected: "a program", got: "nothing")
    }
    defer { _ = compiler.destroyProgram(&program) }
    let options = CUDACompilation.options(for: target) + source.options + further
    let status = withCStrings(options) { compiler.compile(created, Int32(options.count), $0) }
    let log = try text(created, operation)
    guard status == 0 else {
      throw DeviceError(
        .buildFailed, operation: operation, expected: "a program that compiles for \(target.name)",
        got: String(cString: compiler.errorText(status)), driverStatus: Int(status), detail: log)
    }
    switch target {
    case .machine: return (try bytes(created, operation, compiler.cubinSize, compiler.cubin), log)
    case .assembly: return (try bytes(created, operation, compiler.assemblySize, compiler.assembly), log)
    }
  }

  private func text(_ program: CUDASourceProgram, _ operation: String) throws(DeviceError) -> String {
    let text = try bytes(program, operation, compiler.logSize, compiler.log)
    return String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
  }

  private func bytes(
    _ program: CUDASourceProgram, _ operation: String,
    _ size: (CUDASourceProgram, UnsafeMutablePointer<Int>) -> CUDACompilerStatus,
    _ fill: (CUDASourceProgram, UnsafeMutablePointer<CChar>) -> CUDACompilerStatus
  ) throws(DeviceError) -> [UInt8] {
    var byteCount = 0
    try check(size(program, &byteCount), operation, "the size of its output")
    var bytes = [CChar](repeating: 0, count: max(1, byteCount))
    try check(fill(program, &bytes), operation, "its output")
    return bytes.prefix(byteCount).map(UInt8.init(bitPattern:))
  }

  private func withCStrings<Result>(
    _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>>) -> Result
  ) -> Result {
    let copies = texts.map { Array($0.utf8CString) }
    let bytes = copies.flatMap { $0 }
    return bytes.withUnsafeBufferPointer { bytes in
      withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>.self, capacity: texts.count) { pointers in
        guard let start = bytes.baseAddress, let first = pointers.baseAddress else {
          preconditionFailure("there are always options")
        }
        var offset = 0
        for (index, copy) in copies.enumerated() {
          (first + index).initialize(to: start + offset)
          offset += copy.count
        }
        return body(first)
      }
    }
  }

  private func check(_ status: CUDACompilerStatus, _ operation: String, _ expected: String) throws(DeviceError) {
    try CUDACompilation.check(compiler, status, operation, expected)
  }

  private static func check(
    _ compiler: CUDACompiler, _ status: CUDACompilerStatus, _ operation: String, _ expected: String
  ) throws(DeviceError) {
    guard status != 0 else { return }
    throw DeviceError(
      .driver, operation: operation, expected: expected, got: String(cString: compiler.errorText(status)),
      driverStatus: Int(status))
  }
}
