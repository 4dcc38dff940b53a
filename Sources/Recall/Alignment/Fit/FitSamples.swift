import Compute

/// What reaches maps that are fitted together, in the merged model and on the experts' own paths: kept while they are fitted,
/// since it is asked for many times.
final class FitSamples {
  /// A batch of texts.
  struct Batch {
    /// The number of the expert whose texts they are.
    let model: Int
    /// v, how much they count.
    let weight: Double
    /// Their rows among all.
    let rows: Range<Int>
    let sequences: PackedSequences
  }

  private(set) var batches: [Batch] = []
  private let arithmetic: FitArithmetic
  private let tokens: Int
  private let width: Int

  /// Prepares for so many tokens `[tokens, width]`.
  init(tokens: Int, width: Int, _ arithmetic: FitArithmetic) {
    (self.tokens, self.width, self.arithmetic) = (tokens, width, arithmetic)
  }

  /// Keeps a batch.
  ///
  /// - Parameters:
  ///   - given: What reaches the maps.
  ///   - model: The expert.
  ///   - weight: v.
  /// - Throws: `DeviceError`.
  func add(_ given: AlignedStates.MapInputs, of model: Int, weight: Double) throws(DeviceError) {
    let first = batches.last?.rows.upperBound ?? 0
    let batch = Batch(
      model: model, weight: weight, rows: first..<first + given.merged.rows, sequences: given.sequences)
    try arithmetic.backend.copy(given.merged, into: merged(batch))
    try arithmetic.backend.copy(given.own, into: own(batch))
    batches.append(batch)
  }

  /// What reaches the maps in the merged model, `float32 [tokens, in]`.
  func merged(_ batch: Batch) throws(DeviceError) -> Matrix {
    try arithmetic.matrix(.inputs, rows: tokens, columns: width).rows(batch.rows)
  }

  /// What reaches them on the expert's own path.
  func own(_ batch: Batch) throws(DeviceError) -> Matrix {
    try arithmetic.matrix(.ownInputs, rows: tokens, columns: width).rows(batch.rows)
  }

  /// Scratch with a row for every token, by number.
  func wanted(_ number: Int, columns: Int) throws(DeviceError) -> Matrix {
    try arithmetic.matrix(.wanted(number), rows: tokens, columns: columns)
  }

  /// Σ v over all tokens.
  var weight: Double { batches.reduce(0) { $0 + $1.weight * Double($1.rows.count) } }
}
