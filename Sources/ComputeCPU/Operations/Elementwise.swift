import CVector
import Compute

extension CPUBackend {
  /// The elements that one piece of element-wise work takes.
  static let elementGrain = 1 << 14

  /// `out = activation(gate) · up`, element by element.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func gatedActivation(
    _ activation: Activation, gate: Matrix, up: Matrix, into out: Matrix
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "gatedActivation")
    try check.matrix(gate, "gate", rows: gate.rows, columns: gate.columns)
    try check.matrix(up, "up", rows: gate.rows, columns: gate.columns)
    try check.matrix(out, "out", rows: gate.rows, columns: gate.columns)

    let kind =
      switch activation {
      case .silu: ActivationSilu
      case .gelu: ActivationGelu
      case .geluTanh: ActivationGeluTanh
      }
    let (gates, ups, output) = (gate.floats, up.floats, out.floats)
    workers.forEach(gate.count, grain: Self.elementGrain) { _, piece in
      let first = piece.lowerBound
      loops.gatedActivation(kind, gates + first, ups + first, output + first, piece.count)
    }
  }

  /// `sum += addend`, element by element.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func add(_ addend: Matrix, to sum: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "add")
    try check.matrix(addend, "addend", rows: sum.rows, columns: sum.columns)
    try check.matrix(sum, "sum", rows: sum.rows, columns: sum.columns)

    let (terms, sums) = (addend.floats, sum.floats)
    workers.forEach(sum.count, grain: Self.elementGrain) { _, piece in
      loops.add(terms + piece.lowerBound, sums + piece.lowerBound, piece.count)
    }
  }
}
