import CBLAS
import CVector
import Compute

extension CPUBackend {
  /// `out = a · weightsᵀ + bias`, with weights widened panel by panel on the way.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit, `DeviceError.Code.outOfMemory`
  ///   when there is no room for a widened panel.
  public func multiply(
    _ a: Matrix, transposed weights: Matrix, bias: Matrix?, precision: ProductPrecision, adding: Bool, into out: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.multiply(a, transposed: weights, bias: bias, into: out)
    guard a.elementType == .float32 else {
      let wide = try allocate(rows: a.rows, columns: a.columns)
      try convert(a, into: wide)
      return try multiply(wide, transposed: weights, bias: bias, precision: precision, adding: adding, into: out)
    }

    try startRows(of: out, with: bias, adding: adding)
    if let blas, a.rows >= Self.rowsForBLAS, max(a.rows, a.columns, weights.rows) <= Int(Int32.max) {
      try multiply(a, weights, addingTo: out, with: blas)
    } else {
      try multiplyWithOwnLoops(a, weights, addingTo: out)
    }
  }

  /// From this number of rows on a CBLAS is faster: with fewer the time goes into reading the weights, which the loops here
  /// widen and use in one go.
  private static let rowsForBLAS = 64

  /// Starts every row of a product with the bias, or with zeros, or adds the bias to what it is to be added to.
  private func startRows(of out: Matrix, with bias: Matrix?, adding: Bool) throws(DeviceError) {
    guard bias != nil || !adding else { return }
    let width = out.columns
    let start = try widenedWeights.floats(width)
    if let bias {
      loops.widen(bias.address, bias.elementType.format, start, width)
    } else {
      start.update(repeating: 0, count: width)
    }
    let output = out.floats
    workers.forEach(out.rows, grain: Workers.grain(rowLength: width)) { _, piece in
      for row in piece {
        let row = output + row * width
        if adding { loops.add(start, row, width) } else { row.update(from: start, count: width) }
      }
    }
  }

  /// The size of a widened panel in elements: 8 MB, of which the third-level cache holds a few.
  ///
  /// A smaller one would make the library pack the activations more often.
  private static let panelElements = 1 << 21

  /// A panel for every worker, a row too large at most, and what the library packs for the call of each.
  public var productScratch: Int {
    blas == nil ? 0 : workerScratch.count * (Self.panelElements * MemoryLayout<Float>.stride + Self.packedByteCount)
  }

  /// Room for the blocks that the library packs for one thread; OpenBLAS takes less than 1 MB of it.
  private static let packedByteCount = 2 << 20

  /// Every worker widens panels of its own and multiplies them by a call that stays on its thread: threads of the library
  /// would wait for the next product by spinning, and take the cores from everything in between.
  private func multiply(
    _ a: Matrix, _ weights: Matrix, addingTo out: Matrix, with blas: BLASLibrary
  ) throws(DeviceError) {
    let (rows, depth, columns) = (a.rows, a.columns, weights.rows)
    guard rows > 0, depth > 0, columns > 0 else { return }
    blas.setThreadCount?(1)
    let share = (columns + workers.count - 1) / workers.count
    let pieces = (share * depth + Self.panelElements - 1) / Self.panelElements
    let panelRows = (share + pieces - 1) / pieces
    let isWide = weights.elementType == .float32
    let panels = try workerScratch.map { scratch throws(DeviceError) in
      try scratch.floats(isWide ? 0 : panelRows * depth)
    }
    let (left, output) = (a.floats, out.floats)
    let (source, format) = (weights.address, weights.elementType.format)
    let rowBytes = depth * weights.elementType.byteCount
    workers.forEach(columns, grain: panelRows) { worker, piece in
      let stored = source + piece.lowerBound * rowBytes
      if !isWide { loops.widen(stored, format, panels[worker], piece.count * depth) }
      let panel = isWide ? UnsafePointer(stored.assumingMemoryBound(to: Float.self)) : UnsafePointer(panels[worker])
      blas.multiply(
        Int32(BLASRowMajor.rawValue), Int32(BLASAsStored.rawValue), Int32(BLASTransposed.rawValue), Int32(rows),
        Int32(piece.count), Int32(depth), 1, left, Int32(depth), panel, Int32(depth), 1, output + piece.lowerBound,
        Int32(columns))
    }
  }

  /// The columns of the product that one piece of work takes, and the depth that is packed at a time: with them a packed
  /// block of weights fills a quarter of a common second-level cache.
  private static let (blockColumns, blockDepth) = (128, 256)

  private func multiplyWithOwnLoops(_ a: Matrix, _ weights: Matrix, addingTo out: Matrix) throws(DeviceError) {
    try multiplyRows(
      FloatRows(address: a.floats, stride: a.columns, count: a.rows),
      (weights.address, weights.elementType, weights.columns, weights.rows), depth: a.columns,
      addingTo: FloatRows(address: out.floats, stride: out.columns, count: out.rows))
  }

  /// Rows of floats in memory, one every `stride` elements.
  struct FloatRows {
    let address: UnsafeMutablePointer<Float>
    let stride: Int
    let count: Int
  }

  /// `out += left · rightᵀ`, both with `depth` elements a row.
  func multiplyRows(
    _ left: FloatRows, _ right: (address: UnsafeMutableRawPointer, type: ElementType, stride: Int, count: Int),
    depth: Int, addingTo out: FloatRows
  ) throws(DeviceError) {
    let (rows, columns) = (left.count, right.count)
    guard rows > 0, depth > 0, columns > 0 else { return }
    let tileRows = loops.tileRows
    let tileCount = (rows + tileRows - 1) / tileRows
    let tiles = try packedActivations.floats(tileCount * tileRows * depth)
    let blocks = try workerScratch.map { scratch throws(DeviceError) in
      try scratch.floats(Self.blockColumns * Self.blockDepth)
    }
    let elementSize = right.type.byteCount
    workers.forEach(tileCount, grain: 1) { _, piece in
      let first = piece.lowerBound * tileRows
      let count = min(rows, piece.upperBound * tileRows) - first
      loops.packTiles(left.address + first * left.stride, left.stride, count, depth, tiles + first * depth)
    }
    workers.forEach(columns, grain: Self.blockColumns) { worker, piece in
      for start in stride(from: 0, to: depth, by: Self.blockDepth) {
        let length = min(Self.blockDepth, depth - start)
        let source = right.address + (piece.lowerBound * right.stride + start) * elementSize
        loops.packPanels(source, right.type.format, right.stride, piece.count, length, blocks[worker])
        loops.multiplyPacked(
          tiles + start * tileRows, tileRows * depth, blocks[worker], rows, piece.count, length,
          out.address + piece.lowerBound, out.stride)
      }
    }
  }
}
