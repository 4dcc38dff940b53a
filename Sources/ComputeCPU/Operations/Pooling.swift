import Compute

extension CPUBackend {
  /// One row per text: the mean of its tokens, summed in double precision, or its last token; zeros for an empty text.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func pool(
    _ states: Matrix, sequences: PackedSequences, pooling: Pooling, into out: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.pool(states, sequences: sequences, into: out)

    let width = states.columns
    let (input, output) = (states.floats, out.floats)
    workers.forEach(sequences.count, grain: 1) { _, texts in
      for text in texts {
        let tokens = sequences.starts[text]..<sequences.starts[text + 1]
        let pooled = output + text * width
        switch pooling {
        case .mean: mean(of: tokens, input, width, into: pooled)
        case .last where tokens.isEmpty: pooled.update(repeating: 0, count: width)
        case .last: pooled.update(from: input + (tokens.upperBound - 1) * width, count: width)
        }
      }
    }
  }

  private func mean(
    of tokens: Range<Int>, _ states: UnsafePointer<Float>, _ width: Int, into out: UnsafeMutablePointer<Float>
  ) {
    withUnsafeTemporaryAllocation(of: Double.self, capacity: width) { sums in
      guard let start = sums.baseAddress else { return }
      sums.initialize(repeating: 0)
      for token in tokens { loops.addToDoubles(states + token * width, start, width) }
      let count = Double(max(1, tokens.count))
      for column in 0..<width { out[column] = Float(sums[column] / count) }
    }
  }
}
