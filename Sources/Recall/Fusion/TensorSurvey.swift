import Compute
import Synchronization

/// Looks at tensors before they are fused: their pieces are read and computed on like those of a fusion, and nothing is
/// written.
///
/// What it finds is the same on every device, with any number of threads and however tensors are cut: counts are whole numbers,
/// and sums are those of fixed blocks, added in their order.
public final class TensorSurvey {
  private let plan: FusionPlan
  private let ring: PieceRing
  private let slots: [SlotBuffers]
  private let waits: StageWaits
  private let backend: any ComputeBackend

  /// Prepares a survey of a fusion's tensors with the ring and the memory of the fusion.
  init(
    _ plan: FusionPlan, ring: PieceRing, slots: [SlotBuffers], waits: StageWaits, on backend: any ComputeBackend
  ) {
    self.plan = plan
    self.ring = ring
    self.slots = slots
    self.waits = waits
    self.backend = backend
  }

  /// Counts the digits of the models' changes from the base.
  ///
  /// - Parameters:
  ///   - tensor: The tensor.
  ///   - elements: Which of its elements to look at; `nil` for all.
  ///   - digits: The digit of each model; `nil` for a model that does not count.
  /// - Returns: 2¹⁶ counts of each model that does.
  /// - Throws: `Failure` or `DeviceError`.
  func countDigits(
    of tensor: PlannedTensor, in elements: Range<Int>? = nil, _ digits: [SortDigit?]
  ) throws -> [[Int]?] {
    let pieces = elements.map { [Piece(tensor: tensor, elements: $0)] } ?? pieces(of: tensor)
    let work = DigitCount(plan, pieces, digits)
    try run(work, pieces)
    return work.totals
  }

  /// The sums of squares, products and magnitudes of two inputs of a tensor.
  ///
  /// - Parameters:
  ///   - tensor: The tensor.
  ///   - pair: What is multiplied.
  /// - Returns: The sums.
  /// - Throws: `Failure` or `DeviceError`.
  func moments(of tensor: PlannedTensor, _ pair: MomentPair) throws -> Moments {
    let pieces = pieces(of: tensor)
    let work = MomentSum(plan, pieces, pair)
    try run(work, pieces)
    return work.total
  }

  /// Pieces that start where blocks of moments do.
  private func pieces(of tensor: PlannedTensor) -> [Piece] {
    ring.ranges(of: tensor.sources[0].elementCount, row: 1).map { Piece(tensor: tensor, elements: $0) }
  }

  private func run(_ work: some PieceWork, _ pieces: [Piece]) throws {
    try PieceStream(plan, pieces: pieces, slots: slots, digests: [], waits: waits, work: work).run(on: backend)
  }
}

// MARK: Digits

/// Counts digits of changes: every lane for itself, added up at the end.
private final class DigitCount: PieceWork {
  /// The digits that are told apart.
  static let digits = 1 << 16

  private let plan: FusionPlan
  fileprivate let pieces: [Piece]
  fileprivate let digits: [SortDigit?]
  private let sums: Mutex<[[Int]?]>

  init(_ plan: FusionPlan, _ pieces: [Piece], _ digits: [SortDigit?]) {
    self.plan = plan
    self.pieces = pieces
    self.digits = digits
    sums = Mutex(digits.map { $0.map { _ in [Int](repeating: 0, count: DigitCount.digits) } })
  }

  var totals: [[Int]?] { sums.withLock { $0 } }

  func lane(of buffers: SlotBuffers, on backend: any ComputeBackend) throws -> DigitLane {
    try DigitLane(self, LaneInputs(plan.models, buffers: buffers, on: backend), base: plan.base(), buffers, backend)
  }

  func finish(_ number: Int, slot: Int, _ buffers: SlotBuffers) {}

  func add(_ counts: [Int32], of model: Int) {
    // Counts beyond 2³¹ are unsigned.
    sums.withLock { sums in
      for (digit, count) in counts.enumerated() where count != 0 {
        sums[model]?[digit] += Int(UInt32(bitPattern: count))
      }
    }
  }
}

private final class DigitLane: PieceLane {
  private let work: DigitCount
  private let inputs: LaneInputs
  private let base: Int
  private let buffers: SlotBuffers
  private let backend: any ComputeBackend
  /// The counts of each model that counts; none in a lane that no piece came to, as with a tensor of few pieces.
  private var counts: [Matrix?] = []

  init(_ work: DigitCount, _ inputs: LaneInputs, base: Int, _ buffers: SlotBuffers, _ backend: any ComputeBackend) {
    (self.work, self.inputs, self.base, self.buffers, self.backend) = (work, inputs, base, buffers, backend)
  }

  func take(_ number: Int) throws -> [Transfer] {
    if counts.isEmpty { counts = try zeros() }
    let piece = work.pieces[number]
    let matrices = try inputs.matrices(of: piece)
    let change = try inputs.scratch(rows: 1, columns: piece.elements.count)
    let first = piece.elements.lowerBound
    var last: Matrix?
    for (model, (digit, counts)) in zip(work.digits, counts).enumerated() {
      guard let digit, let counts else { continue }
      try backend.sparseChange(
        of: matrices[model], from: matrices[base], first: first, keeping: .all, factor: 1, into: change)
      try backend.countDigits(of: change, first: first, digit: digit, into: counts)
      last = counts
    }
    // Whatever comes behind the counts in the stream tells when the inputs are no longer needed.
    return try last.map { [try backend.enqueueDownload($0.elements(0..<1), into: buffers.counts)] } ?? []
  }

  func close() throws {
    for (model, counts) in counts.enumerated() {
      if let counts { work.add(try backend.downloadIntegers(counts), of: model) }
    }
  }

  private func zeros() throws(DeviceError) -> [Matrix?] {
    let zeros = [Int32](repeating: 0, count: DigitCount.digits)
    return try work.digits.map { digit throws(DeviceError) in
      try digit == nil ? nil : backend.upload(zeros, columns: zeros.count)
    }
  }
}

// MARK: Moments

/// Two matrices of one shape whose sums are wanted.
enum MomentPair: Sendable {
  /// Two inputs.
  case inputs(Int, Int)
  /// A model's change from the base, and what is kept of it.
  case kept(model: Int, ElementSelection)
}

/// Sums over the elements x and y of two tensors.
struct Moments: Equatable {
  /// Σx².
  var squaresOfX = 0.0
  /// Σy².
  var squaresOfY = 0.0
  /// Σxy.
  var products = 0.0
  /// Σ|x|.
  var magnitudesOfX = 0.0
  /// Σ|y|.
  var magnitudesOfY = 0.0

  /// The number of sums.
  static let count = 5

  fileprivate mutating func add(_ block: ArraySlice<Float>) {
    let sums = block.map(Double.init)
    squaresOfX += sums[0]
    squaresOfY += sums[1]
    products += sums[2]
    magnitudesOfX += sums[3]
    magnitudesOfY += sums[4]
  }
}

/// Gathers the sums of blocks wherever they come from, and adds them in their order.
private final class MomentSum: PieceWork {
  private let plan: FusionPlan
  fileprivate let pieces: [Piece]
  fileprivate let pair: MomentPair
  private let sums: Mutex<[[Float]]>

  init(_ plan: FusionPlan, _ pieces: [Piece], _ pair: MomentPair) {
    self.plan = plan
    self.pieces = pieces
    self.pair = pair
    sums = Mutex([[Float]](repeating: [], count: pieces.count))
  }

  var total: Moments {
    sums.withLock { sums in
      var total = Moments()
      for piece in sums {
        for start in stride(from: 0, to: piece.count, by: Moments.count) {
          total.add(piece[start..<start + Moments.count])
        }
      }
      return total
    }
  }

  func lane(of buffers: SlotBuffers, on backend: any ComputeBackend) throws -> MomentLane {
    MomentLane(
      work: self, inputs: try LaneInputs(plan.models, buffers: buffers, on: backend), base: plan.origin?.input,
      backend: backend)
  }

  func finish(_ number: Int, slot: Int, _ buffers: SlotBuffers) {}

  func keep(_ blocks: HostBuffer, of number: Int) {
    let values = blocks.withBytes(in: 0..<blocks.byteCount) { bytes in
      (0..<bytes.byteCount / 4).map { bytes.unsafeLoad(fromByteOffset: 4 * $0, as: Float.self) }
    }
    sums.withLock { $0[number] = values }
  }
}

private struct MomentLane: PieceLane {
  let work: MomentSum
  let inputs: LaneInputs
  let base: Int?
  let backend: any ComputeBackend

  func take(_ number: Int) throws -> [Transfer] {
    let piece = work.pieces[number]
    let matrices = try inputs.matrices(of: piece)
    let (x, y) = try pair(matrices, of: piece)
    let blocks = (x.count + MomentLimits.block - 1) / MomentLimits.block
    let sums = try backend.allocate(rows: blocks, columns: Moments.count)
    try backend.blockMoments(x, y, into: sums)
    let host = try backend.allocateHost(byteCount: sums.byteCount)
    let transfer = try backend.enqueueDownload(sums, into: host)
    return [
      Transfer { [work] () throws(DeviceError) in
        try transfer.wait()
        work.keep(host, of: number)
      }
    ]
  }

  private func pair(_ matrices: [Matrix], of piece: Piece) throws -> (Matrix, Matrix) {
    switch work.pair {
    case .inputs(let x, let y): return (matrices[x], matrices[y])
    case .kept(let model, let selection):
      let changes = try inputs.scratch(rows: 2, columns: piece.elements.count)
      let rows = try [ElementSelection.all, selection].enumerated().map { row, selection throws(DeviceError) in
        let out = try changes.rows(row..<row + 1)
        try backend.sparseChange(
          of: matrices[model], from: matrices[base ?? 0], first: piece.elements.lowerBound, keeping: selection,
          factor: 1, into: out)
        return out
      }
      return (rows[0], rows[1])
    }
  }
}
