import Compute

extension CPUBackend {
  /// `states[t] = table[tokens[t]]`, widened exactly; each token reads one row.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and tokens outside of the table.
  public func embeddingLookup(tokens: Matrix, table: Matrix, into states: Matrix) throws(DeviceError) {
    try ArgumentChecks.embeddingLookup(tokens: tokens, table: table, into: states)
    try ArgumentChecks(operation: "embeddingLookup").numbers(tokens, "token", in: 0..<table.rows)

    let width = states.columns
    let rowBytes = width * table.elementType.byteCount
    let (tokenNumbers, rows, out) = (tokens.integers, table.address, states.floats)
    workers.forEach(tokens.rows, grain: Workers.grain(rowLength: width)) { _, piece in
      for token in piece {
        loops.widen(rows + Int(tokenNumbers[token]) * rowBytes, table.elementType.format, out + token * width, width)
      }
    }
  }
}
