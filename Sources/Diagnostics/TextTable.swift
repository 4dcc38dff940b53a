/// Rows of cells as lines of equal columns.
///
/// - Parameters:
///   - rows: The cells; rows may be shorter than others.
///   - labels: How many columns, from the first on, hold words and stand to the left; all others stand to the right.
/// - Returns: The lines, without a last line break.
public func aligned(_ rows: [[String]], labels: Int = 1) -> String {
  let columns = rows.map(\.count).max() ?? 0
  let widths = (0..<columns).map { column in rows.compactMap { column < $0.count ? $0[column].count : nil }.max() ?? 0 }
  return rows.map { row in
    row.enumerated().map { column, cell in
      let padding = String(repeating: " ", count: widths[column] - cell.count)
      guard column < labels else { return padding + cell }
      return column + 1 == row.count ? cell : cell + padding
    }
    .joined(separator: "  ")
  }
  .joined(separator: "\n")
}
