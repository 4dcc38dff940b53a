import Compute
import ComputeCUDA
import ComputeKernels
import Testing

extension EmulatedDeviceTests {
  /// Copies and kernels run on three streams; the emulator orders them by nothing but the events between them.
  @Suite("Copies and kernels are ordered by events alone") struct StreamTests {
    private let device: CUDADevice
    private let add: CUDAKernel

    init() throws {
      device = try CUDADevice(EmulatedCUDA.libraries(), ordinal: 0, options: EmulatedCUDA.options)
      add = try device.kernel(
        "add", of: device.build(ProgramSource(file: "portable/add.cl", constants: ["GROUP_SIZE": 64])))
    }

    private func host(_ value: Float, count: Int) throws -> HostBuffer {
      let host = try device.allocateHost(byteCount: count * 4)
      fill(host, value)
      return host
    }

    private func fill(_ host: HostBuffer, _ value: Float) {
      host.withMutableBytes(in: 0..<host.byteCount) { bytes in
        for index in 0..<bytes.byteCount / 4 { bytes.storeBytes(of: value, toByteOffset: index * 4, as: Float.self) }
      }
    }

    private func upload(_ value: Float, count: Int = 1000) throws -> Matrix {
      try Matrix(device.upload(host(value, count: count)), rows: 1, columns: count, elementType: .float32)
    }

    private func add(_ addend: Matrix, to sum: Matrix) throws {
      try device.launch(
        add, groups: 2, [.matrix(addend), .matrix(sum), .uint64(UInt64(sum.count))], operation: "add")
    }

    private func isFilled(_ host: HostBuffer, with value: Float) -> Bool {
      host.withBytes(in: 0..<host.byteCount) { bytes in
        (0..<bytes.byteCount / 4).allSatisfy { bytes.unsafeLoad(fromByteOffset: $0 * 4, as: Float.self) == value }
      }
    }

    @Test("a kernel waits for the uploads of its matrices", arguments: [false, true])
    func uploadBeforeKernel(early: Bool) throws {
      try EmulatedCUDA.runCopies(early: early)
      let (x, y) = (try upload(1), try upload(2))
      try add(x, to: y)
      let result = try device.allocateHost(byteCount: y.byteCount)
      try device.enqueueDownload(y, into: result).wait()
      #expect(isFilled(result, with: 3))
    }

    @Test("the time of copies is theirs, though they run on streams of their own")
    func timeOfCopies() throws {
      // Late, the copies run when something waits for them, which the event at the end has to do.
      try EmulatedCUDA.runCopies(early: false)
      let host = try host(1, count: 1 << 22)
      var sum = try upload(0, count: 1 << 22)
      let up = try device.time { () throws(DeviceError) in
        sum = try Matrix(device.upload(host), rows: 1, columns: sum.count, elementType: .float32)
      }
      let down = try device.time { () throws(DeviceError) in _ = try device.enqueueDownload(sum, into: host) }
      // No memory moves a terabyte a second.
      for time in [up, down] { #expect(time.seconds > Double(sum.byteCount) / 1e12, "\(time)") }
    }

    @Test("a download brings what was computed before it, not what comes later", arguments: [false, true])
    func downloadBetweenKernels(early: Bool) throws {
      try EmulatedCUDA.runCopies(early: early)
      let (x, sum) = (try upload(1), try upload(0))
      var transfers: [(host: HostBuffer, transfer: Transfer)] = []
      for _ in 0..<5 {
        try add(x, to: sum)
        let host = try device.allocateHost(byteCount: sum.byteCount)
        transfers.append((host, try device.enqueueDownload(sum, into: host)))
      }
      try add(x, to: sum)
      try device.synchronize()
      for (index, (host, transfer)) in transfers.enumerated() {
        try transfer.wait()
        #expect(isFilled(host, with: Float(index + 1)))
      }
    }

    @Test("a download waits for the upload of its matrix, where nothing was computed since", arguments: [false, true])
    func downloadOfAnUpload(early: Bool) throws {
      try EmulatedCUDA.runCopies(early: early)
      // Letting memory go notes where the compute stream is.
      _ = try upload(7)
      let fresh = try upload(9)
      let result = try device.allocateHost(byteCount: fresh.byteCount)
      try device.enqueueDownload(fresh, into: result).wait()
      #expect(isFilled(result, with: 9))
    }

    @Test(
      "memory that a kernel still reads is not overwritten by the upload that gets it next", arguments: [false, true])
    func reuseByUpload(early: Bool) throws {
      try EmulatedCUDA.runCopies(early: early)
      let sum = try upload(0, count: 1 << 10)
      for value in 1...6 { try add(upload(Float(value), count: 1 << 10), to: sum) }
      let result = try device.allocateHost(byteCount: sum.byteCount)
      try device.enqueueDownload(sum, into: result).wait()
      #expect(isFilled(result, with: 21))
    }

    @Test("memory that is still copied down is not overwritten by what gets it next", arguments: [false, true])
    func reuseDuringDownload(early: Bool) throws {
      try EmulatedCUDA.runCopies(early: early)
      let one = try upload(1)
      var transfers: [(host: HostBuffer, transfer: Transfer)] = []
      for value in 1...6 {
        // Odd ones by upload, even ones as memory that a kernel writes.
        let sum = try upload(Float(value))
        try add(one, to: sum)
        let host = try device.allocateHost(byteCount: sum.byteCount)
        transfers.append((host, try device.enqueueDownload(sum, into: host)))
      }
      try device.synchronize()
      for (index, (host, transfer)) in transfers.enumerated() {
        try transfer.wait()
        #expect(isFilled(host, with: Float(index + 2)))
      }
    }

    @Test("host memory that was dropped is not handed out while it is copied", arguments: [false, true])
    func hostMemoryInFlight(early: Bool) throws {
      try EmulatedCUDA.runCopies(early: early)
      let sum = try upload(0)
      for value in 1...4 { try add(upload(Float(value)), to: sum) }
      let result = try device.allocateHost(byteCount: sum.byteCount)
      try device.enqueueDownload(sum, into: result).wait()
      #expect(isFilled(result, with: 10))
      // After a synchronisation it may be changed, and the device keeps what it got.
      let host = try host(5, count: 1000)
      let matrix = try Matrix(device.upload(host), rows: 1, columns: 1000, elementType: .float32)
      try device.synchronize()
      fill(host, 9)
      try device.enqueueDownload(matrix, into: result).wait()
      #expect(isFilled(result, with: 5))
    }

    @Test("transfers may be waited for on another thread")
    func otherThread() async throws {
      try EmulatedCUDA.runCopies(early: false)
      let x = try upload(7)
      let host = try device.allocateHost(byteCount: x.byteCount)
      let transfer = try device.enqueueDownload(x, into: host)
      try await Task.detached { try transfer.wait() }.value
      #expect(isFilled(host, with: 7))
    }

    @Test("without events to wait for, the emulator shows it", arguments: [false, true])
    func missingEvents(early: Bool) throws {
      try EmulatedCUDA.runCopies(early: early)
      var libraries = try EmulatedCUDA.libraries()
      libraries.driver.waitForEvent = { _, _, _ in 0 }
      let device = try CUDADevice(libraries, ordinal: 0, options: EmulatedCUDA.options)
      let program = try device.build(ProgramSource(file: "portable/add.cl", constants: ["GROUP_SIZE": 64]))
      let add = try device.kernel("add", of: program)
      let sum = try Matrix(device.upload(host(0, count: 1000)), rows: 1, columns: 1000, elementType: .float32)
      for value in 1...3 {
        let term = try Matrix(
          device.upload(host(Float(value), count: 1000)), rows: 1, columns: 1000, elementType: .float32)
        try device.launch(add, groups: 2, [.matrix(term), .matrix(sum), .uint64(1000)], operation: "add")
      }
      let result = try device.allocateHost(byteCount: sum.byteCount)
      try device.enqueueDownload(sum, into: result).wait()
      #expect(!isFilled(result, with: 6))
      try device.synchronize()
    }

    @Test("memory is kept and taken again, and given back when the device runs out")
    func keptMemory() throws {
      try EmulatedCUDA.runCopies(early: false)
      try device.synchronize()
      let before = try EmulatedCUDA.allocatedBytes()
      for _ in 0..<20 { _ = try device.allocate(byteCount: 100 << 20) }
      #expect(try EmulatedCUDA.allocatedBytes() == before + (100 << 20))
      // Only without the kept block there is room for this one.
      let large = try device.allocate(byteCount: 1000 << 20)
      #expect(large.byteCount == 1000 << 20)
      let error = try #require(throws: DeviceError.self) { try device.allocate(byteCount: 100 << 20) }
      #expect(error.code == .outOfMemory)
      #expect(error.expected == "\(100 << 20) bytes")
      #expect(error.got.hasSuffix(" bytes free"))
    }
  }
}
