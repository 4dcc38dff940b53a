import Diagnostics

/// A tensor of float32 values in memory.
public struct FloatTensor: Equatable, Sendable {
  /// The name, unique in its file.
  public var name: String
  /// The extent of each dimension, row-major.
  public var shape: [Int]
  /// As many values as the shape has elements.
  public var values: [Float]

  /// A tensor of values.
  public init(name: String, shape: [Int], values: [Float]) {
    self.name = name
    self.shape = shape
    self.values = values
  }
}

/// A safetensors file of float32 tensors that fits in memory, with text metadata: hidden states and other results.
public struct FloatTensorFile: Equatable, Sendable {
  /// The tensors in the order of their bytes.
  public var tensors: [FloatTensor]
  /// The `__metadata__`.
  public var metadata: [String: String]

  /// A file with tensors and metadata.
  public init(tensors: [FloatTensor], metadata: [String: String]) {
    self.tensors = tensors
    self.metadata = metadata
  }

  /// Reads a file whole.
  ///
  /// - Throws: `Failure` of category `missingInput`, `inputOutput`, or `badData` for a bad header or a tensor of another
  ///   type than `F32`.
  public init(reading path: String) throws(Failure) {
    let file = try InputFile(path)
    let header = try SafetensorsHeader.read(file)
    var tensors: [FloatTensor] = []
    for record in header.tensors {
      guard record.type == .float32 else {
        throw Failure(
          .badData, operation: "read float32 tensors", subject: "\(path), tensor \(record.name)", expected: "F32",
          got: record.type.rawValue)
      }
      var values = [Float](repeating: 0, count: record.elementCount)
      var span = values.mutableSpan
      var destination = span.mutableBytes
      try file.read(record.byteRange, into: &destination)
      tensors.append(FloatTensor(name: record.name, shape: record.shape, values: values))
    }
    self.init(tensors: tensors, metadata: header.metadata)
  }

  /// Writes the file; it is there with all of its bytes or not at all.
  ///
  /// - Parameters:
  ///   - path: Where the file shall be.
  ///   - overwrite: Whether a file that is there already is replaced.
  /// - Throws: `Failure` as `writeFile` does, and of category `internalError` when values and shape do not fit together.
  public func write(to path: String, overwrite: Bool = false) throws(Failure) {
    let layouts = tensors.map { TensorLayout(name: $0.name, type: .float32, shape: $0.shape) }
    var (header, bytes) = try ShardLayout(fileName: path, tensors: layouts, metadata: metadata).head()
    for (tensor, record) in zip(tensors, header.tensors) {
      guard tensor.values.count == record.elementCount else {
        throw Failure(
          .internalError, operation: "write float32 tensors", subject: "\(path), tensor \(tensor.name)",
          expected: "\(record.elementCount) values", got: "\(tensor.values.count)")
      }
      tensor.values.withUnsafeBytes { bytes += $0 }
    }
    try writeFile(bytes, to: path, overwrite: overwrite)
  }
}
