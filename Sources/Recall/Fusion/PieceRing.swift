import Checkpoint
import Compute
import Diagnostics
import Foundation

/// How tensors are cut into pieces, and how many pieces are on their way from the inputs to the output at once.
///
/// A piece has one stretch of elements of every model, so memory grows with the models and not with their depth.
public struct PieceRing: Sendable, Equatable {
  /// How many pieces are on their way at once, each with a thread of its own.
  public let slots: Int
  /// The most elements of a piece.
  public let pieceElements: Int
  /// The bytes of one piece of every input, each aligned for the widest vectors.
  let inputByteCount: Int
  /// The bytes of one piece of the output.
  let outputByteCount: Int

  /// The bytes that forming one piece of every adapted input takes, and what is made of the inputs on the way.
  private let workByteCount: Int

  /// The host memory of all slots.
  public var byteCount: Int { slots * (inputByteCount + outputByteCount + workByteCount) }

  /// Elements that stay in a core's cache from reading to writing, with a few models of 16 bits.
  private static let elementsInCache = 1 << 18
  /// Elements whose transfer takes far longer than starting it, with a few models of 16 bits.
  private static let elementsOnTheBus = 1 << 21
  /// The fewest elements that are worth a call of the system.
  private static let fewestElements = 1 << 16
  /// How many reads keep a disk busy.
  private static let readsAtOnce = 4
  /// How many threads copy from the page cache as fast as a bus takes it up, at some 5 GB/s each.
  private static let readsForTheBus = 16
  /// Where each input of a piece starts.
  static let alignment = 64

  /// Sizes a ring, as large as is of use and as small as the budget asks for; `nil` when not even the smallest ring fits.
  ///
  /// - Parameters:
  ///   - plan: The fusion that it serves.
  ///   - scratch: What a lane keeps beside its pieces.
  ///   - backend: The device.
  ///   - budget: The most bytes to use, if they are bounded.
  init?(for plan: FusionPlan, scratch: LaneScratch = .none, on backend: any ComputeBackend, budget: Int?) {
    let isProcessor = backend.device.kind == .processor
    var elements = isProcessor ? PieceRing.elementsInCache : PieceRing.elementsOnTheBus
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let threads = isProcessor ? backend.threadBackends?.count ?? 0 : min(cores, PieceRing.readsForTheBus)
    var slots = max(PieceRing.readsAtOnce, threads)
    func ring() -> PieceRing { PieceRing(for: plan, scratch: scratch, slots: slots, pieceElements: elements) }
    if let budget {
      while ring().byteCount > budget, slots > PieceRing.readsAtOnce { slots -= 1 }
      while ring().byteCount > budget, elements > PieceRing.fewestElements { elements /= 2 }
      while ring().byteCount > budget, slots > 1 { slots -= 1 }
      guard ring().byteCount <= budget else { return nil }
    }
    self = ring()
  }

  /// The least with which anything can be streamed.
  static func smallest(for plan: FusionPlan, scratch: LaneScratch = .none) -> PieceRing {
    PieceRing(for: plan, scratch: scratch, slots: 1, pieceElements: fewestElements)
  }

  private init(for plan: FusionPlan, scratch: LaneScratch, slots: Int, pieceElements: Int) {
    let fused = plan.tensors.filter(\.isFused)
    let bitsIn = fused.map { $0.sources.reduce(0) { $0 + $1.type.bitWidth } }.max() ?? 0
    let bitsOut = fused.map(\.layout.type.bitWidth).max() ?? 0
    self.slots = slots
    self.pieceElements = min(pieceElements, max(1, fused.map { $0.sources[0].elementCount }.max() ?? 1))
    inputByteCount = bitsIn / 8 * self.pieceElements + plan.models.count * PieceRing.alignment
    outputByteCount = bitsOut / 8 * self.pieceElements
    let adapters = plan.models.filter { $0.adapter != nil }
    let widest = bitsIn / 8 / max(1, plan.models.count)
    let forming = adapters.reduce(0) { [pieceElements = self.pieceElements] in
      $0 + widest * pieceElements + AdaptedTensors.byteCount($1)
    }
    workByteCount = forming + scratch.byteCount(elements: self.pieceElements)
  }

  /// The pieces of tensors, in the order in which they are read: that of the output's files.
  func pieces(of tensors: [PlannedTensor]) -> [Piece] {
    tensors.flatMap { tensor in
      ranges(of: tensor.sources[0].elementCount, row: tensor.layout.shape.last ?? 1).map {
        Piece(tensor: tensor, elements: $0)
      }
    }
  }

  /// Cuts a tensor, between rows where a row fits a piece; a tensor without elements has one empty piece.
  func ranges(of count: Int, row: Int) -> [Range<Int>] {
    let rows = row > 0 ? pieceElements / row : 0
    let length = rows > 0 ? rows * row : pieceElements
    return stride(from: 0, to: max(count, 1), by: length).map { $0..<min($0 + length, count) }
  }
}

/// A stretch of elements of one tensor, of every model it is fused from.
struct Piece: Sendable {
  let tensor: PlannedTensor
  let elements: Range<Int>

  var isFirst: Bool { elements.lowerBound == 0 }
  var isLast: Bool { elements.upperBound == tensor.sources[0].elementCount }

  /// The bytes of the piece in one of its sources.
  func bytes(of source: TensorRecord) -> Range<Int> {
    let size = source.type.bitWidth / 8
    return elements.lowerBound * size..<elements.upperBound * size
  }

  /// Where the source of each model lies when all are read into one buffer, and where the last ends.
  var places: (ranges: [Range<Int>], end: Int) {
    var end = 0
    let ranges = tensor.sources.map { source in
      let start = (end + PieceRing.alignment - 1) / PieceRing.alignment * PieceRing.alignment
      end = start + bytes(of: source).count
      return start..<end
    }
    return (ranges, end)
  }

  /// The bytes of the piece in the output.
  var outputBytes: Range<Int> {
    let size = tensor.layout.type.bitWidth / 8
    return elements.lowerBound * size..<elements.upperBound * size
  }
}
