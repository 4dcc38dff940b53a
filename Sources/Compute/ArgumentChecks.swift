/// The checks of one operation's arguments, made by every backend before any memory is touched.
package struct ArgumentChecks {
  /// The operation, as it is named in errors.
  package let operation: String

  /// Checks for an operation.
  package init(operation: String) { self.operation = operation }

  /// Requires a shape and one of some element types, and elements aligned to their size.
  package func matrix(
    _ matrix: Matrix, _ name: String, rows: Int, columns: Int, _ types: [ElementType] = [.float32]
  ) throws(DeviceError) {
    guard matrix.rows == rows, matrix.columns == columns, types.contains(matrix.elementType) else {
      let type = types.map(\.rawValue).joined(separator: " or ")
      throw invalid("\(name) \(type) [\(rows), \(columns)]", Self.describe(matrix))
    }
    guard matrix.byteOffset % matrix.elementType.byteCount == 0 else {
      throw invalid(
        "\(name) aligned to \(matrix.elementType.byteCount) bytes", "it starts at byte \(matrix.byteOffset)")
    }
  }

  /// Requires a condition.
  package func require(_ condition: Bool, _ expected: String, got: @autoclosure () -> String) throws(DeviceError) {
    guard condition else { throw invalid(expected, got()) }
  }

  /// The error for an argument that does not fit.
  package func invalid(_ expected: String, _ got: String) -> DeviceError {
    DeviceError(.invalidArgument, operation: operation, expected: expected, got: got)
  }

  private static func describe(_ matrix: Matrix) -> String {
    "\(matrix.elementType.rawValue) [\(matrix.rows), \(matrix.columns)]"
  }
}

extension ElementType {
  /// The types that weights may have.
  package static let weights: [ElementType] = [.float32, .float16, .bfloat16]
  /// All floating point types.
  package static let floating: [ElementType] = [.float64, .float32, .float16, .bfloat16]
}
