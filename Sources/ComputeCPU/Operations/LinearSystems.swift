import CBLAS
import CVector
import Compute

extension CPUBackend {
  /// `out = share · out + scale · a · b` of rectangles, by a CBLAS where one loads.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit, `DeviceError.Code.outOfMemory`
  ///   when there is no room for the transpose of a term.
  public func multiply(
    _ a: MatrixBlock, _ b: MatrixBlock, scale: Float, keeping share: Float, into out: MatrixBlock
  ) throws(DeviceError) {
    try ArgumentChecks.multiply(a, b, into: out)
    guard out.rows > 0, out.columns > 0 else { return }
    guard a.columns > 0 else { return self.scale(out, by: share) }
    if let blas, max(a.stride, b.stride, out.stride, a.rows, b.columns, a.columns) <= Int(Int32.max) {
      multiply(a, b, scale: scale, keeping: share, into: out, with: blas)
    } else {
      // The loops add the bare product, so the sum is scaled before and after; a scale of 0 has no before.
      guard scale != 0 else { return self.scale(out, by: share) }
      self.scale(out, by: share / scale)
      let left = try rows(of: a, scratch: turnedBlocks[0])
      let right = try rows(of: b.transposed, scratch: turnedBlocks[1])
      try multiplyRows(
        left, (UnsafeMutableRawPointer(right.address), .float32, right.stride, right.count), depth: a.columns,
        addingTo: FloatRows(address: out.start, stride: out.stride, count: out.rows))
      self.scale(out, by: scale)
    }
  }

  /// Every worker takes a share of the rows or of the columns, whichever are more, by calls that stay on its thread.
  private func multiply(
    _ a: MatrixBlock, _ b: MatrixBlock, scale: Float, keeping share: Float, into out: MatrixBlock,
    with blas: BLASLibrary
  ) {
    blas.setThreadCount?(1)
    let splitsRows = out.rows > out.columns
    let count = splitsRows ? out.rows : out.columns
    let (left, right, output) = (a.start, b.start, out.start)
    workers.forEach(count, grain: (count + workers.count - 1) / workers.count) { _, piece in
      let rows = splitsRows ? piece : 0..<out.rows
      let columns = splitsRows ? 0..<out.columns : piece
      blas.multiply(
        Int32(BLASRowMajor.rawValue), a.transposition, b.transposition, Int32(rows.count), Int32(columns.count),
        Int32(a.columns), scale, left + rows.lowerBound * (a.isTransposed ? 1 : a.stride), Int32(a.stride),
        right + columns.lowerBound * (b.isTransposed ? b.stride : 1), Int32(b.stride), share,
        output + rows.lowerBound * out.stride + columns.lowerBound, Int32(out.stride))
    }
  }

  private func scale(_ block: MatrixBlock, by factor: Float) {
    guard factor != 1 else { return }
    let (start, columns, stride) = (block.start, block.columns, block.stride)
    workers.forEach(block.rows, grain: Workers.grain(rowLength: columns)) { _, piece in
      for row in piece {
        let elements = start + row * stride
        if factor == 0 {
          elements.update(repeating: 0, count: columns)
        } else {
          for column in 0..<columns { elements[column] *= factor }
        }
      }
    }
  }

  /// The rows of a term: where they are, or, of a transpose, in scratch.
  private func rows(of block: MatrixBlock, scratch: Scratch) throws(DeviceError) -> FloatRows {
    guard block.isTransposed else {
      return FloatRows(address: block.start, stride: block.stride, count: block.rows)
    }
    let (rows, columns, stride, source) = (block.rows, block.columns, block.stride, block.start)
    let turned = try scratch.floats(rows * columns)
    workers.forEach(rows, grain: 16) { _, piece in
      for column in 0..<columns {
        for row in piece { turned[row * columns + column] = source[column * stride + row] }
      }
    }
    return FloatRows(address: turned, stride: columns, count: rows)
  }

  /// `matrix[i, i] += values[i]`.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func add(_ values: Matrix, toDiagonalOf matrix: Matrix) throws(DeviceError) {
    try ArgumentChecks.add(values, toDiagonalOf: matrix)
    let (terms, sums) = (values.floats, matrix.floats)
    for index in 0..<matrix.rows { sums[index * (matrix.columns + 1)] += terms[index] }
  }

  /// The inverse of the Cholesky factor of a small block, in double precision until the result is rounded.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and a block that is too large.
  public func invertCholesky(
    of block: MatrixBlock, into inverse: MatrixBlock, failures: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.invertCholesky(of: block, into: inverse, failures: failures)
    let order = block.rows
    let (source, output) = (block.start, inverse.start)
    var factor = [Double](repeating: 0, count: order * order)
    var inverted = factor
    var isPositive = true
    for row in 0..<order {
      for column in 0...row {
        var rest = Double(source[row * block.stride + column])
        for index in 0..<column { rest -= factor[row * order + index] * factor[column * order + index] }
        if row == column {
          // Not what `<=` says of a NaN.
          if !(rest > 0 && rest.isFinite) { isPositive = false }
          factor[row * order + column] = rest.squareRoot()
        } else {
          factor[row * order + column] = rest / factor[column * order + column]
        }
      }
    }
    for column in 0..<order {
      for row in column..<order {
        var rest: Double = row == column ? 1 : 0
        for index in column..<row { rest -= factor[row * order + index] * inverted[index * order + column] }
        inverted[row * order + column] = rest / factor[row * order + row]
      }
    }
    if !isPositive { failures.integers.pointee += 1 }
    for row in 0..<order {
      for column in 0..<order {
        output[row * inverse.stride + column] = isPositive ? Float(inverted[row * order + column]) : .nan
      }
    }
  }
}

extension MatrixBlock {
  /// Where the first element lies.
  fileprivate var start: UnsafeMutablePointer<Float> {
    matrix.floats + rowRange.lowerBound * stride + columnRange.lowerBound
  }

  fileprivate var transposition: Int32 {
    Int32((isTransposed ? BLASTransposed : BLASAsStored).rawValue)
  }
}
