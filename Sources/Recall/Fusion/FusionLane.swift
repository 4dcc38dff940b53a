import Checkpoint
import Compute
import Diagnostics

/// The device's side of one slot of a ring: fuses one piece at a time from host memory into host memory.
///
/// It belongs to the thread of its backend. On a device that computes in host memory `upload` hands out the same memory,
/// so nothing is copied.
final class FusionLane {
  private let backend: any ComputeBackend
  private let tensors: [DeviceTensors]
  private let buffers: SlotBuffers
  private let output: DeviceBuffer
  private let counts: Matrix

  /// Prepares a lane over the buffers of a slot.
  ///
  /// - Throws: `DeviceError` when the device has no memory for its output.
  init(_ models: [ModelDirectory], buffers: SlotBuffers, on backend: any ComputeBackend) throws(DeviceError) {
    tensors = try models.map { model throws(DeviceError) in try DeviceTensors(model, on: backend) }
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
    let inputs = try tensors.indices.map { index in
      try tensors[index].elements(
        of: piece.tensor.sources[index], piece.elements, in: device, at: places[index].lowerBound)
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
    let type = try ElementType(stored: tensor.layout.type, of: tensor.layout.name)
    return try Matrix(buffer, rows: 1, columns: elements.count, elementType: type)
  }
}
