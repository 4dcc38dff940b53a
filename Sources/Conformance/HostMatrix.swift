import Compute

/// A matrix in host memory: what its elements are, and their bytes.
struct HostMatrix: Sendable {
  let rows: Int
  let columns: Int
  let elementType: ElementType
  /// The elements, row after row, exactly as the bytes hold them; only the first of them in a matrix that repeats itself.
  let values: [Double]
  /// The elements as a device sees them, little endian.
  let bytes: [UInt8]

  /// Rounds numbers to the element type.
  init(rows: Int, columns: Int, _ elementType: ElementType = .float32, values: [Double]) {
    let format = NumberFormat(elementType)
    let bits = values.map { value in
      elementType == .int32 ? UInt64(UInt32(bitPattern: Int32(value))) : format.bits(of: value)
    }
    self.init(rows: rows, columns: columns, elementType, bits: bits)
  }

  /// Takes the elements bit by bit.
  init(rows: Int, columns: Int, _ elementType: ElementType, bits: [UInt64]) {
    precondition(bits.count == rows * columns, "a value for every element")
    let format = NumberFormat(elementType)
    self.rows = rows
    self.columns = columns
    self.elementType = elementType
    values = bits.map { bits in
      elementType == .int32 ? Double(Int32(truncatingIfNeeded: bits)) : format.value(of: bits)
    }
    bytes = bits.flatMap { bits in
      (0..<elementType.byteCount).map { UInt8(truncatingIfNeeded: bits >> UInt64(8 * $0)) }
    }
  }

  /// Reads the elements from bytes.
  init(rows: Int, columns: Int, _ elementType: ElementType, bytes: ArraySlice<UInt8>) {
    let size = elementType.byteCount
    let bits = (0..<rows * columns).map { index in
      (0..<size).reduce(UInt64(0)) { $0 | UInt64(bytes[bytes.startIndex + index * size + $1]) << UInt64(8 * $1) }
    }
    self.init(rows: rows, columns: columns, elementType, bits: bits)
  }

  /// Repeats the elements of a block until the matrix is full.
  init(rows: Int, columns: Int, repeating block: HostMatrix) {
    self.rows = rows
    self.columns = columns
    elementType = block.elementType
    values = block.values
    let byteCount = rows * columns * elementType.byteCount
    var bytes = block.bytes
    bytes.reserveCapacity(byteCount)
    while bytes.count < byteCount { bytes += block.bytes.prefix(byteCount - bytes.count) }
    self.bytes = bytes
  }

  /// A matrix of the same shape with every element replaced; one that repeats itself repeats the results.
  func mapped(_ replacement: (_ index: Int, _ value: Double) -> Double) -> HostMatrix {
    let block = HostMatrix(
      rows: 1, columns: values.count, elementType, values: values.indices.map { replacement($0, values[$0]) })
    return HostMatrix(rows: rows, columns: columns, repeating: block)
  }

  /// One element.
  subscript(row: Int, column: Int) -> Double { values[row * columns + column] }

  /// One row.
  func row(_ row: Int) -> ArraySlice<Double> { values[row * columns..<(row + 1) * columns] }

  /// Its shape and type, such as `[3, 5] bfloat16`.
  var description: String { "[\(rows), \(columns)] \(elementType.rawValue)" }
}
