import Compute
import Glibc

extension CPUBackend {
  /// Reserves page-aligned memory; its content is undefined.
  ///
  /// - Throws: `DeviceError.Code.outOfMemory` with the size asked for and the size free.
  public func allocate(byteCount: Int) throws(DeviceError) -> DeviceBuffer {
    let memory = try HostMemory.allocate(byteCount: byteCount)
    return DeviceBuffer(byteCount: byteCount, handle: UInt(bitPattern: memory)) {
      HostMemory.release(memory, byteCount: byteCount)
    }
  }

  /// Reserves page-aligned memory; its content is undefined.
  ///
  /// - Throws: `DeviceError.Code.outOfMemory` with the size asked for and the size free.
  public func allocateHost(byteCount: Int) throws(DeviceError) -> HostBuffer {
    let memory = try HostMemory.allocate(byteCount: byteCount)
    return HostBuffer(byteCount: byteCount, address: memory) { HostMemory.release($0, byteCount: byteCount) }
  }

  /// Hands out the same memory, which lives as long as the longer-lived of the two buffers.
  public func upload(_ host: HostBuffer) throws(DeviceError) -> DeviceBuffer {
    DeviceBuffer(byteCount: host.byteCount, handle: UInt(bitPattern: host.address)) { withExtendedLifetime(host) {} }
  }

  /// Copies a matrix to the start of host memory, where it is when the call returns.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` when the host memory is too small.
  public func enqueueDownload(_ matrix: Matrix, into host: HostBuffer) throws(DeviceError) -> Transfer {
    try ArgumentChecks.download(matrix, into: host)
    // A matrix in the very memory that it is wanted in, as `upload` hands it out, is there already.
    if host.address != matrix.address { memmove(host.address, matrix.address, matrix.byteCount) }
    return .arrived
  }

  /// Copies a matrix into another, on all threads.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes or element types that differ.
  public func copy(_ source: Matrix, into destination: Matrix) throws(DeviceError) {
    try ArgumentChecks.copy(source, into: destination)

    let (input, output) = (source.address, destination.address)
    workers.forEach(source.byteCount, grain: Self.copyGrain) { _, piece in
      memmove(output + piece.lowerBound, input + piece.lowerBound, piece.count)
    }
  }

  /// The bytes of one piece of a copy: enough for the C library to write past the caches, where it can.
  private static let copyGrain = 8 << 20
}

extension Matrix {
  /// Where the first element lies.
  var address: UnsafeMutableRawPointer {
    guard let start = UnsafeMutableRawPointer(bitPattern: buffer.handle) else {
      preconditionFailure("a device buffer that no CPU backend made")
    }
    return start + byteOffset
  }

  /// The elements of a `float32` matrix.
  var floats: UnsafeMutablePointer<Float> { address.assumingMemoryBound(to: Float.self) }

  /// The elements of an `int32` matrix.
  var integers: UnsafeMutablePointer<Int32> { address.assumingMemoryBound(to: Int32.self) }
}
