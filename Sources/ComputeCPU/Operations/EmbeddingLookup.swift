import Compute

extension CPUBackend {
  /// `states[t] = table[tokens[t]]`, widened exactly; each token reads one row.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and tokens outside of the table.
  public func embeddingLookup(tokens: Matrix, table: Matrix, into states: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "embeddingLookup")
    try check.matrix(tokens, "tokens", rows: tokens.rows, columns: 1, [.int32])
    try check.matrix(table, "table", rows: table.rows, columns: states.columns, ElementType.weights)
    try check.matrix(states, "states", rows: tokens.rows, columns: states.columns)
    try check.numbers(tokens, "token", in: 0..<table.rows)

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
