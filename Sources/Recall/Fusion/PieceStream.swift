import Checkpoint
import Compute
import Diagnostics
import Dispatch
import Synchronization

/// Takes pieces of tensors from the inputs through the device to where they go: a thread for each slot of a ring takes one
/// piece after the other and does all of its steps.
///
/// So reads, transfers, sums and writes of different pieces overlap, and where the device computes in host memory a piece
/// stays in the cache of one core from reading to writing.
final class PieceStream<Work: PieceWork>: Sendable {
  private let plan: FusionPlan
  private let pieces: [Piece]
  private let slots: [SlotBuffers]
  private let digests: [TensorDigests]
  private let schedule: PieceSchedule
  private let waits: StageWaits
  private let work: Work

  /// Prepares a stream.
  ///
  /// - Parameters:
  ///   - plan: What is made of what.
  ///   - pieces: What to take, in the order of reading.
  ///   - slots: The host memory.
  ///   - digests: What the bytes read add to, one for each input, or none.
  ///   - waits: Told how long the pieces took to be read, computed and written.
  ///   - work: What is done with them.
  init(
    _ plan: FusionPlan, pieces: [Piece], slots: [SlotBuffers], digests: [ModelDigester], waits: StageWaits, work: Work
  ) {
    self.plan = plan
    self.pieces = pieces
    self.slots = slots
    self.digests = digests.map(TensorDigests.init)
    self.waits = waits
    self.work = work
    schedule = PieceSchedule(count: pieces.count, steps: plan.models.count + 1)
  }

  /// Runs to the end.
  ///
  /// - Throws: `Failure` or `DeviceError` of the earliest piece that failed.
  func run(on backend: any ComputeBackend) throws {
    if let backends = backend.threadBackends {
      // Every thread computes for itself.
      eachSlot { [self] slot in
        let lane = try work.lane(of: slots[slot], on: backends.open())
        if try takePieces(slot, with: lane.take) { try lane.close() }
      }.wait()
      try schedule.finish()
    } else {
      // One thread, which is this one, commands the device for all slots.
      let lanes = try slots.map { buffers in try work.lane(of: buffers, on: backend) }
      let errands = Errands()
      eachSlot { [self] slot in
        _ = try takePieces(slot) { number in try errands.run(Errand(slot: slot, piece: number)) }
      }.notify(queue: .global()) { errands.close() }
      errands.serve { errand in try lanes[errand.slot].take(errand.piece) }
      try schedule.finish()
      for lane in lanes { try lane.close() }
    }
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

  /// Takes pieces until there is none left; says whether all went well.
  private func takePieces(_ slot: Int, with take: (_ number: Int) throws -> [Transfer]) throws -> Bool {
    let buffers = slots[slot]
    while let number = schedule.next() {
      do {
        try waits.measure(.read, threads: slots.count) { try read(number, into: buffers.input) }
        try waits.measure(.compute, threads: slots.count) { for transfer in try take(number) { try transfer.wait() } }
        try waits.measure(.write, threads: slots.count) {
          try schedule.inTurn(number, step: plan.models.count) {
            try work.finish(number, slot: slot, buffers)
          }
        }
      } catch {
        schedule.fail(number, error)
        return false
      }
    }
    return true
  }

  /// Reads a piece of every model and digests it while it is in the cache.
  private func read(_ number: Int, into buffer: HostBuffer) throws {
    let piece = pieces[number]
    for (index, (source, place)) in zip(piece.tensor.sources, piece.places.ranges).enumerated() {
      try buffer.withMutableBytes(in: place) { destination throws(Failure) in
        try plan.models[index].read(source, bytes: piece.bytes(of: source), into: &destination)
      }
      guard digests.indices.contains(index), digests[index].isWanted else { continue }
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
