import Checkpoint
import Compute
import Diagnostics

/// Fuses tensors that are on the device already: while one piece is on its way back or to the disk, the next is computed.
final class ResidentPieces {
  /// The elements of one piece: a few MiB, large enough for any bus and disk.
  private static let pieceElements = 1 << 21
  private static let piecesAtOnce = 3

  private let plan: FusionPlan
  private let output: FusionOutput
  private let waits: StageWaits
  private let backend: any ComputeBackend
  private let behind = WriteBehind(slots: piecesAtOnce)
  private let nonFinite = NonFiniteCounter()
  /// What pieces are computed into; taken when first needed and kept.
  private var memory: (slots: [SlotBuffers], device: [DeviceBuffer], counts: Matrix)?

  init(_ plan: FusionPlan, output: FusionOutput, waits: StageWaits, on backend: any ComputeBackend) {
    self.plan = plan
    self.output = output
    self.waits = waits
    self.backend = backend
  }

  /// The host memory that the pieces take.
  static func hostByteCount(_ plan: FusionPlan) -> Int { piecesAtOnce * pieceByteCount(plan) }

  private static func pieceByteCount(_ plan: FusionPlan) -> Int {
    pieceElements * (plan.tensors.filter(\.isFused).map { $0.layout.type.bitWidth / 8 }.max() ?? 0)
  }

  /// Fuses one tensor.
  ///
  /// - Parameters:
  ///   - tensor: The tensor.
  ///   - inputs: The tensor of every model, on the device.
  ///   - weights: One for each of them.
  /// - Throws: `Failure` or `DeviceError`, also those of earlier pieces.
  func fuse(_ tensor: PlannedTensor, inputs: [Matrix], weights: [Float]) throws {
    let memory = try reserved()
    let count = tensor.sources[0].elementCount
    for start in stride(from: 0, to: max(count, 1), by: ResidentPieces.pieceElements) {
      let piece = Piece(tensor: tensor, elements: start..<min(start + ResidentPieces.pieceElements, count))
      let slot = try waits.measure(.write) { try behind.slot() }
      let buffers = memory.slots[slot]
      let out = try piece.output(in: memory.device[slot])
      let inputs = try inputs.map { input throws(DeviceError) in try input.elements(piece.elements) }
      try backend.weightedSum(inputs, weights: weights, into: out, nonFinite: memory.counts)
      let transfers = [
        try backend.enqueueDownload(out, into: buffers.output),
        try backend.enqueueDownload(memory.counts, into: buffers.counts),
      ]
      behind.write(slot) { [output, nonFinite] in
        for transfer in transfers { try transfer.wait() }
        try output.write(piece, from: buffers, nonFinite: nonFinite.growth(in: buffers))
      }
    }
  }

  /// Writes one tensor that is complete on the device.
  ///
  /// - Parameters:
  ///   - tensor: The tensor.
  ///   - values: Its elements, in the type of the output.
  ///   - nonFinite: How many values of each model and, last, of the result are not finite.
  /// - Throws: `Failure` or `DeviceError`, also those of earlier pieces.
  func write(_ tensor: PlannedTensor, _ values: Matrix, nonFinite: [Int]) throws {
    let memory = try reserved()
    for start in stride(from: 0, to: max(values.count, 1), by: ResidentPieces.pieceElements) {
      let piece = Piece(tensor: tensor, elements: start..<min(start + ResidentPieces.pieceElements, values.count))
      let slot = try waits.measure(.write) { try behind.slot() }
      let buffers = memory.slots[slot]
      let transfer = try backend.enqueueDownload(values.elements(piece.elements), into: buffers.output)
      behind.write(slot) { [output] in
        try transfer.wait()
        // Counted once, with the last piece.
        try output.write(piece, from: buffers, nonFinite: piece.isLast ? nonFinite : nonFinite.map { _ in 0 })
      }
    }
  }

  /// Waits until everything is with the writer.
  ///
  /// - Throws: The first failure of a piece.
  func finish() throws { try behind.finish() }

  private func reserved() throws(DeviceError) -> (slots: [SlotBuffers], device: [DeviceBuffer], counts: Matrix) {
    if let memory { return memory }
    let models = plan.models.count
    let slots = try (0..<ResidentPieces.piecesAtOnce).map { _ throws(DeviceError) in
      try SlotBuffers(
        inputByteCount: 0, outputByteCount: ResidentPieces.pieceByteCount(plan), models: models, on: backend)
    }
    let device = try slots.map { slot throws(DeviceError) in try backend.upload(slot.output) }
    let counts = try backend.upload([Int32](repeating: 0, count: models + 1), columns: models + 1)
    memory = (slots, device, counts)
    return (slots, device, counts)
  }
}
