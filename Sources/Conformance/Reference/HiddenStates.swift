import Compute
import Glibc

extension Reference {
  static func embeddingLookup(tokens: HostMatrix, table: HostMatrix) -> Expectation {
    Expectation(tokens.values.flatMap { table.row(Int($0)) })
  }

  static func rmsNorm(_ x: HostMatrix, gain: HostMatrix, epsilon: Double) -> Expectation {
    Expectation(
      (0..<x.rows).flatMap { row in
        let meanSquare = x.row(row).reduce(0) { $0 + $1 * $1 } / Double(x.columns)
        return (0..<x.columns).map { x[row, $0] / (meanSquare + epsilon).squareRoot() * gain[0, $0] }
      })
  }

  /// The magnitude of an element is that of its normalised value and of the bias.
  static func layerNorm(_ x: HostMatrix, gain: HostMatrix, bias: HostMatrix?, epsilon: Double) -> Expectation {
    var (normalised, magnitudes): ([Double], [Double]) = ([], [])
    for row in 0..<x.rows {
      let mean = x.row(row).reduce(0, +) / Double(x.columns)
      let variance = x.row(row).reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.columns)
      for column in 0..<x.columns {
        let scaled = (x[row, column] - mean) / (variance + epsilon).squareRoot() * gain[0, column]
        normalised.append(scaled + (bias?[0, column] ?? 0))
        magnitudes.append(scaled.magnitude + (bias?[0, column] ?? 0).magnitude)
      }
    }
    return Expectation(normalised, magnitudes: magnitudes)
  }

  static func multiply(
    _ a: HostMatrix, _ weights: HostMatrix, bias: HostMatrix?, addedTo before: HostMatrix?
  ) -> Expectation {
    var (sums, magnitudes): ([Double], [Double]) = ([], [])
    for row in 0..<a.rows {
      for column in 0..<weights.rows {
        let terms = [bias?[0, column] ?? 0, before?[row, column] ?? 0]
        var sum = terms.reduce(0, +)
        var magnitude = terms.reduce(0) { $0 + $1.magnitude }
        for index in 0..<a.columns {
          sum += a[row, index] * weights[column, index]
          magnitude += (a[row, index] * weights[column, index]).magnitude
        }
        sums.append(sum)
        magnitudes.append(magnitude)
      }
    }
    return Expectation(sums, magnitudes: magnitudes)
  }

  static func rotaryEmbedding(
    _ states: HostMatrix, headDimension: Int, positions: HostMatrix, cosines: HostMatrix, sines: HostMatrix
  ) -> Expectation {
    let half = cosines.columns
    var (turned, magnitudes) = (states.values, states.values)
    for token in 0..<states.rows {
      let position = Int(positions[token, 0])
      for start in stride(from: 0, to: states.columns, by: headDimension) {
        for pair in 0..<half {
          let (first, second) = (states[token, start + pair], states[token, start + pair + half])
          let (cosine, sine) = (cosines[position, pair], sines[position, pair])
          let place = token * states.columns + start + pair
          turned[place] = first * cosine - second * sine
          turned[place + half] = second * cosine + first * sine
          magnitudes[place] = (first * cosine).magnitude + (second * sine).magnitude
          magnitudes[place + half] = (second * cosine).magnitude + (first * sine).magnitude
        }
      }
    }
    return Expectation(turned, magnitudes: magnitudes.map(\.magnitude))
  }

  static func activate(_ activation: Activation, _ x: HostMatrix) -> Expectation {
    Expectation(x.values.map { activate(activation, $0) })
  }

  static func gatedActivation(_ activation: Activation, gate: HostMatrix, up: HostMatrix) -> Expectation {
    Expectation(zip(gate.values, up.values).map { activate(activation, $0) * $1 })
  }

  private static func activate(_ activation: Activation, _ x: Double) -> Double {
    switch activation {
    case .silu: x / (1 + exp(-x))
    // erfc(-z) = 1 + erf(z) and 1 + tanh(u) = 2 / (1 + exp(-2u)), without cancellation.
    case .gelu: x / 2 * erfc(-x / 2.0.squareRoot())
    case .geluTanh: x / (1 + exp(-2 * (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    }
  }

  /// The magnitude of a gate's gradient is that of the two terms of a slope, which may cancel.
  static func gatedActivationGradient(
    _ activation: Activation, gate: HostMatrix, up: HostMatrix, gradient: HostMatrix
  ) -> (gate: Expectation, up: Expectation) {
    let slopes = gate.values.map { slope(activation, $0) }
    let factors = zip(gradient.values, up.values).map { $0 * $1 }
    return (
      Expectation(
        zip(factors, slopes).map { $0 * ($1.share + $1.growth) },
        magnitudes: zip(factors, slopes).map { $0.magnitude * ($1.share + $1.growth.magnitude) }),
      Expectation(zip(gradient.values, gate.values).map { $0 * activate(activation, $1) })
    )
  }

  /// The derivative of `x · share(x)`: the share, and x times the share's own derivative.
  private static func slope(_ activation: Activation, _ x: Double) -> (share: Double, growth: Double) {
    func ofSigmoid(_ v: Double, rate: Double) -> (share: Double, growth: Double) {
      let share = 1 / (1 + exp(-v))
      return (share, x * rate * (share * (1 / (1 + exp(v)))))
    }
    let factor = 2 * (2 / Double.pi).squareRoot()
    return switch activation {
    case .silu: ofSigmoid(x, rate: 1)
    case .gelu: (erfc(-x / 2.0.squareRoot()) / 2, x * exp(-x * x / 2) / (2 * Double.pi).squareRoot())
    case .geluTanh: ofSigmoid(factor * (x + 0.044715 * x * x * x), rate: factor * (1 + 3 * 0.044715 * x * x))
    }
  }

  /// The magnitude of an element is that of its two terms, the second of which has a mean of magnitudes.
  static func rmsNormGradient(_ x: HostMatrix, gain: HostMatrix, epsilon: Double, gradient: HostMatrix) -> Expectation {
    var (gradients, magnitudes): ([Double], [Double]) = ([], [])
    for row in 0..<x.rows {
      let scale = 1 / (x.row(row).reduce(0) { $0 + $1 * $1 } / Double(x.columns) + epsilon).squareRoot()
      let products = (0..<x.columns).map { gain[0, $0] * gradient[row, $0] * x[row, $0] }
      let mean = products.reduce(0, +) / Double(x.columns)
      let magnitude = products.reduce(0) { $0 + $1.magnitude } / Double(x.columns)
      for column in 0..<x.columns {
        let own = scale * gain[0, column] * gradient[row, column]
        let ofAll = x[row, column] * scale * scale * scale
        gradients.append(own - ofAll * mean)
        magnitudes.append(own.magnitude + ofAll.magnitude * magnitude)
      }
    }
    return Expectation(gradients, magnitudes: magnitudes)
  }

  static func add(_ addend: HostMatrix, to sum: HostMatrix) -> Expectation {
    let format = NumberFormat(.float32)
    return Expectation(zip(addend.values, sum.values).map { format.rounded($0 + $1) })
  }

  static func pool(_ states: HostMatrix, lengths: [Int], pooling: Pooling) -> Expectation {
    var start = 0
    var (pooled, magnitudes): ([Double], [Double]) = ([], [])
    for length in lengths {
      for column in 0..<states.columns {
        let values = (start..<start + length).map { states[$0, column] }
        let count = Double(max(length, 1))
        pooled.append(pooling == .last ? values.last ?? 0 : values.reduce(0, +) / count)
        magnitudes.append(values.reduce(0) { $0 + $1.magnitude } / count)
      }
      start += length
    }
    return Expectation(pooled, magnitudes: magnitudes)
  }
}
