import Compute
import ComputeCPU
import Testing

@Suite("The processor keeps what it promises beyond the contract", .serialized) struct ProcessorTests {
  @Test("with the loops built in, neither other rows nor the number of threads change a row of a product")
  func rowsAreIndependent() throws {
    let (rows, depth, columns) = (29, 515, 203)
    let numbers = (0..<rows * depth).map { Float($0 * 7919 % 1009) / 1009 - 0.5 }
    let one = try CPUBackend(CPUBackend.Options(threads: 1, usesBLAS: false))
    let several = try CPUBackend(CPUBackend.Options(threads: 3, usesBLAS: false))
    let weightNumbers = (0..<columns * depth).map { Float($0 * 104_729 % 997) / 997 - 0.5 }

    func product(_ first: Int, _ count: Int, on backend: CPUBackend) throws -> [Float] {
      let a = try backend.upload(numbers, columns: depth).rows(first..<first + count)
      let weights = try backend.upload(weightNumbers, columns: depth)
      let out = try backend.allocate(rows: count, columns: columns)
      try backend.multiply(a, transposed: weights, bias: nil, into: out)
      return try backend.download(out)
    }

    let all = try product(0, rows, on: several)
    #expect(try product(0, rows, on: one) == all)
    for row in [0, 13, 28] {
      #expect(try product(row, 1, on: several) == Array(all[row * columns..<(row + 1) * columns]))
    }
  }

  @Test("host memory is shared, page aligned, and lives as long as the device buffer")
  func sharedMemory() throws {
    let backend = try CPUBackend()
    for byteCount in [0, 1, 4096, 3 << 20] {
      var host: HostBuffer? = try backend.allocateHost(byteCount: byteCount)
      let buffer = try backend.upload(#require(host))
      #expect(buffer.handle == UInt(bitPattern: host?.address))
      #expect(buffer.handle % 4096 == 0)
      host?.withMutableBytes(in: 0..<byteCount) { bytes in
        for index in 0..<byteCount { bytes.storeBytes(of: 7, toByteOffset: index, as: UInt8.self) }
      }
      host = nil
      let copy = try backend.allocateHost(byteCount: byteCount)
      try backend.download(Matrix(buffer, rows: 1, columns: byteCount / 2, elementType: .bfloat16), into: copy)
      copy.withBytes(in: 0..<byteCount / 2 * 2) { bytes in
        #expect((0..<bytes.byteCount).allSatisfy { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) == 7 })
      }
    }
  }

  @Test("more memory than there is: the error says how much was asked for and how much is free")
  func outOfMemory() throws {
    let backend = try CPUBackend()
    let error = try #require(throws: DeviceError.self) { try backend.allocate(byteCount: 1 << 50) }
    #expect(error.code == .outOfMemory)
    #expect(error.expected == "\(1 << 50) bytes")
    #expect(error.got.hasSuffix(" bytes free"))
    #expect(throws: DeviceError.self) { try backend.allocateHost(byteCount: -1) }
  }

  @Test("host memory that is too small for a download")
  func smallHost() throws {
    let backend = try CPUBackend()
    let host = try backend.allocateHost(byteCount: 8)
    let error = try #require(throws: DeviceError.self) {
      try backend.download(backend.allocate(rows: 1, columns: 3), into: host)
    }
    #expect(error.code == .invalidArgument)
  }

  @Test("the description names threads, instruction set and CBLAS")
  func description() throws {
    let device = try CPUBackend(CPUBackend.Options(threads: 2, usesBLAS: false)).device
    #expect(device.backend == "cpu")
    #expect(device.memory > 1 << 28)
    #expect(device.details == ["2 threads", CPUBackend.instructionSets[0], "CBLAS not used by choice"])
  }
}
