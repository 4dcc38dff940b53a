import Compute

extension Reference {
  /// `share · out + scale · a · b` in the rectangle of `out` behind the first rows and columns; the rest stays.
  static func multiplyBlocks(
    depth: Int, a: (Int, Int) -> Double, b: (Int, Int) -> Double, scale: Double, share: Double, out: HostMatrix,
    above: Int, beside: Int
  ) -> Expectation {
    var (values, magnitudes) = (out.values, out.values.map(\.magnitude))
    for row in above..<out.rows {
      for column in beside..<out.columns {
        let terms = (0..<depth).map { scale * a(row - above, $0) * b($0, column - beside) }
        let kept = share == 0 ? 0 : share * out[row, column]
        values[row * out.columns + column] = terms.reduce(kept, +)
        magnitudes[row * out.columns + column] = terms.reduce(kept.magnitude) { $0 + $1.magnitude }
      }
    }
    return Expectation(values, magnitudes: magnitudes)
  }

  /// The inverse of the Cholesky factor, with the magnitudes that the errors of factor and inverse are proportional to:
  /// |L⁻¹| |L| |Lᵀ| |L⁻ᵀ| |L⁻¹|, which also bounds |L⁻¹| |L| |L⁻¹|.
  static func invertCholesky(_ matrix: HostMatrix) -> Expectation {
    let factor = SquareMatrix(matrix).choleskyFactor
    let inverse = factor.lowerInverse
    let spread = inverse.magnitudes * factor.magnitudes
    return Expectation(inverse.values, magnitudes: (spread * spread.transposed * inverse.magnitudes).values)
  }

  /// `right · matrix⁻¹`, with the magnitudes |Z| |L| |Lᵀ| |A⁻¹|.
  static func solve(_ matrix: HostMatrix, _ right: HostMatrix) -> Expectation {
    let factor = SquareMatrix(matrix).choleskyFactor
    let half = factor.lowerInverse
    let inverse = half.transposed * half
    let solution = inverse.multiplied(fromTheLeftBy: right.values)
    let spread = factor.magnitudes * factor.magnitudes.transposed * inverse.magnitudes
    return Expectation(solution, magnitudes: spread.multiplied(fromTheLeftBy: solution.map(\.magnitude)))
  }
}

/// A square matrix in double precision, as the formulas read.
private struct SquareMatrix {
  let order: Int
  var values: [Double]

  init(_ matrix: HostMatrix) { (order, values) = (matrix.rows, matrix.values) }

  init(order: Int, values: [Double]) { (self.order, self.values) = (order, values) }

  var magnitudes: SquareMatrix { SquareMatrix(order: order, values: values.map(\.magnitude)) }

  var transposed: SquareMatrix {
    SquareMatrix(order: order, values: values.indices.map { values[$0 % order * order + $0 / order] })
  }

  static func * (left: SquareMatrix, right: SquareMatrix) -> SquareMatrix {
    SquareMatrix(order: left.order, values: right.multiplied(fromTheLeftBy: left.values))
  }

  /// `rows · self` for any number of rows.
  func multiplied(fromTheLeftBy rows: [Double]) -> [Double] {
    var product = [Double](repeating: 0, count: rows.count)
    for row in 0..<(order == 0 ? 0 : rows.count / order) {
      for index in 0..<order {
        let factor = rows[row * order + index]
        for column in 0..<order { product[row * order + column] += factor * values[index * order + column] }
      }
    }
    return product
  }

  var choleskyFactor: SquareMatrix {
    var factor = SquareMatrix(order: order, values: [Double](repeating: 0, count: values.count))
    for row in 0..<order {
      for column in 0...row {
        let known = (0..<column).reduce(0) {
          $0 + factor.values[row * order + $1] * factor.values[column * order + $1]
        }
        let rest = values[row * order + column] - known
        factor.values[row * order + column] =
          row == column ? rest.squareRoot() : rest / factor.values[column * (order + 1)]
      }
    }
    return factor
  }

  /// The inverse of a lower triangular matrix.
  var lowerInverse: SquareMatrix {
    var inverse = SquareMatrix(order: order, values: [Double](repeating: 0, count: values.count))
    for column in 0..<order {
      for row in column..<order {
        let known = (column..<row).reduce(0) {
          $0 + values[row * order + $1] * inverse.values[$1 * order + column]
        }
        inverse.values[row * order + column] = ((row == column ? 1 : 0) - known) / values[row * (order + 1)]
      }
    }
    return inverse
  }
}
