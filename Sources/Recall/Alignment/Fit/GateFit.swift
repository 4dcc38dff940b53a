import Compute

/// Fits gates and what they let up to the gated activations of the experts: some hidden units at a time, since every unit
/// depends on one row of each map alone.
///
///     Σ_i v_i Σ_t |activation(g) u − activation(g_i) u_i|² / Σ_i v_i Σ_t |activation(g_i) u_i|²
///
/// g and u are what the maps make of the merged model's tokens, g_i and u_i what expert i's make of its own.
struct GateFit: FitObjective {
  /// The hidden units that are fitted together.
  static let unitsAtOnce = 512

  private let samples: FitSamples
  private let arithmetic: FitArithmetic
  private let activation: Activation
  private let biases: (gate: Matrix?, up: Matrix?)
  private let wanted: Matrix
  private let wantedSquare: Double

  /// Computes what is wanted of some units.
  ///
  /// - Parameters:
  ///   - units: The units.
  ///   - half: What the block's feed-forward half is made of; it has a gate.
  ///   - samples: What reaches the maps.
  ///   - experts: The block's tensors of every model.
  ///   - merged: Those of the merged model, the biases among them.
  ///   - arithmetic: Scratch.
  /// - Throws: `DeviceError`.
  init(
    units: Range<Int>, of half: FeedForwardHalf, _ samples: FitSamples, experts: [LayerTensors], merged: LayerTensors,
    _ arithmetic: FitArithmetic
  ) throws(DeviceError) {
    (self.samples, self.arithmetic, activation) = (samples, arithmetic, half.activation)
    let maps = half.inner
    func bias(_ map: LinearMap, _ tensors: LayerTensors) throws(DeviceError) -> Matrix? {
      try tensors.bias(of: map)?.columns(units)
    }
    biases = (try bias(maps[0], merged), try bias(maps[1], merged))
    wanted = try samples.wanted(0, columns: units.count)
    var square = 0.0
    for batch in samples.batches {
      let expert = experts[batch.model]
      let (gate, up) = try GateFit.outputs(batch, units.count, arithmetic)
      for (map, outputs) in [(maps[0], gate), (maps[1], up)] {
        try arithmetic.backend.multiply(
          samples.own(batch), transposed: expert.weights(of: map).rows(units), bias: bias(map, expert),
          precision: .full, into: outputs)
      }
      let gated = try wanted.rows(batch.rows)
      try arithmetic.backend.gatedActivation(activation, gate: gate, up: up, into: gated)
      square += try batch.weight * arithmetic.product(gated, gated)
    }
    wantedSquare = square
  }

  func evaluate(
    _ rows: (first: Matrix, second: Matrix), gradient: (first: Matrix, second: Matrix)
  ) throws(DeviceError) -> Double {
    guard wantedSquare > 0 else {
      try arithmetic.clear(gradient.first)
      try arithmetic.clear(gradient.second)
      return 0
    }
    var sum = 0.0
    for (number, batch) in samples.batches.enumerated() {
      let inputs = try samples.merged(batch)
      let (gate, up) = try GateFit.outputs(batch, rows.first.rows, arithmetic)
      try arithmetic.backend.multiply(
        inputs, transposed: rows.first, bias: biases.gate, precision: .full, into: gate)
      try arithmetic.backend.multiply(inputs, transposed: rows.second, bias: biases.up, precision: .full, into: up)
      let missing = try arithmetic.matrix(.outputs(2), rows: gate.rows, columns: gate.columns)
      try arithmetic.backend.gatedActivation(activation, gate: gate, up: up, into: missing)
      try arithmetic.combine([missing, wanted.rows(batch.rows)], [1, -1], into: missing)
      sum += try batch.weight * arithmetic.product(missing, missing)
      try arithmetic.backend.gatedActivationGradient(
        activation, gate: gate, up: up, gradient: missing, gateGradient: gate, upGradient: up)
      let scale = Float(2 * batch.weight / wantedSquare)
      for (outputs, gradient) in [(gate, gradient.first), (up, gradient.second)] {
        try arithmetic.backend.multiply(
          outputs.transposed, inputs.block, scale: scale, keeping: number == 0 ? 0 : 1, into: gradient.block)
      }
    }
    return sum / wantedSquare
  }

  private static func outputs(
    _ batch: FitSamples.Batch, _ units: Int, _ arithmetic: FitArithmetic
  ) throws(DeviceError) -> (gate: Matrix, up: Matrix) {
    (
      try arithmetic.matrix(.outputs(0), rows: batch.rows.count, columns: units),
      try arithmetic.matrix(.outputs(1), rows: batch.rows.count, columns: units)
    )
  }
}
