import Checkpoint
import Compute
import Diagnostics

/// The device's side of one slot of a ring: fuses one piece at a time from host memory into host memory.
///
/// It belongs to the thread of its backend. On a device that computes in host memory `upload` hands out the same memory,
/// so nothing is copied.
final class FusionLane {
  private let backend: any ComputeBackend
  private let models: [ModelDirectory]
  private let buffers: SlotBuffers
  private let output: DeviceBuffer
  private let counts: Matrix

  /// Prepares a lane over the buffers of a slot.
  ///
  /// - Throws: `DeviceError` when the device has no memory for its output.
  init(_ models: [ModelDirectory], buffers: SlotBuffers, on backend: any ComputeBackend) throws(DeviceError) {
    self.models = models
    self.buffers = buffers
    self.backend = backend
    output = try backend.upload(buffers.output)
    counts = try backend.upload([Int32](repeating: 0, count: models.count + 1), columns: models.count + 1)
  }

  /// Enqueues the fusion of a piece whose inputs were read into the slot's buffer.
  ///
  /// - Returns: The transfers that bring the fused elements, and the counts of non-finite values, into the slot's buffers.
  func fuse(_ piece: Piece, weights: [Float]) throws -> [Transfer] {
    let (places, end) = piece.places
    let device = try backend.upload(buffers.input.prefix(end))
    let inputs = try models.indices.map { index in
      try models[index].elements(
        of: piece.tensor.sources[index], piece.elements, in: device, at: places[index].lowerBound, on: backend)
    }
    let out = try piece.output(in: output)
    try backend.weightedSum(inputs, weights: weights, into: out, nonFinite: counts)
    return [
      try backend.enqueueDownload(out, into: buffers.output), try backend.enqueueDownload(counts, into: buffers.counts),
    ]
  }
}

extension Piece {
  /// The fused elements, at the start of a buffer.
  func output(in buffer: DeviceBuffer) throws -> Matrix {
    let type = try elementType(tensor.layout.type, tensor.layout.name)
    return try Matrix(buffer, rows: 1, columns: elements.count, elementType: type)
  }
}

extension ModelDirectory {
  /// The elements of one of the model's tensors as a device computes with them: the one place where stored bytes become
  /// numbers.
  ///
  /// - Parameters:
  ///   - tensor: The tensor.
  ///   - elements: Which of its elements the buffer holds; whole rows wherever a row fits a piece.
  ///   - buffer: Their bytes as stored.
  ///   - byteOffset: Where they start in the buffer.
  ///   - backend: The device.
  /// - Returns: The elements as `[1, elements]`, in the type in which they are stored.
  /// - Throws: `Failure` for a tensor that is not floating point; `DeviceError` when the elements do not fit the buffer.
  func elements(
    of tensor: TensorRecord, _ elements: Range<Int>, in buffer: DeviceBuffer, at byteOffset: Int,
    on backend: any ComputeBackend
  ) throws -> Matrix {
    let type = try elementType(tensor.type, "\(path), tensor \(tensor.name)")
    return try Matrix(buffer, byteOffset: byteOffset, rows: 1, columns: elements.count, elementType: type)
  }
}

private func elementType(_ type: StoredType, _ subject: String) throws(Failure) -> ElementType {
  if let type = ElementType(type) { return type }
  throw Failure(
    .internalError, operation: "fuse", subject: subject, expected: "a floating point tensor", got: type.rawValue)
}
