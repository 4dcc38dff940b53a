import Compute

/// One vector per sample at one layer: `r^l(x)`, on the host.
public struct LayerRepresentation: Sendable, Equatable {
  /// The layer.
  public let layer: Layer
  /// The number of samples.
  public let samples: Int
  /// d.
  public let width: Int
  /// `[samples, width]`, row major.
  public let values: [Float]

  /// Brings a representation from a device.
  ///
  /// - Throws: `DeviceError`.
  public init(_ layer: Layer, _ matrix: Matrix, on backend: any ComputeBackend) throws(DeviceError) {
    self.init(layer: layer, samples: matrix.rows, width: matrix.columns, values: try backend.download(matrix))
  }

  /// A representation from its numbers.
  public init(layer: Layer, samples: Int, width: Int, values: [Float]) {
    self.layer = layer
    self.samples = samples
    self.width = width
    self.values = values
  }
}
