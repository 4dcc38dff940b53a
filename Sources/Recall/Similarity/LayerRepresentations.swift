import Compute

/// What several models make of the same samples at one layer, and how far that is apart.
public struct LayerRepresentations {
  /// One `float32 [samples, d]` for every model.
  public let matrices: [Matrix]
  /// `|x_i − x_j|²` of every sample, model by model, and `|x_i|²` for i = j: `[models, models, samples]`.
  private let squares: [Float]

  /// Compares all models with each other, in one step of the device that this waits for.
  ///
  /// - Parameters:
  ///   - representations: `float32 [models · samples, d]`, model by model.
  ///   - models: The number of models.
  ///   - backend: The device that holds them.
  /// - Throws: `DeviceError`.
  public init(_ representations: Matrix, models: Int, on backend: any ComputeBackend) throws(DeviceError) {
    let samples = representations.rows / models
    matrices = try (0..<models).map { model throws(DeviceError) in
      try representations.rows(model * samples..<(model + 1) * samples)
    }
    let squares = try backend.allocate(rows: models * models, columns: samples)
    try backend.squaredDistancesBetweenModels(representations, models: models, into: squares)
    self.squares = try backend.download(squares)
  }

  /// The number of samples.
  public var samples: Int { matrices[0].rows }

  /// The representation of one model, `float32 [samples, d]`.
  public subscript(model: Int) -> Matrix { matrices[model] }

  /// `|x_i − x_j|²` of every sample; for i = j `|x_i|²`.
  func squares(_ i: Int, _ j: Int) -> ArraySlice<Float> {
    let start = (i * matrices.count + j) * samples
    return squares[start..<start + samples]
  }

  /// Whether a model's numbers are all finite, and small enough to be compared.
  func isFinite(_ model: Int) -> Bool { squares(model, model).allSatisfy(\.isFinite) }
}
