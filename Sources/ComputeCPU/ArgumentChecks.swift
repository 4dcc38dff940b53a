import CVector
import Compute

/// The checks of one operation's arguments, made before any memory is touched.
struct ArgumentChecks {
  /// The operation, as it is named in errors.
  let operation: String

  /// Requires a shape and one of some element types, and elements aligned to their size.
  func matrix(
    _ matrix: Matrix, _ name: String, rows: Int, columns: Int, _ types: [ElementType] = [.float32]
  ) throws(DeviceError) {
    guard matrix.rows == rows, matrix.columns == columns, types.contains(matrix.elementType) else {
      let type = types.map(\.rawValue).joined(separator: " or ")
      throw invalid("\(name) \(type) [\(rows), \(columns)]", Self.describe(matrix))
    }
    guard (Int(bitPattern: matrix.buffer.handle) + matrix.byteOffset) % matrix.elementType.byteCount == 0 else {
      throw invalid(
        "\(name) aligned to \(matrix.elementType.byteCount) bytes", "it starts at byte \(matrix.byteOffset)")
    }
  }

  /// Requires every number of an `int32` matrix to lie in a range.
  func numbers(_ matrix: Matrix, _ name: String, in range: Range<Int>) throws(DeviceError) {
    let numbers = UnsafeBufferPointer(start: matrix.integers, count: matrix.count)
    guard let index = numbers.firstIndex(where: { !range.contains(Int($0)) }) else { return }
    throw invalid("\(name) in \(range)", "\(numbers[index]) at row \(index)")
  }

  /// Requires a condition.
  func require(_ condition: Bool, _ expected: String, got: @autoclosure () -> String) throws(DeviceError) {
    guard condition else { throw invalid(expected, got()) }
  }

  private func invalid(_ expected: String, _ got: String) -> DeviceError {
    DeviceError(.invalidArgument, operation: operation, expected: expected, got: got)
  }

  private static func describe(_ matrix: Matrix) -> String {
    "\(matrix.elementType.rawValue) [\(matrix.rows), \(matrix.columns)]"
  }
}

extension ElementType {
  /// The types that weights may have.
  static let weights: [ElementType] = [.float32, .float16, .bfloat16]
  /// All floating point types.
  static let floating: [ElementType] = [.float64, .float32, .float16, .bfloat16]

  /// What the loops call a floating point type.
  var format: ElementFormat {
    switch self {
    case .float64: FormatFloat64
    case .float32: FormatFloat32
    case .float16: FormatFloat16
    case .bfloat16: FormatBFloat16
    case .int32: preconditionFailure("whole numbers have no floating point format")
    }
  }
}
