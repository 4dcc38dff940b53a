/// A tensor of a model as it is stored.
package struct TensorSpec: Sendable, Hashable {
  /// Its full name.
  package let name: String
  /// Its shape.
  package let shape: [Int]

  /// The number of its elements.
  package var elementCount: Int { shape.reduce(1, *) }
}

/// The tensors inside a module of PyTorch, by the names that it gives them: what families make their values of.
struct Module {
  /// The module's own path, such as `model.layers.3`.
  let path: String

  /// A linear map, `NAME.weight [outputs, inputs]` and, where it has one, `NAME.bias [outputs]`.
  func map(_ name: String, inputs: Int, outputs: Int, hasBias: Bool = false) -> LinearMap {
    fused(name, inputs: inputs, outputs: [outputs], hasBias: hasBias)[0]
  }

  /// Maps whose rows are stored one after the other in one tensor `NAME.weight [sum of outputs, inputs]`.
  func fused(_ name: String, inputs: Int, outputs: [Int], hasBias: Bool = false) -> [LinearMap] {
    let all = outputs.reduce(0, +)
    let weights = TensorSpec(name: "\(path).\(name).weight", shape: [all, inputs])
    let bias = hasBias ? TensorSpec(name: "\(path).\(name).bias", shape: [all]) : nil
    var end = 0
    return outputs.map { count in
      defer { end += count }
      return LinearMap(tensor: weights, rows: end..<end + count, bias: bias)
    }
  }

  /// A norm of `width` elements at a time, `NAME.weight [width]` and, where it has one, `NAME.bias [width]`.
  func norm(
    _ name: String, width: Int, _ kind: Norm.Kind = .rootMeanSquare, epsilon: Float, offset: Float = 0,
    hasBias: Bool = false
  ) -> Norm {
    Norm(
      kind: kind, gain: TensorSpec(name: "\(path).\(name).weight", shape: [width]),
      bias: hasBias ? TensorSpec(name: "\(path).\(name).bias", shape: [width]) : nil, epsilon: epsilon, offset: offset)
  }
}
