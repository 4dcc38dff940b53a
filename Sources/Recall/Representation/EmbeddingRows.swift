import Checkpoint
import Compute
import Diagnostics

extension Model {
  /// The embeddings of some tokens, `[tokens, d]`: only their rows are read, so that a large vocabulary costs no memory.
  ///
  /// - Throws: `Failure` when they cannot be read; `DeviceError`.
  func embeddingRows(of tokens: [Int32], on backend: any ComputeBackend) throws -> Matrix {
    let name = configuration.stem.embedding.name
    guard let table = directory.tensor(named: name), let type = ElementType(table.type) else {
      throw Failure(.internalError, operation: "embed", subject: path, expected: name, got: "no such tensor")
    }
    let rowByteCount = configuration.hiddenSize * type.byteCount
    let host = try backend.allocateHost(byteCount: tokens.count * rowByteCount)
    for (row, token) in tokens.enumerated() {
      let start = Int(token) * rowByteCount
      try host.withMutableBytes(in: row * rowByteCount..<(row + 1) * rowByteCount) { bytes throws(Failure) in
        try directory.read(table, bytes: start..<start + rowByteCount, into: &bytes)
      }
    }
    return try DeviceTensors(directory, on: backend)
      .rows(tokens.map(Int.init), of: table, in: backend.upload(host)).asWeights(on: backend)
  }
}

extension SampleBatches {
  /// The tokens of all samples as the numbers of their rows in a table that has rows for some tokens, `int32 [tokens, 1]`.
  func tokens(amongRows rows: [Int32], on backend: any ComputeBackend) throws(DeviceError) -> Matrix {
    let rowOfToken = Dictionary(uniqueKeysWithValues: rows.enumerated().map { ($0.element, Int32($0.offset)) })
    return try backend.upload(tokenIdentifiers.compactMap { rowOfToken[$0] }, columns: 1)
  }
}
