import CVector
import Compute

extension CPUBackend {
  /// The elements that one piece of element-wise work takes.
  static let elementGrain = 1 << 14

  /// `out = activation(x)`, element by element.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func activate(_ activation: Activation, _ x: Matrix, into out: Matrix) throws(DeviceError) {
    try ArgumentChecks.activate(x, into: out)
    let (input, output) = (x.floats, out.floats)
    workers.forEach(x.count, grain: Self.elementGrain) { _, piece in
      let first = piece.lowerBound
      loops.activate(activation.kind, input + first, nil, output + first, piece.count)
    }
  }

  /// `out = activation(gate) · up`, element by element.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func gatedActivation(
    _ activation: Activation, gate: Matrix, up: Matrix, into out: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.gatedActivation(gate: gate, up: up, into: out)
    guard out.elementType == .float32 else {
      return try rounding(into: out) { wide throws(DeviceError) in
        try gatedActivation(activation, gate: gate, up: up, into: wide)
      }
    }
    let (gates, ups, output) = (gate.floats, up.floats, out.floats)
    workers.forEach(gate.count, grain: Self.elementGrain) { _, piece in
      let first = piece.lowerBound
      loops.activate(activation.kind, gates + first, ups + first, output + first, piece.count)
    }
  }

  /// The derivatives of `activation(gate) · up` times a gradient, element by element.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func gatedActivationGradient(
    _ activation: Activation, gate: Matrix, up: Matrix, gradient: Matrix, gateGradient: Matrix, upGradient: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.gatedActivationGradient(
      gate: gate, up: up, gradient: gradient, gateGradient: gateGradient, upGradient: upGradient)
    let (gates, ups, gradients) = (gate.floats, up.floats, gradient.floats)
    let (ofGates, ofUps) = (gateGradient.floats, upGradient.floats)
    workers.forEach(gate.count, grain: Self.elementGrain) { _, piece in
      let first = piece.lowerBound
      loops.activationGradient(
        activation.kind, gates + first, ups + first, gradients + first, ofGates + first, ofUps + first, piece.count)
    }
  }

  /// `sum += addend`, element by element.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func add(_ addend: Matrix, to sum: Matrix) throws(DeviceError) {
    try ArgumentChecks.add(addend, to: sum)

    let (terms, sums) = (addend.floats, sum.floats)
    workers.forEach(sum.count, grain: Self.elementGrain) { _, piece in
      loops.add(terms + piece.lowerBound, sums + piece.lowerBound, piece.count)
    }
  }
}

extension Activation {
  /// What the loops call it.
  fileprivate var kind: ActivationKind {
    switch self {
    case .silu: ActivationSilu
    case .gelu: ActivationGelu
    case .geluTanh: ActivationGeluTanh
    }
  }
}
