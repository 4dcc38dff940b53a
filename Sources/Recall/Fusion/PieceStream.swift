import Checkpoint
import Compute
import Diagnostics
import Dispatch
import Synchronization

/// Takes pieces of tensors from the inputs through the device to the output: a thread for each slot of a ring takes one
/// piece after the other and does all of its steps.
///
/// So reads, transfers, sums and writes of different pieces overlap, and where the device computes in host memory a piece
/// stays in the cache of one core from reading to writing.
final class PieceStream: Sendable {
  private let plan: FusionPlan
  private let pieces: [Piece]
  private let weights: [[Float]]
  private let slots: [SlotBuffers]
  private let digests: [TensorDigests]
  private let schedule: PieceSchedule
  private let waits: StageWaits
  private let output: FusionOutput

  /// Prepares a stream.
  ///
  /// - Parameters:
  ///   - plan: What is made of what.
  ///   - pieces: What to fuse, in the order of reading.
  ///   - weights: For each piece, one weight per model.
  ///   - slots: The host memory.
  ///   - digests: What the bytes read add to, one for each model.
  ///   - waits: Told how long the pieces took to be read, computed and written.
  ///   - output: Where fused pieces go.
  init(
    _ plan: FusionPlan, pieces: [Piece], weights: [[Float]], slots: [SlotBuffers], digests: [ModelDigester],
    waits: StageWaits, output: FusionOutput
  ) {
    self.plan = plan
    self.pieces = pieces
    self.weights = weights
    self.slots = slots
    self.digests = digests.map(TensorDigests.init)
    self.waits = waits
    self.output = output
    schedule = PieceSchedule(count: pieces.count, steps: plan.models.count + 1)
  }

  /// Runs to the end.
  ///
  /// - Throws: `Failure` or `DeviceError` of the earliest piece that failed.
  func run(on backend: any ComputeBackend) throws {
    if let backends = backend.threadBackends {
      // Every thread computes for itself.
      eachSlot { [self] slot in
        let lane = try FusionLane(plan.models, buffers: slots[slot], on: backends.open())
        try takePieces(slot) { number in try lane.fuse(pieces[number], weights: weights[number]) }
      }.wait()
    } else {
      // One thread, which is this one, commands the device for all slots.
      let lanes = try slots.map { buffers throws(DeviceError) in
        try FusionLane(plan.models, buffers: buffers, on: backend)
      }
      let errands = Errands()
      eachSlot { [self] slot in
        try takePieces(slot) { number in try errands.run(Errand(slot: slot, piece: number)) }
      }.notify(queue: .global()) { errands.close() }
      errands.serve { errand in try lanes[errand.slot].fuse(pieces[errand.piece], weights: weights[errand.piece]) }
    }
    try schedule.finish()
  }

  private func eachSlot(_ body: @escaping @Sendable (_ slot: Int) throws -> Void) -> DispatchGroup {
    let threads = DispatchGroup()
    for slot in slots.indices {
      DispatchQueue(label: "recall.fusion.\(slot)").async(group: threads) { [schedule] in
        // A slot that cannot start counts as before all pieces.
        do { try body(slot) } catch { schedule.fail(-1, error) }
      }
    }
    return threads
  }

  private func takePieces(_ slot: Int, fuse: (_ number: Int) throws -> [Transfer]) throws {
    let buffers = slots[slot]
    let nonFinite = NonFiniteCounter()
    while let number = schedule.next() {
      do {
        try waits.measure(.read, threads: slots.count) { try read(number, into: buffers.input) }
        try waits.measure(.compute, threads: slots.count) { for transfer in try fuse(number) { try transfer.wait() } }
        try waits.measure(.write, threads: slots.count) {
          try schedule.inTurn(number, step: plan.models.count) {
            try output.write(pieces[number], from: buffers, nonFinite: nonFinite.growth(in: buffers))
          }
        }
      } catch {
        schedule.fail(number, error)
        return
      }
    }
  }

  /// Reads a piece of every model and digests it while it is in the cache.
  private func read(_ number: Int, into buffer: HostBuffer) throws {
    let piece = pieces[number]
    for (index, (source, place)) in zip(piece.tensor.sources, piece.places.ranges).enumerated() {
      try buffer.withMutableBytes(in: place) { destination throws(Failure) in
        try plan.models[index].read(source, bytes: piece.bytes(of: source), into: &destination)
      }
      guard digests[index].isWanted else { continue }
      try schedule.inTurn(number, step: index) {
        buffer.withBytes(in: place) { bytes in
          digests[index].update(bytes, of: source, isFirst: piece.isFirst, isLast: piece.isLast)
        }
      }
    }
  }
}

/// The digest of the tensor of one model that is being read, whose pieces come in order.
private final class TensorDigests: Sendable {
  private let model: ModelDigester
  private let running = Mutex(Digester())

  init(_ model: ModelDigester) { self.model = model }

  var isWanted: Bool { model.isWanted }

  func update(_ bytes: RawSpan, of tensor: TensorRecord, isFirst: Bool, isLast: Bool) {
    running.withLock { running in
      if isFirst { running = Digester() }
      running.update(bytes)
      if isLast { model.record(tensor, running.digest) }
    }
  }
}

// MARK: The thread of the device

/// A piece to be fused with the lane of a slot.
private struct Errand: Sendable {
  let slot: Int
  let piece: Int
}

/// Errands that threads have the thread of the device do for them, in the order in which they come.
private final class Errands: Sendable {
  private final class Answer: Sendable {
    let arrived = DispatchSemaphore(value: 0)
    let transfers = Mutex<Result<[Transfer], any Error>?>(nil)
  }

  private struct State {
    var waiting: [(errand: Errand, answer: Answer)] = []
    var isClosed = false
  }

  private let state = Mutex(State())
  private let changed = DispatchSemaphore(value: 0)

  /// Waits until an errand is done, which means enqueued, and gives what is on its way.
  func run(_ errand: Errand) throws -> [Transfer] {
    let answer = Answer()
    state.withLock { $0.waiting.append((errand, answer)) }
    changed.signal()
    answer.arrived.wait()
    return try answer.transfers.withLock { $0 }?.get() ?? []
  }

  /// No errand comes any more.
  func close() {
    state.withLock { $0.isClosed = true }
    changed.signal()
  }

  /// Does errands on the calling thread until `close`.
  func serve(_ body: (Errand) throws -> [Transfer]) {
    while true {
      changed.wait()
      guard let (errand, answer) = state.withLock({ $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }) else {
        return
      }
      let result = Result { try body(errand) }
      answer.transfers.withLock { $0 = result }
      answer.arrived.signal()
    }
  }
}
