/// A rectangle of a `float32` matrix, or the transpose of one, as a term of a product.
public struct MatrixBlock {
  /// The matrix that it is cut from.
  public let matrix: Matrix
  /// Its rows in the matrix.
  public let rowRange: Range<Int>
  /// Its columns in the matrix.
  public let columnRange: Range<Int>
  /// Whether its transpose is meant.
  public let isTransposed: Bool

  init(_ matrix: Matrix, rows: Range<Int>, columns: Range<Int>, isTransposed: Bool) {
    self.matrix = matrix
    rowRange = rows
    columnRange = columns
    self.isTransposed = isTransposed
  }

  /// The number of rows, of the transpose where that is meant.
  public var rows: Int { isTransposed ? columnRange.count : rowRange.count }

  /// The number of columns, of the transpose where that is meant.
  public var columns: Int { isTransposed ? rowRange.count : columnRange.count }

  /// The elements from one stored row to the next.
  public var stride: Int { matrix.columns }

  /// The transpose of the same rectangle.
  public var transposed: MatrixBlock {
    MatrixBlock(matrix, rows: rowRange, columns: columnRange, isTransposed: !isTransposed)
  }

  /// The memory from the first element of the rectangle to its last, as one row.
  package var extent: Matrix {
    get throws(DeviceError) {
      let isEmpty = rowRange.isEmpty || columnRange.isEmpty
      let first = isEmpty ? 0 : rowRange.lowerBound * stride + columnRange.lowerBound
      let count = isEmpty ? 0 : (rowRange.count - 1) * stride + columnRange.count
      return try Matrix(
        matrix.buffer, byteOffset: matrix.byteOffset + first * matrix.elementType.byteCount, rows: 1, columns: count,
        elementType: matrix.elementType)
    }
  }
}

extension Matrix {
  /// All of the matrix as a term of a product.
  public var block: MatrixBlock { MatrixBlock(self, rows: 0..<rows, columns: 0..<columns, isTransposed: false) }

  /// The transpose of the matrix as a term of a product.
  public var transposed: MatrixBlock { block.transposed }

  /// A rectangle of the matrix.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` when it is not all there.
  public func block(rows: Range<Int>, columns: Range<Int>) throws(DeviceError) -> MatrixBlock {
    guard rows.lowerBound >= 0, rows.upperBound <= self.rows, columns.lowerBound >= 0,
      columns.upperBound <= self.columns
    else {
      throw DeviceError(
        .invalidArgument, operation: "take a block", expected: "a block of [\(self.rows), \(self.columns)]",
        got: "rows \(rows), columns \(columns)")
    }
    return MatrixBlock(self, rows: rows, columns: columns, isTransposed: false)
  }
}
