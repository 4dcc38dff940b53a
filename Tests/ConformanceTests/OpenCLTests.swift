import Compute
import ComputeKernels
import Conformance
import TestSupport
import Testing

@Suite("OpenCL gives what the formulas say", .serialized) struct OpenCLTests {
  @Test(
    "a device is there",
    .enabled(if: OpenCLDevices.areRequired || !OpenCLDevices.numbers.isEmpty, "no OpenCL device on this machine"))
  func isThere() {
    #expect(OpenCLDevices.absence == nil)
  }

  @Test("every case, on every device", arguments: OpenCLDevices.numbers)
  func cases(number: Int) throws {
    try check(OpenCLDevices.open(number))
  }

  @Test("every case, with the least that a device may have for a work-group", arguments: OpenCLDevices.numbers)
  func smallGroups(number: Int) throws {
    try check(
      OpenCLDevices.open(number, limits: KernelLimits(groupSize: 64, localMemory: 16 << 10, computeUnits: 1)))
  }

  @Test("groups that are too small for any kernel are refused", arguments: OpenCLDevices.numbers)
  func tooSmall(number: Int) throws {
    for limits in [
      KernelLimits(groupSize: 32, localMemory: 64 << 10, computeUnits: 1),
      KernelLimits(groupSize: 256, localMemory: 4 << 10, computeUnits: 1),
    ] {
      let error = try #require(throws: DeviceError.self) { try OpenCLDevices.open(number, limits: limits) }
      #expect(error.code == .unavailable)
    }
  }

  @Test(
    "numbers that are out of range leave their rows NaN and all other memory alone", arguments: OpenCLDevices.numbers)
  func outOfRange(number: Int) throws {
    let backend = try OpenCLDevices.open(number)
    let numbers = try backend.upload([-1, 0, 2, 1 << 30] as [Int32], columns: 1)

    let table = try backend.upload([1, 2, 3, 4] as [Float], columns: 2)
    let states = try backend.allocate(rows: 4, columns: 2)
    try backend.embeddingLookup(tokens: numbers, table: table, into: states)
    let rows = try backend.download(states)
    #expect(Array(rows[2..<4]) == [1, 2])
    #expect((rows[..<2] + rows[4...]).allSatisfy { $0.isNaN })

    let turned = try backend.upload([1, 2, 3, 4, 5, 6, 7, 8] as [Float], columns: 2)
    let (cosines, sines) = (
      try backend.upload([1, 1] as [Float], columns: 1), try backend.upload([0, 0] as [Float], columns: 1)
    )
    try backend.rotaryEmbedding(turned, headDimension: 2, positions: numbers, cosines: cosines, sines: sines)
    let heads = try backend.download(turned)
    #expect(Array(heads[2..<4]) == [3, 4])
    #expect((heads[..<2] + heads[4...]).allSatisfy { $0.isNaN })

    let points = try backend.upload([1, 2, 4, 8] as [Float], columns: 1)
    let centroids = try backend.upload([16, 32] as [Float], columns: 1)
    try backend.updateCentroids(points: points, clusters: numbers, centroids: centroids)
    #expect(try backend.download(centroids) == [2, 32])
  }

  @Test("heads that are too long are refused as unsupported", arguments: OpenCLDevices.numbers)
  func longHeads(number: Int) throws {
    let backend = try OpenCLDevices.open(number)
    let sequences = try PackedSequences(lengths: [1], on: backend)
    let states = try backend.allocate(rows: 1, columns: 513)
    let error = try #require(throws: DeviceError.self) {
      try backend.attention(
        queries: states, keys: states, values: states, sequences: sequences,
        shape: AttentionShape(queryHeads: 1, keyValueHeads: 1, headDimension: 513, scale: 1), into: states)
    }
    #expect(error.code == .unsupported)
  }

  @Test(
    "more memory than there is: the error says how much was asked for and how much is left",
    arguments: OpenCLDevices.numbers)
  func outOfMemory(number: Int) throws {
    let backend = try OpenCLDevices.open(number)
    let error = try #require(throws: DeviceError.self) { try backend.allocate(byteCount: 1 << 50) }
    #expect(error.code == .outOfMemory)
    #expect(error.expected == "\(1 << 50) bytes")
    #expect(error.got.hasPrefix("\(backend.device.memory) of \(backend.device.memory) bytes"))
  }

  @Test("the device's own clock times what runs between two events", arguments: OpenCLDevices.numbers)
  func time(number: Int) throws {
    let backend = try OpenCLDevices.open(number)
    let (source, copy) = (try backend.allocate(rows: 1, columns: 4096), try backend.allocate(rows: 1, columns: 4096))
    let time = try backend.time { () throws(DeviceError) in try backend.copy(source, into: copy) }
    #expect(time.clock == .device)
    #expect(time.seconds > 0 && time.seconds < 60)
  }

  private func check(_ backend: any ComputeBackend) throws {
    for operationCase in OperationCase.all {
      let report = operationCase.check(on: backend)
      #expect(report.outcome == .passed, "\(operationCase.name) on \(backend.device.name)")
    }
  }
}
