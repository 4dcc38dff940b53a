import CCUDA
import Compute
import ComputeCUDA
import ComputeKernels
import Conformance
import Foundation
import Testing

/// Every kernel, with every set of constants that the operations ask for, as NVIDIA's own compiler sees it.
///
/// It needs no GPU; `RECALL_TEST_NVRTC` names the directory of its library, and `Tests/run` sets it.
@Suite("NVRTC compiles every kernel for every architecture", .enabled(if: NVRTC.directory != nil))
struct CompilationTests {
  /// From the oldest architecture that NVRTC 13 knows to Blackwell.
  private static let architectures = [75, 80, 86, 89, 90, 100]

  @Test("to machine code that keeps everything in registers", arguments: architectures)
  func machineCode(architecture: Int) throws {
    let compilation = try NVRTC.compilation()
    #expect(try compilation.target(for: architecture) == .machine(architecture))
    let sources = try CompiledSources.all().filter { architecture >= 80 || $0.file != "CUDA/attention.cu" }
    #expect(sources.count > 20)
    #expect(architecture < 80 || sources.contains { $0.file == "CUDA/attention.cu" })
    for source in sources {
      let (image, log) = try compilation.compile(
        source, for: .machine(architecture), further: ["--ptxas-options=-v"])
      #expect(Array(image.prefix(4)) == [0x7f] + Array("ELF".utf8))
      let uses = log.split(separator: "\n").filter { $0.contains("bytes stack frame") }
      #expect(!uses.isEmpty, "\(source.file): no word about registers in the log")
      for use in uses {
        let numbers = use.split { !$0.isNumber }.compactMap { Int($0) }
        #expect(numbers.count == 3)
        #expect(
          numbers.allSatisfy { $0 <= allowed(source) }, "\(source.file) \(source.options) for \(architecture): \(use)")
      }
    }
  }

  /// The bytes of local memory that a kernel may use: none, but for one word around a division outside of all loops of
  /// `layerNorm`, and one pointer of sixteen on Turing.
  private func allowed(_ source: ProgramSource) -> Int {
    let isCool = source.file == "portable/normalisation.cl" || source.constants["INPUTS"] == 16
    return isCool ? 8 : 0
  }

  @Test("to assembly for devices that come later")
  func assembly() throws {
    let compilation = try NVRTC.compilation()
    let target = try compilation.target(for: 990)
    guard case .assembly = target else {
      Issue.record("\(target) for a device that does not exist yet")
      return
    }
    for source in try CompiledSources.all() {
      let text = String(decoding: try compilation.compile(source, for: target).image, as: UTF8.self)
      #expect(text.contains(".entry"), "\(source.file)")
    }
  }
}

/// Which kernel computes an attention, on a device with tensor cores.
@Suite("Attention goes to tensor cores where they serve") struct AttentionKernelTests {
  @Test(
    "and elsewhere to the portable kernel, as its roundoff says",
    arguments: [
      (128, ElementType.bfloat16, true), (24, .bfloat16, true), (104, .bfloat16, false), (33, .bfloat16, false),
      (256, .bfloat16, false), (128, .float16, false), (128, .float32, false),
    ])
  func kernel(dimension: Int, type: ElementType, isOnTensorCores: Bool) throws {
    let device = RecordingDevice()
    let backend = try KernelBackend(device)
    let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, headDimension: dimension, scale: 1)
    let states = try backend.allocate(rows: 3, columns: dimension)
    try backend.attention(
      queries: states, keys: states, values: states, sequences: PackedSequences(lengths: [3], on: backend),
      shape: shape, into: backend.allocate(rows: 3, columns: dimension, type))
    #expect(device.sources.map(\.file) == [isOnTensorCores ? "CUDA/attention.cu" : "portable/attention.cl"])
    #expect(backend.attentionRoundoff(shape, into: type) == (isOnTensorCores ? 0x1p-8 : 0))
  }
}

/// What waits, by the contract: downloads and synchronisation alone.
@Suite("Uploads do not wait") struct UploadTests {
  @Test("numbers go to a device without a synchronisation, and their host memory lives on until they are there")
  func numbers() throws {
    let device = RecordingDevice()
    let backend = try KernelBackend(device)
    _ = try backend.upload([1, 2] as [Float], columns: 2)
    _ = try backend.upload([1, 2] as [Int32], columns: 1)
    #expect(device.waits == 0)
    try backend.synchronize()
    #expect(device.waits == 1)
  }
}

/// NVIDIA's compiler.
enum NVRTC {
  /// Where its library is; `nil` where it is not to be tested.
  static var directory: String? { ProcessInfo.processInfo.environment["RECALL_TEST_NVRTC"] }

  /// Opens it.
  static func compilation() throws -> CUDACompilation {
    let directory = try #require(directory)
    let names = try FileManager.default.contentsOfDirectory(atPath: directory)
    let name = try #require(names.first { $0.hasPrefix("libnvrtc.so.") })
    return try withUnsafeTemporaryAllocation(of: CUDACompiler.self, capacity: 1) { compiler in
      var reason = [CChar](repeating: 0, count: 512)
      let place = try #require(compiler.baseAddress)
      try #require(CUDACompilerOpen("\(directory)/\(name)", place, &reason, reason.count), "\(name) does not open")
      return try CUDACompilation(place.pointee)
    }
  }
}

/// What has to compile: what the operations ask a device for in all conformance cases and benchmarks, for heads of the usual
/// sizes, and what surrounds the products of cuBLAS.
enum CompiledSources {
  static func all() throws -> [ProgramSource] {
    let device = RecordingDevice()
    let backend = try KernelBackend(device)
    for operationCase in OperationCase.all { _ = operationCase.time(on: backend, repetitions: 0) }
    for dimension in [24, 64, 80, 96, 112, 128, 256] {
      let sequences = try PackedSequences(lengths: [3], on: backend)
      let states = try backend.allocate(rows: 3, columns: dimension)
      let shape = AttentionShape(queryHeads: 1, keyValueHeads: 1, headDimension: dimension, scale: 1)
      let out = try backend.allocate(rows: 3, columns: dimension)
      let narrow = try backend.allocate(rows: 3, columns: dimension, .bfloat16)
      let numbers = try backend.allocate(rows: 3, columns: 1)
      try backend.attention(
        queries: states, keys: states, values: states, sequences: sequences, shape: shape, into: out)
      try backend.attention(
        queries: states, keys: states, values: states, sequences: sequences, shape: shape, into: narrow)
      // Its program has both kernels of patterns.
      try backend.attentionNormalisers(queries: states, keys: states, sequences: sequences, shape: shape, into: numbers)
    }
    return (device.sources.union(CUDADevice.ownSources)).sorted {
      ($0.file, $0.options.joined()) < ($1.file, $1.options.joined())
    }
  }
}

/// A device that computes nothing and notes which programs it is asked for, with the limits of NVIDIA's devices.
private final class RecordingDevice: KernelDevice {
  var sources: Set<ProgramSource> = []
  var waits = 0
  let description = DeviceDescription(
    backend: "recording", name: "none", kind: .accelerator, memory: 0, nativeTypes: [], details: [])
  let limits = KernelLimits(groupSize: 1024, localMemory: 48 << 10, computeUnits: 132)
  let hasTensorCores = true
  var products: (any MatrixProducts)? { nil }

  func allocate(byteCount: Int) throws(DeviceError) -> DeviceBuffer {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(1, byteCount), alignment: 256)
    return DeviceBuffer(byteCount: byteCount, handle: UInt(bitPattern: memory)) { memory.deallocate() }
  }

  func allocateHost(byteCount: Int) throws(DeviceError) -> HostBuffer {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(1, byteCount), alignment: 256)
    return HostBuffer(byteCount: byteCount, address: memory) { $0.deallocate() }
  }

  func upload(_ host: HostBuffer) throws(DeviceError) -> DeviceBuffer { try allocate(byteCount: host.byteCount) }
  func enqueueDownload(_ matrix: Matrix, into host: HostBuffer) throws(DeviceError) -> Transfer { .arrived }
  func enqueueCopy(_ source: Matrix, into destination: Matrix) throws(DeviceError) {}
  func synchronize() throws(DeviceError) { waits += 1 }
  func time(_ operations: () throws(DeviceError) -> Void) throws(DeviceError) -> DeviceTime {
    try operations()
    return DeviceTime(seconds: 0, clock: .host)
  }

  func build(_ source: ProgramSource) throws(DeviceError) -> ProgramSource {
    sources.insert(source)
    return source
  }

  func kernel(_ entry: String, of program: ProgramSource) throws(DeviceError) -> String { entry }
  func launch(
    _ kernel: String, groups: Int, _ arguments: [KernelArgument], operation: String
  ) throws(DeviceError) {}
}
