import Compute
import Glibc

extension OperationCase {
  static var hiddenStateCases: [OperationCase] {
    var cases: [OperationCase] = []
    for type in [ElementType.float32, .float16, .bfloat16] {
      for (tokens, vocabulary, width) in [(0, 3, 4), (1, 1, 1), (17, 101, 67), (64, 128, 256)] {
        cases.append(embeddingLookup(tokens: tokens, vocabulary: vocabulary, width: width, type))
      }
      for (rows, width) in [(0, 8), (1, 1), (3, 1021), (16, 2048)] {
        for inPlace in [false, true] {
          cases.append(rmsNorm(rows: rows, width: width, type, inPlace: inPlace))
          cases.append(layerNorm(rows: rows, width: width, type, hasBias: inPlace, inPlace: inPlace))
        }
        if type != .float32 { cases.append(rmsNorm(rows: rows, width: width, type, into: type)) }
      }
    }
    for (tokens, heads, dimension, rotated) in [(0, 1, 2, 2), (1, 1, 2, 2), (13, 3, 10, 6), (32, 4, 64, 64)] {
      cases.append(rotaryEmbedding(tokens: tokens, heads: heads, dimension: dimension, rotated: rotated))
    }
    for (rows, width) in [(0, 3), (1, 1), (7, 1009), (16, 4096)] {
      for place in OutputPlace.allCases {
        cases += Activation.allCases.map { gatedActivation($0, rows: rows, width: width, into: place) }
      }
      cases += [ElementType.float16, .bfloat16].map { gatedActivation(.silu, rows: rows, width: width, as: $0) }
      for inPlace in [false, true] {
        cases += Activation.allCases.map { activate($0, rows: rows, width: width, inPlace: inPlace) }
      }
      cases.append(add(rows: rows, width: width))
    }
    for (lengths, width) in [([], 3), ([1], 1), ([5, 1, 0, 37], 131), ([64, 128], 256)] as [([Int], Int)] {
      cases += [Pooling.mean, .last].map { pool($0, lengths: lengths, width: width) }
    }
    cases += [
      embeddingLookup(tokens: 17, vocabulary: 101, width: 67, .bfloat16).shifted,
      rmsNorm(rows: 3, width: 1021, .bfloat16, into: .bfloat16).shifted,
      gatedActivation(.silu, rows: 7, width: 1009, as: .bfloat16).shifted,
    ]
    return cases
  }

  static func embeddingLookup(tokens: Int, vocabulary: Int, width: Int, _ type: ElementType) -> OperationCase {
    OperationCase(
      "embeddingLookup", "\(tokens) of [\(vocabulary), \(width)]", type: type.rawValue, tolerance: .exact, flops: 0,
      bytes: tokens * width * (type.byteCount + 4)
    ) { bench throws(DeviceError) in
      let chosen = bench.numbers.integers(tokens, below: vocabulary)
      let table = bench.numbers.matrix(vocabulary, width, type)
      let (device, rows) = (try bench.input(chosen), try bench.input(table))
      let states = try bench.output(tokens, width)
      try bench.perform { () throws(DeviceError) in
        try bench.backend.embeddingLookup(tokens: device, table: rows, into: states)
      }
      try bench.expect(states, Reference.embeddingLookup(tokens: chosen, table: table))
    }
  }

  static func rmsNorm(
    rows: Int, width: Int, _ type: ElementType, inPlace: Bool = false, into result: ElementType = .float32
  ) -> OperationCase {
    // The sum of squares has only positive terms, and half of its relative error reaches the root.
    OperationCase(
      "rmsNorm", "[\(rows), \(width)]\(inPlace ? " in place" : "")",
      type: result == .float32 ? type.rawValue : "\(type.rawValue) → \(result.rawValue)",
      tolerance: Tolerance.sum(of: width).rounded(to: result), flops: 4 * rows * width,
      bytes: (4 + result.byteCount) * rows * width
    ) { bench throws(DeviceError) in
      let x = bench.numbers.matrix(rows, width)
      let gain = bench.numbers.matrix(1, width, type)
      let input = inPlace ? try bench.inPlace(x) : try bench.input(x)
      let gains = try bench.input(gain)
      let out = inPlace ? input : try bench.output(rows, width, result)
      try bench.perform { () throws(DeviceError) in
        try bench.backend.rmsNorm(input, gain: gains, epsilon: 1e-5, into: out)
      }
      try bench.expect(out, Reference.rmsNorm(x, gain: gain, epsilon: Double(Float(1e-5))).rounded(to: result))
    }
  }

  /// Rows beside a mean a hundred times as large as their differences, as some models' states are.
  static func layerNorm(
    rows: Int, width: Int, _ type: ElementType, hasBias: Bool, inPlace: Bool = false
  ) -> OperationCase {
    OperationCase(
      "layerNorm", "[\(rows), \(width)]\(hasBias ? " + bias" : "")\(inPlace ? " in place" : "")",
      type: type.rawValue,
      tolerance: .roundings(
        12, because: "a difference from the mean, a root and its inverse, three products and a sum, rounded each"),
      flops: 7 * rows * width, bytes: 8 * rows * width
    ) { bench throws(DeviceError) in
      let x = bench.numbers.matrix(rows, width).mapped { $1 + 100 }
      let gain = bench.numbers.matrix(1, width, type)
      let bias = hasBias ? bench.numbers.matrix(1, width, type) : nil
      let input = inPlace ? try bench.inPlace(x) : try bench.input(x)
      let gains = try bench.input(gain)
      var offsets: Matrix?
      if let bias { offsets = try bench.input(bias) }
      let out = inPlace ? input : try bench.output(rows, width)
      try bench.perform { () throws(DeviceError) in
        try bench.backend.layerNorm(input, gain: gains, bias: offsets, epsilon: 1e-5, into: out)
      }
      try bench.expect(out, Reference.layerNorm(x, gain: gain, bias: bias, epsilon: Double(Float(1e-5))))
    }
  }

  static func rotaryEmbedding(tokens: Int, heads: Int, dimension: Int, rotated: Int) -> OperationCase {
    OperationCase(
      "rotaryEmbedding", "[\(tokens), \(heads) · \(dimension)], \(rotated) turned",
      tolerance: .roundings(2, because: "two products and a sum, rounded each"), flops: 3 * tokens * heads * rotated,
      bytes: 8 * tokens * heads * rotated
    ) { bench throws(DeviceError) in
      let states = bench.numbers.matrix(tokens, heads * dimension)
      let places = bench.numbers.integers(tokens, below: 50)
      let angles = (0..<50 * rotated / 2).map { Double($0 / (rotated / 2)) / Double($0 % (rotated / 2) + 1) }
      let cosines = HostMatrix(rows: 50, columns: rotated / 2, values: angles.map { cos($0) })
      let sines = HostMatrix(rows: 50, columns: rotated / 2, values: angles.map { sin($0) })
      let (turned, positions) = (try bench.inPlace(states), try bench.input(places))
      let (cosineTable, sineTable) = (try bench.input(cosines), try bench.input(sines))
      try bench.perform { () throws(DeviceError) in
        try bench.backend.rotaryEmbedding(
          turned, headDimension: dimension, positions: positions, cosines: cosineTable, sines: sineTable)
      }
      try bench.expect(
        turned,
        Reference.rotaryEmbedding(states, headDimension: dimension, positions: places, cosines: cosines, sines: sines))
    }
  }

  static func activate(
    _ activation: Activation, rows: Int, width: Int, inPlace: Bool = false
  ) -> OperationCase {
    OperationCase(
      "activate", "\(activation.rawValue) [\(rows), \(width)]\(inPlace ? " in place" : "")",
      tolerance: .roundings(
        7, because: "an exponential within 2 ulp (4 roundings), a sum and a quotient, and a margin"),
      flops: 5 * rows * width, bytes: 8 * rows * width
    ) { bench throws(DeviceError) in
      let x = bench.numbers.matrix(rows, width, scale: 3)
      let input = inPlace ? try bench.inPlace(x) : try bench.input(x)
      let out = inPlace ? input : try bench.output(rows, width)
      try bench.perform { () throws(DeviceError) in try bench.backend.activate(activation, input, into: out) }
      try bench.expect(out, Reference.activate(activation, x))
    }
  }

  static func gatedActivation(
    _ activation: Activation, rows: Int, width: Int, into place: OutputPlace = .ofItsOwn,
    as type: ElementType = .float32
  ) -> OperationCase {
    OperationCase(
      "gatedActivation", "\(activation.rawValue) [\(rows), \(width)] \(place.rawValue)",
      type: type == .float32 ? type.rawValue : "float32 → \(type.rawValue)",
      tolerance: Tolerance.roundings(
        8, because: "an exponential within 2 ulp (4 roundings), a sum, a quotient and a product"
      ).rounded(to: type),
      flops: 6 * rows * width, bytes: (8 + type.byteCount) * rows * width
    ) { bench throws(DeviceError) in
      // Wide enough to reach the tails; beyond 9 the results of gelu fall below the range of float32.
      let gate = bench.numbers.matrix(rows, width, scale: 3)
      let up = bench.numbers.matrix(rows, width)
      let gates = place == .gate ? try bench.inPlace(gate) : try bench.input(gate)
      let ups = place == .up ? try bench.inPlace(up) : try bench.input(up)
      let out = place == .gate ? gates : place == .up ? ups : try bench.output(rows, width, type)
      try bench.perform { () throws(DeviceError) in
        try bench.backend.gatedActivation(activation, gate: gates, up: ups, into: out)
      }
      try bench.expect(out, Reference.gatedActivation(activation, gate: gate, up: up).rounded(to: type))
    }
  }

  static func add(rows: Int, width: Int) -> OperationCase {
    OperationCase("add", "[\(rows), \(width)]", tolerance: .exact, flops: rows * width, bytes: 12 * rows * width) {
      bench throws(DeviceError) in
      let (addend, sum) = (bench.numbers.matrix(rows, width), bench.numbers.matrix(rows, width))
      let (term, total) = (try bench.input(addend), try bench.inPlace(sum))
      try bench.perform { () throws(DeviceError) in try bench.backend.add(term, to: total) }
      try bench.expect(total, Reference.add(addend, to: sum))
    }
  }

  static func pool(_ pooling: Pooling, lengths: [Int], width: Int) -> OperationCase {
    let tokens = lengths.reduce(0, +)
    return OperationCase(
      "pool", "\(pooling.rawValue) of \(lengths) · \(width)",
      tolerance: pooling == .last ? .exact : .sum(of: lengths.max() ?? 0), flops: tokens * width,
      bytes: 4 * (tokens + lengths.count) * width
    ) { bench throws(DeviceError) in
      let states = bench.numbers.matrix(tokens, width)
      let sequences = try PackedSequences(lengths: lengths, on: bench.backend)
      let (input, out) = (try bench.input(states), try bench.output(lengths.count, width))
      try bench.perform { () throws(DeviceError) in
        try bench.backend.pool(input, sequences: sequences, pooling: pooling, into: out)
      }
      try bench.expect(out, Reference.pool(states, lengths: lengths, pooling: pooling))
    }
  }
}

/// Where an activation puts its result.
enum OutputPlace: String, CaseIterable {
  case ofItsOwn = "into a matrix of its own"
  case gate = "into the gate"
  case up = "into up"
}
