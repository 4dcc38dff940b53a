import Compute
import ComputeCPU
import TestSupport
import Testing

/// A backend whose arguments are tested.
struct TestedBackend: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let open: @Sendable () throws(DeviceError) -> any ComputeBackend

  /// The processor.
  static let processor = TestedBackend(testDescription: "cpu") { () throws(DeviceError) in try CPUBackend() }
  /// The processor and every OpenCL device.
  static let all =
    [processor]
    + OpenCLDevices.numbers.map { number in
      TestedBackend(testDescription: "opencl:\(number)") { () throws(DeviceError) in try OpenCLDevices.open(number) }
    }
}

extension ComputeBackend {
  fileprivate func floats(_ rows: Int, _ columns: Int) throws(DeviceError) -> Matrix {
    try allocate(rows: rows, columns: columns)
  }
}

@Suite("Arguments that do not fit are refused before memory is touched") struct ArgumentTests {
  /// The error that an operation throws, which has to be about its arguments.
  private func refusal(_ operation: () throws -> Void) throws -> DeviceError {
    let error = try #require(throws: DeviceError.self, performing: operation)
    #expect(error.code == .invalidArgument)
    return error
  }

  @Test("tokens outside of the table, where the host can see them")
  func tokens() throws {
    let backend = try CPUBackend()
    let (table, states) = (try backend.floats(5, 4), try backend.floats(2, 4))
    for token in [-1, 5] as [Int32] {
      let tokens = try backend.upload([0, token], columns: 1)
      let error = try refusal { try backend.embeddingLookup(tokens: tokens, table: table, into: states) }
      #expect(error.expected == "token in 0..<5")
      #expect(error.got == "\(token) at row 1")
    }
  }

  @Test("a gain of the wrong width, and whole numbers as input", arguments: TestedBackend.all)
  func rmsNorm(tested: TestedBackend) throws {
    let backend = try tested.open()
    let (x, gain) = (try backend.floats(3, 4), try backend.floats(1, 5))
    let error = try refusal { try backend.rmsNorm(x, gain: gain, epsilon: 0, into: x) }
    #expect(error.operation == "rmsNorm")
    #expect(error.expected == "gain float32 or float16 or bfloat16 [1, 4]")
    #expect(error.got == "float32 [1, 5]")
    let integers = try backend.allocate(rows: 3, columns: 4, .int32)
    _ = try refusal { try backend.rmsNorm(integers, gain: backend.floats(1, 4), epsilon: 0, into: x) }
  }

  @Test("a gain and a bias of the wrong width", arguments: TestedBackend.all)
  func layerNorm(tested: TestedBackend) throws {
    let backend = try tested.open()
    let (x, gain) = (try backend.floats(3, 4), try backend.floats(1, 4))
    for (gain, bias) in [(try backend.floats(1, 5), gain), (gain, try backend.floats(1, 5))] {
      _ = try refusal { try backend.layerNorm(x, gain: gain, bias: bias, epsilon: 0, into: x) }
    }
  }

  @Test(
    "depths that differ, a bias of the wrong width, double precision weights, an output of the wrong shape",
    arguments: TestedBackend.all)
  func multiply(tested: TestedBackend) throws {
    let backend = try tested.open()
    let (a, weights, out) = (try backend.floats(2, 3), try backend.floats(5, 3), try backend.floats(2, 5))
    _ = try refusal { try backend.multiply(a, transposed: backend.floats(5, 4), bias: nil, into: out) }
    _ = try refusal { try backend.multiply(a, transposed: weights, bias: backend.floats(1, 4), into: out) }
    _ = try refusal { try backend.multiply(a, transposed: weights, bias: nil, into: backend.floats(5, 2)) }
    let doubles = try backend.allocate(rows: 5, columns: 3, .float64)
    _ = try refusal { try backend.multiply(a, transposed: doubles, bias: nil, into: out) }
  }

  @Test("positions outside of the tables, where the host can see them")
  func positions() throws {
    let backend = try CPUBackend()
    let (states, table) = (try backend.floats(2, 8), try backend.floats(3, 2))
    let positions = try backend.upload([2, 3] as [Int32], columns: 1)
    let error = try refusal {
      try backend.rotaryEmbedding(states, headDimension: 4, positions: positions, cosines: table, sines: table)
    }
    #expect(error.expected == "position in 0..<3")
  }

  @Test("heads that do not fit", arguments: TestedBackend.all)
  func rotaryEmbedding(tested: TestedBackend) throws {
    let backend = try tested.open()
    let (states, table) = (try backend.floats(2, 8), try backend.floats(3, 2))
    let positions = try backend.upload([2, 1] as [Int32], columns: 1)
    for dimension in [0, 3, 2] {
      _ = try refusal {
        try backend.rotaryEmbedding(
          states, headDimension: dimension, positions: positions, cosines: table, sines: table)
      }
    }
  }

  @Test("heads that do not divide, widths, windows and caps that make no sense", arguments: TestedBackend.all)
  func attention(tested: TestedBackend) throws {
    let backend = try tested.open()
    let sequences = try PackedSequences(lengths: [2, 1], on: backend)
    let good = AttentionShape(queryHeads: 4, keyValueHeads: 2, headDimension: 2, scale: 1)
    let (states, keys) = (try backend.floats(3, 8), try backend.floats(3, 4))
    let changes: [(inout AttentionShape) -> Void] = [
      { $0.keyValueHeads = 3 }, { $0.keyValueHeads = 0 }, { $0.headDimension = 3 }, { $0.headDimension = 0 },
      { $0.window = 0 }, { $0.softCap = 0 }, { $0.softCap = .nan },
    ]
    for change in changes {
      var shape = good
      change(&shape)
      _ = try refusal {
        try backend.attention(
          queries: states, keys: keys, values: keys, sequences: sequences, shape: shape, into: states)
      }
    }
    _ = try refusal {
      try backend.attention(
        queries: states, keys: keys, values: backend.floats(2, 4), sequences: sequences, shape: good, into: states)
    }
  }

  @Test("element-wise operations on shapes that differ", arguments: TestedBackend.all)
  func elementwise(tested: TestedBackend) throws {
    let backend = try tested.open()
    let (x, y) = (try backend.floats(2, 6), try backend.floats(3, 4))
    _ = try refusal { try backend.add(x, to: y) }
    _ = try refusal { try backend.copy(x, into: y) }
    _ = try refusal { try backend.copy(x, into: backend.allocate(rows: x.rows, columns: x.columns, .int32)) }
    _ = try refusal { try backend.gatedActivation(.silu, gate: x, up: y, into: x) }
    _ = try refusal { try backend.activate(.silu, x, into: y) }
    _ = try refusal { try backend.pairedSquaredDistances(x, y, into: backend.floats(2, 1)) }
    _ = try refusal { try backend.convert(x, into: y) }
    _ = try refusal { try backend.convert(x, into: backend.allocate(rows: 2, columns: 6, .int32)) }
  }

  @Test("normalisers, gradients and wanted patterns of other shapes", arguments: TestedBackend.all)
  func fitting(tested: TestedBackend) throws {
    let backend = try tested.open()
    let sequences = try PackedSequences(lengths: [2, 1], on: backend)
    let good = AttentionShape(queryHeads: 4, keyValueHeads: 2, headDimension: 2, scale: 1)
    let (states, keys, numbers) = (try backend.floats(3, 8), try backend.floats(3, 4), try backend.floats(3, 4))
    let small = try backend.floats(3, 2)
    _ = try refusal {
      try backend.attentionNormalisers(queries: states, keys: keys, sequences: sequences, shape: good, into: small)
    }
    var capped = good
    capped.softCap = -1
    _ = try refusal {
      try backend.attentionNormalisers(queries: states, keys: keys, sequences: sequences, shape: capped, into: numbers)
    }
    for wrong in 0..<9 {
      let arguments = [states, keys, numbers, states, keys, numbers, numbers, states, keys].enumerated().map {
        $0 == wrong ? small : $1
      }
      let error = try refusal {
        try backend.attentionDivergence(
          queries: arguments[0], keys: arguments[1], normalisers: arguments[2], wantedQueries: arguments[3],
          wantedKeys: arguments[4], wantedNormalisers: arguments[5], sequences: sequences, shape: good,
          divergences: arguments[6], queryGradient: arguments[7], keyGradient: arguments[8])
      }
      #expect(error.operation == "attentionDivergence")
      #expect(error.got == "float32 [3, 2]")
    }
    for wrong in 1..<5 {
      let arguments = (0..<5).map { $0 == wrong ? small : states }
      _ = try refusal {
        try backend.gatedActivationGradient(
          .silu, gate: arguments[0], up: arguments[1], gradient: arguments[2], gateGradient: arguments[3],
          upGradient: arguments[4])
      }
    }
    _ = try refusal { try backend.rmsNormGradient(keys, gain: backend.floats(1, 3), epsilon: 0, gradient: keys) }
    _ = try refusal { try backend.rmsNormGradient(keys, gain: backend.floats(1, 4), epsilon: 0, gradient: states) }
  }

  @Test("a row for every text", arguments: TestedBackend.all)
  func pool(tested: TestedBackend) throws {
    let backend = try tested.open()
    let sequences = try PackedSequences(lengths: [2, 1], on: backend)
    _ = try refusal {
      try backend.pool(backend.floats(3, 4), sequences: sequences, pooling: .mean, into: backend.floats(3, 4))
    }
    _ = try refusal {
      try backend.pool(backend.floats(4, 4), sequences: sequences, pooling: .mean, into: backend.floats(2, 4))
    }
  }

  @Test("no models, and rows that do not divide among them", arguments: TestedBackend.all)
  func distancesBetweenModels(tested: TestedBackend) throws {
    let backend = try tested.open()
    let x = try backend.floats(6, 3)
    for (models, rows, samples) in [(0, 0, 6), (2, 4, 2), (3, 3, 2)] {
      _ = try refusal {
        try backend.squaredDistancesBetweenModels(x, models: models, into: backend.floats(rows, samples))
      }
    }
  }

  @Test("a sigma that is not positive", arguments: TestedBackend.all)
  func radialBasisKernel(tested: TestedBackend) throws {
    let backend = try tested.open()
    let (x, out) = (try backend.floats(2, 3), try backend.floats(2, 2))
    for sigma in [0, -1, Float.nan] {
      _ = try refusal { try backend.radialBasisKernel(x, x, sigma: sigma, into: out) }
    }
  }

  @Test("clusters without a centroid, where the host can see them")
  func membership() throws {
    let backend = try CPUBackend()
    let numbers = try backend.upload([0, 4] as [Int32], columns: 1)
    _ = try refusal {
      try backend.updateCentroids(points: backend.floats(2, 3), clusters: numbers, centroids: backend.floats(4, 3))
    }
  }

  @Test("no centroids", arguments: TestedBackend.all)
  func clusters(tested: TestedBackend) throws {
    let backend = try tested.open()
    let points = try backend.floats(2, 3)
    let (numbers, distances) = (try backend.upload([0, 4] as [Int32], columns: 1), try backend.floats(2, 1))
    _ = try refusal {
      try backend.assignClusters(
        points: points, centroids: backend.floats(0, 3), clusters: numbers, distances: distances)
    }
  }

  @Test("too few and too many inputs, weights and counters", arguments: TestedBackend.all)
  func weightedSum(tested: TestedBackend) throws {
    let backend = try tested.open()
    let (x, counters) = (try backend.floats(2, 3), try backend.upload([0, 0] as [Int32], columns: 2))
    _ = try refusal { try backend.weightedSum([], weights: [], into: x, nonFinite: counters) }
    _ = try refusal { try backend.weightedSum([x], weights: [1, 2], into: x, nonFinite: counters) }
    _ = try refusal { try backend.weightedSum([x, x], weights: [1, 2], into: x, nonFinite: counters) }
    _ = try refusal {
      try backend.weightedSum(
        Array(repeating: x, count: 17), weights: Array(repeating: 1, count: 17), into: x, nonFinite: counters)
    }
  }

  @Test("changes, digits, moments and sums that do not fit", arguments: TestedBackend.all)
  func changes(tested: TestedBackend) throws {
    let backend = try tested.open()
    let (x, row) = (try backend.floats(2, 3), try backend.floats(1, 3))
    let out = try backend.floats(2, 3)
    _ = try refusal {
      try backend.sparseChange(of: x, from: row, first: 0, keeping: .all, factor: 1, into: out)
    }
    _ = try refusal { try backend.sparseChange(of: x, from: x, first: -1, keeping: .all, factor: 1, into: out) }
    let counts = try backend.upload([0, 0, 0] as [Int32], columns: 3)
    _ = try refusal {
      try backend.countDigits(of: x, first: 0, digit: SortDigit(.magnitude, shift: 15), into: counts)
    }
    let pair = try backend.upload([0, 0] as [Int32], columns: 2)
    _ = try refusal {
      try backend.countDigits(of: x, first: 0, digit: SortDigit(.number, shift: 32), into: pair)
    }
    _ = try refusal { try backend.blockMoments(x, x, into: backend.floats(1, 3)) }
    _ = try refusal { try backend.blockMoments(x, row, into: backend.floats(1, 5)) }
    let counters = try backend.upload([0, 0, 0, 0] as [Int32], columns: 4)
    _ = try refusal {
      try backend.sumAgreeing(x, base: row, factors: backend.floats(1, 3), into: row, nonFinite: counters)
    }
    _ = try refusal {
      try backend.sumAgreeing(
        backend.floats(16, 3), base: row, factors: backend.floats(1, 1 << 16), into: row, nonFinite: counters)
    }
  }

  @Test("elements that are not aligned to their size", arguments: TestedBackend.all)
  func alignment(tested: TestedBackend) throws {
    let backend = try tested.open()
    let buffer = try backend.allocate(byteCount: 64)
    let crooked = try Matrix(buffer, byteOffset: 2, rows: 1, columns: 4, elementType: .float32)
    _ = try refusal { try backend.add(crooked, to: backend.floats(1, 4)) }
  }

  @Test("no threads, and an instruction set that is not there")
  func options() throws {
    _ = try refusal { _ = try CPUBackend(CPUBackend.Options(threads: 0)) }
    let error = try #require(throws: DeviceError.self) { try CPUBackend(CPUBackend.Options(instructionSet: 99)) }
    #expect(error.code == .unavailable)
  }
}
