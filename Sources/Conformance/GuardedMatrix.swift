import Compute

/// A matrix on a device with known bytes before and after it.
struct GuardedMatrix {
  /// The view that the operation gets.
  let matrix: Matrix
  private let original: HostMatrix
  private let isInput: Bool
  private let backend: any ComputeBackend
  /// Where it starts in its memory.
  private let start: Int

  /// Not a number in every format, so that a result shows what was read there.
  private static let sentinel: UInt8 = 0xFF
  /// The bytes on either side; a multiple of the alignment that devices like.
  private static let margin = 256

  /// Puts a matrix on a device, so many elements behind what devices like.
  init(
    _ original: HostMatrix, isInput: Bool, offset: Int, on backend: any ComputeBackend
  ) throws(DeviceError) {
    start = Self.margin + offset * original.elementType.byteCount
    let bytes =
      [UInt8](repeating: Self.sentinel, count: start) + original.bytes
      + [UInt8](repeating: Self.sentinel, count: Self.margin)
    let host = try backend.allocateHost(byteCount: bytes.count)
    host.withMutableBytes(in: 0..<bytes.count) { memory in
      memory.withUnsafeMutableBytes { $0.copyBytes(from: bytes) }
    }
    let buffer = try backend.upload(host)
    try backend.synchronize()
    matrix = try Matrix(
      buffer, byteOffset: start, rows: original.rows, columns: original.columns,
      elementType: original.elementType)
    self.original = original
    self.isInput = isInput
    self.backend = backend
  }

  /// What the matrix holds now.
  func content() throws(DeviceError) -> HostMatrix {
    let bytes = try allBytes()
    return HostMatrix(
      rows: matrix.rows, columns: matrix.columns, matrix.elementType,
      bytes: bytes[start..<start + original.bytes.count])
  }

  /// What was changed that must not be; `nil` when nothing was.
  func damage() throws(DeviceError) -> String? {
    let bytes = try allBytes()
    let end = start + original.bytes.count
    if let index = bytes[..<start].firstIndex(where: { $0 != Self.sentinel }) {
      return "written \(start - index) bytes before its start"
    }
    if let index = bytes[end...].firstIndex(where: { $0 != Self.sentinel }) {
      return "written \(index - end) bytes behind its end"
    }
    if isInput && !bytes[start..<end].elementsEqual(original.bytes) { return "an input was changed" }
    return nil
  }

  private func allBytes() throws(DeviceError) -> [UInt8] {
    // All element types take an even number of bytes.
    let count = matrix.buffer.byteCount
    let whole = try Matrix(matrix.buffer, rows: 1, columns: count / 2, elementType: .bfloat16)
    let host = try backend.allocateHost(byteCount: count)
    try backend.download(whole, into: host)
    return host.withBytes(in: 0..<count) { memory in memory.withUnsafeBytes { Array($0) } }
  }
}
