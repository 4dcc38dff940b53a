import Compute

extension OperationCase {
  static var gradientCases: [OperationCase] {
    var cases: [OperationCase] = []
    for (rows, width) in [(0, 3), (1, 1), (7, 1009), (16, 4096)] {
      for place in GradientPlace.allCases {
        cases += Activation.allCases.map { gatedActivationGradient($0, rows: rows, width: width, into: place) }
      }
    }
    cases += Activation.allCases.map { gatedActivationGradient($0, rows: 3, width: 67, isSteep: true) }
    for type in ElementType.weights {
      for (rows, width) in [(0, 8), (1, 1), (5, 33), (300, 64), (33, 256), (3, 1021)] {
        cases.append(rmsNormGradient(rows: rows, width: width, type))
      }
    }
    return cases
  }

  /// Steep ones have gates far beyond the range of an exponential.
  static func gatedActivationGradient(
    _ activation: Activation, rows: Int, width: Int, into place: GradientPlace = .ofTheirOwn, isSteep: Bool = false
  ) -> OperationCase {
    OperationCase(
      "gatedActivationGradient",
      "\(activation.rawValue) [\(rows), \(width)]\(isSteep ? " steep" : "") \(place.rawValue)",
      tolerance: .roundings(
        16,
        because: "an exponential within 2 ulp (4 roundings), two quotients, three sums and six products"),
      flops: 14 * rows * width, bytes: 20 * rows * width
    ) { bench throws(DeviceError) in
      let steep = [0, 20, -20, 60, -60, 1e3, -1e3, 1e30, -1e30]
      let gate = bench.numbers.matrix(rows, width, scale: 3).mapped { isSteep ? steep[$0 % steep.count] : $1 }
      let (up, gradient) = (bench.numbers.matrix(rows, width), bench.numbers.matrix(rows, width))
      let changesInputs = place == .gateAndUp || place == .upAndGate
      let gates = changesInputs ? try bench.inPlace(gate) : try bench.input(gate)
      let ups = changesInputs ? try bench.inPlace(up) : try bench.input(up)
      let isOverGradient = place == .gradientAndOwn || place == .ownAndGradient
      let gradients = isOverGradient ? try bench.inPlace(gradient) : try bench.input(gradient)
      let own = changesInputs ? nil : try bench.output(rows, width)
      let (ofGate, ofUp) =
        switch place {
        case .ofTheirOwn: (own ?? gates, try bench.output(rows, width))
        case .gateAndUp: (gates, ups)
        case .upAndGate: (ups, gates)
        case .gradientAndOwn: (gradients, own ?? ups)
        case .ownAndGradient: (own ?? gates, gradients)
        }
      try bench.perform { () throws(DeviceError) in
        try bench.backend.gatedActivationGradient(
          activation, gate: gates, up: ups, gradient: gradients, gateGradient: ofGate, upGradient: ofUp)
      }
      try bench.expect(
        ofGate, Reference.gatedActivationGradient(activation, gate: gate, up: up, gradient: gradient).gate)
      try bench.expect(
        ofUp, Reference.gatedActivationGradient(activation, gate: gate, up: up, gradient: gradient).up)
    }
  }

  static func rmsNormGradient(rows: Int, width: Int, _ type: ElementType) -> OperationCase {
    OperationCase(
      "rmsNormGradient", "[\(rows), \(width)]", type: type.rawValue,
      tolerance: .roundings(
        24, because: "a root, its inverse and its third power, a mean and four products, with sums in double precision"),
      flops: 9 * rows * width, bytes: 12 * rows * width
    ) { bench throws(DeviceError) in
      let (x, gradient) = (bench.numbers.matrix(rows, width), bench.numbers.matrix(rows, width))
      let gain = bench.numbers.matrix(1, width, type)
      let (input, gains) = (try bench.input(x), try bench.input(gain))
      let changed = try bench.inPlace(gradient)
      try bench.perform { () throws(DeviceError) in
        try bench.backend.rmsNormGradient(input, gain: gains, epsilon: 1e-5, gradient: changed)
      }
      try bench.expect(
        changed, Reference.rmsNormGradient(x, gain: gain, epsilon: Double(Float(1e-5)), gradient: gradient))
    }
  }
}

/// Where the gradients of gate and up go.
enum GradientPlace: String, CaseIterable {
  case ofTheirOwn = "into matrices of their own"
  case gateAndUp = "into gate and up"
  case upAndGate = "into up and gate"
  case gradientAndOwn = "into the gradient and one of its own"
  case ownAndGradient = "into one of its own and the gradient"
}
