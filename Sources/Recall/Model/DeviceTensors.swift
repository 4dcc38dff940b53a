import Checkpoint
import Compute
import Diagnostics

/// The tensors of one model as a device computes with them: the one place where stored bytes become numbers.
///
/// It belongs to the thread of its backend.
final class DeviceTensors {
  private let model: ModelDirectory
  private let adapted: AdaptedTensors?
  private let backend: any ComputeBackend

  /// Prepares the tensors of a model.
  init(_ model: ModelDirectory, on backend: any ComputeBackend) {
    self.model = model
    self.backend = backend
    adapted = model.adapter.map { AdaptedTensors($0, on: backend) }
  }

  /// The elements of a tensor as the model has them.
  ///
  /// - Parameters:
  ///   - tensor: The tensor.
  ///   - elements: Which of its elements the buffer holds.
  ///   - buffer: Their bytes as stored.
  ///   - byteOffset: Where they start in the buffer.
  /// - Returns: The elements as `[1, elements]`, in the type in which they are stored; where an adapter changes them, in
  ///   memory of their own and in the type of the base.
  /// - Throws: `Failure` for a tensor that is not floating point, or factors that cannot be read; `DeviceError` when the
  ///   elements do not fit the buffer.
  func elements(
    of tensor: TensorRecord, _ elements: Range<Int>, in buffer: DeviceBuffer, at byteOffset: Int
  ) throws -> Matrix {
    let stored = try Matrix(
      buffer, byteOffset: byteOffset, rows: 1, columns: elements.count,
      elementType: ElementType(stored: tensor.type, of: "\(model.path), tensor \(tensor.name)"))
    guard let adapted = changing(tensor) else { return stored }
    let out = try backend.allocate(rows: 1, columns: elements.count, changedType(of: tensor))
    try adapted.add(to: stored, elements, of: tensor, into: out)
    return out
  }

  /// Rows of a tensor, such as the embeddings of some tokens, as the model has them.
  ///
  /// - Parameters:
  ///   - rows: Their numbers in the tensor.
  ///   - tensor: The tensor, `[rows, columns]`.
  ///   - buffer: Their bytes as stored, one row after the other.
  /// - Returns: `[rows.count, columns]`, of the type that `elements` gives.
  /// - Throws: As `elements` does.
  func rows(_ rows: [Int], of tensor: TensorRecord, in buffer: DeviceBuffer) throws -> Matrix {
    let columns = tensor.shape.last ?? 1
    let stored = try Matrix(
      buffer, rows: rows.count, columns: columns,
      elementType: ElementType(stored: tensor.type, of: "\(model.path), tensor \(tensor.name)"))
    guard let adapted = changing(tensor) else { return stored }
    let out = try backend.allocate(rows: rows.count, columns: columns, changedType(of: tensor))
    for (place, row) in rows.enumerated() {
      try adapted.add(
        to: stored.rows(place..<place + 1), row * columns..<(row + 1) * columns, of: tensor,
        into: out.rows(place..<place + 1))
    }
    return out
  }

  /// A whole tensor as weights: `[rows, columns]`, a vector as one row.
  ///
  /// - Parameters:
  ///   - tensor: The tensor.
  ///   - buffer: Its bytes as stored.
  ///   - byteOffset: Where they start in the buffer.
  /// - Returns: The elements, in a type that the operations of the forward pass take.
  /// - Throws: As `elements` does.
  func weights(of tensor: TensorRecord, in buffer: DeviceBuffer, at byteOffset: Int) throws -> Matrix {
    let columns = tensor.shape.last ?? 1
    return try elements(of: tensor, 0..<tensor.elementCount, in: buffer, at: byteOffset)
      .reshaped(rows: columns == 0 ? 0 : tensor.elementCount / columns, columns: columns).asWeights(on: backend)
  }

  /// Reads a whole tensor, as `weights` gives it.
  ///
  /// - Parameters:
  ///   - name: The tensor's name.
  ///   - digest: What the bytes read add to.
  /// - Returns: The elements.
  /// - Throws: `Failure` when there is no such tensor, or it cannot be read; `DeviceError`.
  func load(_ name: String, recording digest: ModelDigester) throws -> Matrix {
    guard let tensor = model.source(of: name) else {
      throw Failure(
        .internalError, operation: "read a layer", subject: model.path, expected: name, got: "no such tensor")
    }
    let buffer = try backend.allocateHost(byteCount: tensor.byteRange.count)
    let bytes = 0..<tensor.byteRange.count
    try buffer.withMutableBytes(in: bytes) { destination throws(Failure) in
      try model.read(tensor, bytes: bytes, into: &destination)
    }
    buffer.withBytes(in: bytes) { digest.record(tensor, Digest(of: $0)) }
    return try weights(of: tensor, in: backend.upload(buffer), at: 0)
  }

  private func changing(_ tensor: TensorRecord) -> AdaptedTensors? {
    model.adapter?.change(of: tensor.name) == nil ? nil : adapted
  }

  /// A tensor that an adapter changes has the type of the base, whatever the adapter stores.
  private func changedType(of tensor: TensorRecord) throws(Failure) -> ElementType {
    let base = model.checkpoint.tensor(named: tensor.name)
    return try ElementType(stored: base?.type ?? tensor.type, of: "\(model.path), tensor \(tensor.name)")
  }
}

extension ElementType {
  /// The type of a tensor's elements on a device.
  ///
  /// - Throws: `Failure` for a tensor that is not floating point.
  init(stored type: StoredType, of tensor: String) throws(Failure) {
    guard let known = ElementType(type) else {
      throw Failure(
        .internalError, operation: "compute", subject: tensor, expected: "a floating point tensor", got: type.rawValue)
    }
    self = known
  }
}
