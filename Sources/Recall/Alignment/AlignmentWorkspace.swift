import Compute

/// Scratch for solving linear maps, by purpose: each grows to the largest size asked for and is kept.
final class AlignmentWorkspace {
  enum Purpose: Hashable {
    /// XᵀX of the samples, for maps that share their inputs.
    case gram
    /// A, until it is factored.
    case system
    /// The quadratic form of one expert, then the factor of A.
    case factor
    /// The factor of A of the map of this number in its group, where maps are fitted together after they are solved for.
    case keptFactor(Int)
    /// The right side of the map of this number in its group, then the solution.
    case right(Int)
    /// Some rows of a weighted sum of weights.
    case rows
    /// As many, beside them.
    case otherRows
    /// How far a batch of tokens has come off an expert's own path.
    case deviation
    /// What a batch of tokens lacks in the stream that the outputs of a map are added to.
    case lag
    /// What a batch of tokens lacks in what a map puts out.
    case outputs
    /// What fitting maps together needs.
    case fit(Fit)
  }

  /// The scratch of a fit.
  enum Fit: Hashable {
    /// What reaches the maps in the merged model, and on the experts' own paths.
    case inputs, ownInputs
    /// What the maps are to put out.
    case wanted(Int)
    /// The rows that are fitted as they were solved for, as they are tried, and the gradient by them.
    case solved, tried, gradient
    /// A vector of the descent.
    case vector(Int)
    /// Sums over blocks of a vector.
    case moments
    /// What a batch of tokens makes of the rows that are tried.
    case outputs(Int)
  }

  private let backend: any ComputeBackend
  private var buffers: [Purpose: DeviceBuffer] = [:]

  init(on backend: any ComputeBackend) { self.backend = backend }

  /// A matrix with any content, until the purpose is asked for again.
  func matrix(_ purpose: Purpose, rows: Int, columns: Int) throws(DeviceError) -> Matrix {
    let byteCount = rows * columns * ElementType.float32.byteCount
    if let buffer = buffers[purpose], buffer.byteCount >= byteCount {
      return try Matrix(buffer, rows: rows, columns: columns, elementType: .float32)
    }
    buffers[purpose] = nil
    let buffer = try backend.allocate(byteCount: byteCount)
    buffers[purpose] = buffer
    return try Matrix(buffer, rows: rows, columns: columns, elementType: .float32)
  }

  /// How many rows of a map are formed at once: enough to keep products busy, few enough to stay small beside the map.
  static func rows(of outputs: Int, inputs: Int) -> Int { min(max(outputs, 1), max(1024, (1 << 22) / max(inputs, 1))) }

  /// The rows of a map in pieces.
  static func pieces(of map: JointMap) -> [Range<Int>] {
    let count = rows(of: map.outputs, inputs: map.inputs)
    return stride(from: 0, to: map.outputs, by: count).map { $0..<min($0 + count, map.outputs) }
  }
}
