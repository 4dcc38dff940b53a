import Checkpoint
import Compute
import Diagnostics

/// Forms the tensors of an adapted model on a device: `W + s · B · A` in float32, rounded once to the type of W.
///
/// The product is taken in blocks of rows that do not depend on how a tensor is cut into pieces, so the same element always
/// comes from the same product and has the same bits. Of one tensor at a time the factors and one block are on the device.
final class AdaptedTensors {
  /// The rows of a block; a compromise between the number of products and what is computed twice at the edges of pieces.
  private static let blockRows = 64

  private struct Product {
    let tensor: TensorRecord
    let scale: Float
    /// `float32 [rows, rank]`.
    let left: Matrix
    /// `float32 [columns, rank]`.
    let right: Matrix
    /// `float32 [blockRows, columns]`, of which the block that was computed last is filled.
    let block: Matrix
    var filled: Int?
  }

  private let adapter: LowRankAdapter
  private let backend: any ComputeBackend
  private var product: Product?

  /// Prepares the tensors of one adapter.
  init(_ adapter: LowRankAdapter, on backend: any ComputeBackend) {
    self.adapter = adapter
    self.backend = backend
  }

  /// The most bytes that forming takes beside the tensors themselves; none for a model without an adapter.
  static func byteCount(_ model: ModelDirectory) -> Int {
    let elements = (model.adapter?.allChanges ?? []).map { change in
      let factors = change.left.tensor.elementCount + change.right.tensor.elementCount
      let columns = change.right.tensor.shape[change.right.isTransposed ? 1 : 0]
      // A factor that is turned is in memory as it is stored, converted, on the host before and after, and on the device.
      return 5 * factors + blockRows * columns
    }
    return (elements.max() ?? 0) * ElementType.float32.byteCount
  }

  /// Adds an adapter's change to some elements of a tensor.
  ///
  /// - Parameters:
  ///   - stored: The elements of W, `[1, elements]`.
  ///   - elements: Which elements of the tensor they are.
  ///   - tensor: The tensor, `[rows, columns]`.
  ///   - out: Takes the sums, `[1, elements]`, of a type of its own.
  /// - Throws: `Failure` when the factors cannot be read; `DeviceError`.
  func add(to stored: Matrix, _ elements: Range<Int>, of tensor: TensorRecord, into out: Matrix) throws {
    var product = try self.product(of: tensor)
    let columns = product.block.columns
    let perBlock = AdaptedTensors.blockRows * columns
    var position = elements.lowerBound
    while position < elements.upperBound {
      let block = position / perBlock
      if product.filled != block { try fill(&product, block: block) }
      let end = min(elements.upperBound, (block + 1) * perBlock)
      let range = position - elements.lowerBound..<end - elements.lowerBound
      let inBlock = position - block * perBlock..<end - block * perBlock
      try backend.weightedSum(
        [stored.elements(range), product.block.elements(inBlock)], weights: [1, product.scale],
        into: out.elements(range))
      position = end
    }
    self.product = product
  }

  private func fill(_ product: inout Product, block: Int) throws(DeviceError) {
    let first = block * AdaptedTensors.blockRows
    let rows = first..<min(first + AdaptedTensors.blockRows, product.left.rows)
    try backend.multiply(
      product.left.rows(rows), transposed: product.right, bias: nil, into: product.block.rows(0..<rows.count))
    product.filled = block
  }

  private func product(of tensor: TensorRecord) throws -> Product {
    if let product, product.tensor == tensor { return product }
    guard let change = adapter.change(of: tensor.name), tensor.shape.count == 2 else {
      throw Failure(
        .internalError, operation: "adapt a tensor", subject: tensor.name, expected: "a change of it", got: "none")
    }
    return Product(
      tensor: tensor, scale: Float(change.scale), left: try matrix(change.left), right: try matrix(change.right),
      block: try backend.allocate(rows: min(AdaptedTensors.blockRows, tensor.shape[0]), columns: tensor.shape[1]),
      filled: nil)
  }

  /// A factor as `float32 [rows, rank]`.
  private func matrix(_ factor: LowRankAdapter.Factor) throws -> Matrix {
    let tensor = factor.tensor
    let bytes = 0..<tensor.byteRange.count
    let host = try backend.allocateHost(byteCount: bytes.count)
    try host.withMutableBytes(in: bytes) { destination throws(Failure) in
      try adapter.checkpoint.read(tensor, bytes: bytes, into: &destination)
    }
    let stored = try Matrix(
      backend.upload(host), rows: tensor.shape[0], columns: tensor.shape[1],
      elementType: ElementType(stored: tensor.type, of: tensor.name))
    let matrix = try backend.allocate(rows: stored.rows, columns: stored.columns)
    try backend.convert(stored, into: matrix)
    guard factor.isTransposed else {
      try backend.synchronize()
      return matrix
    }
    let values = try backend.download(matrix)
    let (rank, rows) = (matrix.rows, matrix.columns)
    return try backend.upload(
      (0..<rows * rank).map { values[$0 % rank * rows + $0 / rank] }, columns: rank)
  }
}

extension Matrix {
  /// Consecutive elements, whatever the rows, as one row.
  func elements(_ range: Range<Int>) throws(DeviceError) -> Matrix {
    try Matrix(
      buffer, byteOffset: byteOffset + range.lowerBound * elementType.byteCount, rows: 1, columns: range.count,
      elementType: elementType)
  }
}
