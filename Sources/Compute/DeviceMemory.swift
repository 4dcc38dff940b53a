/// A block of memory on a device, freed when the last reference to it goes.
///
/// Not `Sendable`: it belongs to the backend that made it and never leaves that backend's queue.
public final class DeviceBuffer {
  /// The size in bytes.
  public let byteCount: Int
  /// What the backend knows the memory by: an address or a driver's handle.
  public let handle: UInt
  private let release: () -> Void

  /// Wraps memory that a backend allocated; `release` returns it.
  public init(byteCount: Int, handle: UInt, release: @escaping () -> Void) {
    self.byteCount = byteCount
    self.handle = handle
    self.release = release
  }

  deinit { release() }
}

/// A row-major matrix `[rows, columns]` inside a device buffer; copies share the memory.
public struct Matrix {
  /// The memory.
  public let buffer: DeviceBuffer
  /// Where the first element lies in the buffer, in bytes.
  public let byteOffset: Int
  /// The number of rows.
  public let rows: Int
  /// The number of columns, which is also the distance between rows.
  public let columns: Int
  /// The format of every element.
  public let elementType: ElementType

  /// A view of a buffer.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` when the elements do not lie inside the buffer.
  public init(
    _ buffer: DeviceBuffer, byteOffset: Int = 0, rows: Int, columns: Int, elementType: ElementType
  ) throws(DeviceError) {
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    let capacity = (buffer.byteCount - byteOffset) / elementType.byteCount
    guard rows >= 0, columns >= 0, byteOffset >= 0, byteOffset <= buffer.byteCount, !overflow, count <= capacity else {
      throw DeviceError(
        .invalidArgument, operation: "view memory as a matrix",
        expected: "[\(rows), \(columns)] \(elementType.rawValue) inside \(buffer.byteCount) bytes",
        got: "it starts at byte \(byteOffset)")
    }
    self.buffer = buffer
    self.byteOffset = byteOffset
    self.rows = rows
    self.columns = columns
    self.elementType = elementType
  }

  /// The number of elements.
  public var count: Int { rows * columns }

  /// The number of bytes that the elements take.
  public var byteCount: Int { count * elementType.byteCount }

  /// The same elements in rows of another length.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` when the number of elements differs.
  public func reshaped(rows: Int, columns: Int) throws(DeviceError) -> Matrix {
    guard rows * columns == count else {
      throw DeviceError(
        .invalidArgument, operation: "reshape", expected: "\(count) elements", got: "[\(rows), \(columns)]")
    }
    return try Matrix(buffer, byteOffset: byteOffset, rows: rows, columns: columns, elementType: elementType)
  }

  /// Consecutive rows of the same matrix.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` when the rows are not all there.
  public func rows(_ range: Range<Int>) throws(DeviceError) -> Matrix {
    guard range.lowerBound >= 0, range.upperBound <= rows else {
      throw DeviceError(.invalidArgument, operation: "take rows", expected: "rows in 0..<\(rows)", got: "\(range)")
    }
    let offset = byteOffset + range.lowerBound * columns * elementType.byteCount
    return try Matrix(buffer, byteOffset: offset, rows: range.count, columns: columns, elementType: elementType)
  }
}

/// A block of host memory that a device can reach fast: pinned where that matters, page aligned everywhere.
///
/// Readers fill it, devices take it up, writers empty it; one of them at a time, which the owner has to see to.
public final class HostBuffer: @unchecked Sendable {
  /// The size in bytes.
  public let byteCount: Int
  /// The first byte; for backends only.
  public let address: UnsafeMutableRawPointer
  private let release: @Sendable (UnsafeMutableRawPointer) -> Void

  /// Wraps memory that a backend allocated; `release` returns it.
  public init(
    byteCount: Int, address: UnsafeMutableRawPointer, release: @escaping @Sendable (UnsafeMutableRawPointer) -> Void
  ) {
    self.byteCount = byteCount
    self.address = address
    self.release = release
  }

  deinit { release(address) }

  /// The first bytes as a buffer of their own, which keeps the whole alive: less to upload.
  public func prefix(_ byteCount: Int) -> HostBuffer {
    precondition(byteCount >= 0 && byteCount <= self.byteCount, "a range outside of the host buffer")
    return HostBuffer(byteCount: byteCount, address: address) { _ in withExtendedLifetime(self) {} }
  }

  /// Lends part of the memory for reading.
  public func withBytes<Result, Problem: Error>(
    in range: Range<Int>, _ body: (RawSpan) throws(Problem) -> Result
  ) throws(Problem) -> Result {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "a range outside of the host buffer")
    return try body(RawSpan(_unsafeStart: address + range.lowerBound, byteCount: range.count))
  }

  /// Lends part of the memory for writing.
  public func withMutableBytes<Result, Problem: Error>(
    in range: Range<Int>, _ body: (inout MutableRawSpan) throws(Problem) -> Result
  ) throws(Problem) -> Result {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "a range outside of the host buffer")
    var span = MutableRawSpan(_unsafeStart: address + range.lowerBound, byteCount: range.count)
    return try body(&span)
  }
}
