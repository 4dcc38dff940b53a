import Compute

/// The tensors of one layer of one model on the device, as its blocks' maps and norms use them.
package struct LayerTensors {
  private let tensors: ResidentTensors
  /// The gains of norms that add something to what is stored, by the names of the stored ones.
  private let gains: ResidentTensors

  /// Prepares the tensors of a layer; vectors are matrices of one row.
  ///
  /// - Parameters:
  ///   - tensors: The tensors by their names; more do no harm.
  ///   - norms: The norms of the layer.
  ///   - backend: The device.
  /// - Throws: `DeviceError` when the device has no memory for gains.
  package init(_ tensors: ResidentTensors, norms: [Norm], on backend: any ComputeBackend) throws(DeviceError) {
    self.tensors = tensors
    var gains: ResidentTensors = [:]
    for norm in norms where norm.offset != 0 {
      guard let stored = tensors[norm.gain.name] else { continue }
      let gain = try backend.upload([Float](repeating: 1, count: norm.width), columns: norm.width)
      try backend.sum([stored, gain], [1, norm.offset], into: gain)
      gains[norm.gain.name] = gain
    }
    self.gains = gains
  }

  /// A tensor as it is stored.
  func callAsFunction(_ tensor: TensorSpec) throws(DeviceError) -> Matrix {
    guard let matrix = tensors[tensor.name] else {
      throw DeviceError(.invalidArgument, operation: "run a layer", expected: tensor.name, got: "no such tensor")
    }
    return matrix
  }

  /// The W of a map, `[outputs, inputs]`.
  func weights(of map: LinearMap) throws(DeviceError) -> Matrix { try self(map.tensor).rows(map.rows) }

  /// The b of a map, `[1, outputs]`; `nil` for none.
  func bias(of map: LinearMap) throws(DeviceError) -> Matrix? {
    guard let bias = map.bias else { return nil }
    return try self(bias).columns(map.rows)
  }

  /// A norm with its tensors; `nil` for none.
  func norm(_ norm: Norm?) throws(DeviceError) -> ResidentNorm? {
    guard let norm else { return nil }
    let gain = if let gain = gains[norm.gain.name] { gain } else { try self(norm.gain) }
    let bias = try norm.bias.map { bias throws(DeviceError) in try self(bias) }
    return ResidentNorm(norm: norm, gain: gain, bias: bias)
  }
}

/// A norm with its tensors on the device.
struct ResidentNorm {
  let norm: Norm
  /// What elements are multiplied by, `[1, elements]`.
  let gain: Matrix
  /// What is added at last, `[1, elements]`.
  let bias: Matrix?

  /// Norms as many elements at a time as the gain has.
  ///
  /// - Parameters:
  ///   - x: `float32 [rows, a multiple of the elements]`.
  ///   - out: As large; may be x, or of 16 bits for a root mean square.
  ///   - backend: The device.
  /// - Throws: `DeviceError`.
  func apply(to x: Matrix, into out: Matrix, on backend: any ComputeBackend) throws(DeviceError) {
    let (x, out) = (try pieces(of: x), try pieces(of: out))
    switch norm.kind {
    case .rootMeanSquare: try backend.rmsNorm(x, gain: gain, epsilon: norm.epsilon, into: out)
    case .layer: try backend.layerNorm(x, gain: gain, bias: bias, epsilon: norm.epsilon, into: out)
    }
  }

  /// Turns a gradient by what was normed by a root mean square, in place, into that by x.
  func takeBack(_ gradient: Matrix, of x: Matrix, on backend: any ComputeBackend) throws(DeviceError) {
    try backend.rmsNormGradient(pieces(of: x), gain: gain, epsilon: norm.epsilon, gradient: pieces(of: gradient))
  }

  private func pieces(of x: Matrix) throws(DeviceError) -> Matrix {
    try x.reshaped(rows: x.count / gain.columns, columns: gain.columns)
  }
}

extension Matrix {
  /// Some columns of a matrix of one row.
  func columns(_ range: Range<Int>) throws(DeviceError) -> Matrix {
    try reshaped(rows: columns, columns: 1).rows(range).reshaped(rows: 1, columns: range.count)
  }

  /// The matrix in a type that the operations of the pass take: float64 is rounded to float32, as it is in sums.
  func asWeights(on backend: any ComputeBackend) throws(DeviceError) -> Matrix {
    guard elementType == .float64 else { return self }
    let rounded = try backend.allocate(rows: rows, columns: columns)
    try backend.convert(self, into: rounded)
    return rounded
  }
}

extension ComputeBackend {
  /// `out = Σ weights[i] · terms[i]`, with nothing counted; out may be one of the terms.
  func sum(_ terms: [Matrix], _ weights: [Float], into out: Matrix) throws(DeviceError) {
    try weightedSum(
      terms, weights: weights, into: out, nonFinite: allocate(rows: 1, columns: terms.count + 1, .int32))
  }
}
