import Compute

/// Matrices as vectors: scratch, sums and scalar products on a device, the last added up in double precision on the host.
struct FitArithmetic {
  private let workspace: AlignmentWorkspace
  let backend: any ComputeBackend

  /// Prepares the arithmetic.
  init(_ workspace: AlignmentWorkspace, on backend: any ComputeBackend) {
    self.workspace = workspace
    self.backend = backend
  }

  /// Scratch with any content, until the same purpose is asked for again.
  func matrix(_ purpose: AlignmentWorkspace.Fit, rows: Int, columns: Int) throws(DeviceError) -> Matrix {
    try workspace.matrix(.fit(purpose), rows: rows, columns: columns)
  }

  /// `out = Σ weights[i] · terms[i]`; out may be one of them.
  func combine(_ terms: [Matrix], _ weights: [Double], into out: Matrix) throws(DeviceError) {
    try backend.weightedSum(terms, weights: weights.map(Float.init), into: out)
  }

  /// ⟨x, y⟩.
  func product(_ x: Matrix, _ y: Matrix) throws(DeviceError) -> Double {
    let blocks = (x.count + MomentLimits.block - 1) / MomentLimits.block
    let moments = try matrix(.moments, rows: blocks, columns: 5)
    try backend.blockMoments(x, y, into: moments)
    let sums = try backend.download(moments)
    return stride(from: 2, to: sums.count, by: 5).reduce(0) { $0 + Double(sums[$1]) }
  }

  /// Makes a vector 0.
  func clear(_ vector: Matrix) throws(DeviceError) {
    try backend.copy(
      backend.upload([Float](repeating: 0, count: vector.count), columns: vector.columns), into: vector)
  }
}
