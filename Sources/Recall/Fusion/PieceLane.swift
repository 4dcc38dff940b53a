import Checkpoint
import Compute
import Diagnostics

/// What is done with the pieces of tensors that are read: each slot of a ring has a lane that does it.
protocol PieceWork: Sendable {
  associatedtype Lane: PieceLane

  /// Prepares the lane of a slot; it belongs to the thread of its backend.
  func lane(of buffers: SlotBuffers, on backend: any ComputeBackend) throws -> Lane
  /// Does what comes last with a piece, in the order of pieces, when all that its lane enqueued has arrived.
  func finish(_ number: Int, slot: Int, _ buffers: SlotBuffers) throws
}

/// The device's side of one slot: takes one piece at a time from host memory.
protocol PieceLane {
  /// Enqueues what is done with a piece whose inputs were read into the slot's buffer.
  ///
  /// - Parameter number: The number of the piece.
  /// - Returns: The transfers to wait for before the buffers are used again.
  /// - Throws: `Failure` or `DeviceError`.
  func take(_ number: Int) throws -> [Transfer]
  /// Brings home what the lane has gathered, behind its last piece.
  func close() throws
}

extension PieceLane {
  /// Nothing is gathered.
  func close() throws {}
}

/// The inputs of a lane's pieces as a device computes with them, and memory for what is made of them on the way.
///
/// On a device that computes in host memory `upload` hands out the same memory, so nothing is copied.
final class LaneInputs {
  private let backend: any ComputeBackend
  private let tensors: [DeviceTensors]
  private let buffers: SlotBuffers
  private var scratch: DeviceBuffer?

  /// Prepares the inputs of a slot.
  ///
  /// - Throws: `DeviceError` when the device has no memory.
  init(_ models: [ModelDirectory], buffers: SlotBuffers, on backend: any ComputeBackend) throws(DeviceError) {
    tensors = models.map { DeviceTensors($0, on: backend) }
    self.buffers = buffers
    self.backend = backend
  }

  /// The elements of a piece of every input, `[1, elements]` each.
  func matrices(of piece: Piece) throws -> [Matrix] {
    let (places, end) = piece.places
    let device = try backend.upload(buffers.input.prefix(end))
    return try tensors.indices.map { index in
      try tensors[index].elements(
        of: piece.tensor.sources[index], piece.elements, in: device, at: places[index].lowerBound)
    }
  }

  /// Memory for `float32` matrices of one shape, one below the other; the next call may hand out the same.
  func scratch(rows: Int, columns: Int) throws(DeviceError) -> Matrix {
    let byteCount = rows * columns * ElementType.float32.byteCount
    if let scratch, scratch.byteCount >= byteCount {
      return try Matrix(scratch, rows: rows, columns: columns, elementType: .float32)
    }
    let grown = try backend.allocate(byteCount: byteCount)
    scratch = grown
    return try Matrix(grown, rows: rows, columns: columns, elementType: .float32)
  }
}
