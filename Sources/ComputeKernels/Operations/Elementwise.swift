import Compute

extension KernelBackend {
  /// `out = activation(x)`, element by element.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func activate(_ activation: Activation, _ x: Matrix, into out: Matrix) throws(DeviceError) {
    try ArgumentChecks.activate(x, into: out)
    try launchForElements(
      "activate", of: "activation", operation: "activate", count: x.count,
      [.uint32(activation.kernelNumber), .matrix(x), .matrix(out), .count(x.count)])
  }

  /// `out = activation(gate) · up`, element by element.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func gatedActivation(
    _ activation: Activation, gate: Matrix, up: Matrix, into out: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.gatedActivation(gate: gate, up: up, into: out)
    try launchForElements(
      "gatedActivation", of: "activation", operation: "gatedActivation", count: gate.count,
      [
        .uint32(activation.kernelNumber), .matrix(gate), .matrix(up), .matrix(out), .format(of: out),
        .count(gate.count),
      ])
  }

  /// The derivatives of `activation(gate) · up` times a gradient, element by element.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func gatedActivationGradient(
    _ activation: Activation, gate: Matrix, up: Matrix, gradient: Matrix, gateGradient: Matrix, upGradient: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.gatedActivationGradient(
      gate: gate, up: up, gradient: gradient, gateGradient: gateGradient, upGradient: upGradient)
    try launchForElements(
      "gatedActivationGradient", of: "activation", operation: "gatedActivationGradient", count: gate.count,
      [
        .uint32(activation.kernelNumber), .matrix(gate), .matrix(up), .matrix(gradient), .matrix(gateGradient),
        .matrix(upGradient), .count(gate.count),
      ])
  }

  /// `sum += addend`, element by element.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func add(_ addend: Matrix, to sum: Matrix) throws(DeviceError) {
    try ArgumentChecks.add(addend, to: sum)
    try launchForElements(
      "add", of: "add", operation: "add", count: sum.count, [.matrix(addend), .matrix(sum), .count(sum.count)])
  }
}

extension Activation {
  /// The number that `Kernels/portable/activation.cl` knows it by.
  fileprivate var kernelNumber: UInt32 {
    switch self {
    case .silu: 0
    case .gelu: 1
    case .geluTanh: 2
    }
  }
}
