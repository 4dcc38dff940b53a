import Compute
import Diagnostics

/// Finds the k largest changes of every model in a tensor, exactly and without sorting: digit by digit, most significant
/// first, over the 31 bits of the magnitude, and where the last of them tie, over the elements' numbers.
///
/// Every digit is a pass over the tensor that counts; no memory grows with the tensor. Two passes find the least magnitude that
/// is kept, one more and a read of 2¹⁶ elements which of the equal ones are.
struct MagnitudeSelection {
  /// The bits of a digit, and the elements that one more digit tells apart.
  private static let digitBits = 16
  private static let lowBits = 15
  private static let mostElements = 1 << 32

  /// A model whose k largest changes are being found.
  private struct Search {
    /// How many elements are still to be found among those that the digits so far leave.
    var wanted: Int
    var high: UInt32 = 0
    var magnitude: UInt32 = 0
    var stretch = 0
    var result: ElementSelection?
  }

  private let tensor: PlannedTensor
  private let survey: TensorSurvey
  private var searches: [Search]

  /// Selects of each model.
  ///
  /// - Parameters:
  ///   - count: k, at least 1.
  ///   - tensor: The tensor.
  ///   - models: The number of models.
  ///   - survey: Looks at the tensor.
  /// - Returns: A selection of each model.
  /// - Throws: `Failure` for a tensor of more than 2³² elements; `Failure` or `DeviceError` when looking fails.
  static func largest(
    _ count: Int, of tensor: PlannedTensor, models: Int, _ survey: TensorSurvey
  ) throws -> [ElementSelection] {
    let elements = tensor.sources[0].elementCount
    guard elements <= mostElements else {
      throw Failure(
        .badData, operation: "select changes", subject: "tensor \(tensor.layout.name)",
        expected: "at most \(mostElements) elements", got: "\(elements)")
    }
    guard count < elements else { return [ElementSelection](repeating: .all, count: models) }
    var selection = MagnitudeSelection(
      tensor: tensor, survey: survey, searches: [Search](repeating: Search(wanted: count), count: models))
    try selection.findMagnitudes()
    try selection.findLastOfEqual()
    return selection.searches.map { $0.result ?? .all }
  }

  private mutating func findMagnitudes() throws {
    let low = MagnitudeSelection.lowBits
    let highs = try survey.countDigits(of: tensor, searches.map { _ in SortDigit(.magnitude, shift: low) })
    advance(highs, descending: true) { search, digit, _ in search.high = UInt32(digit) }
    let lows = try survey.countDigits(
      of: tensor, searches.map { SortDigit(.magnitude, shift: 0, prefix: $0.high, prefixShift: low) })
    advance(lows, descending: true) { search, digit, count in
      search.magnitude = search.high << UInt32(low) | UInt32(digit) & (1 << UInt32(low) - 1)
      if count == search.wanted { search.result = .largest(magnitude: search.magnitude, last: .max) }
    }
  }

  /// Of several elements with the least magnitude that is kept, those with the lowest numbers are.
  private mutating func findLastOfEqual() throws {
    let bits = MagnitudeSelection.digitBits
    guard searches.contains(where: { $0.result == nil }) else { return }
    func digit(_ search: Search, shift: Int) -> SortDigit? {
      search.result == nil ? SortDigit(.number, shift: shift, prefix: search.magnitude, prefixShift: 0) : nil
    }
    let stretches = try survey.countDigits(of: tensor, searches.map { digit($0, shift: bits) })
    advance(stretches, descending: false) { search, digit, _ in search.stretch = digit }
    for model in searches.indices where searches[model].result == nil {
      let search = searches[model]
      let start = search.stretch << bits
      let end = min(start + 1 << bits, tensor.sources[0].elementCount)
      let places = try survey.countDigits(
        of: tensor, in: start..<end, searches.indices.map { $0 == model ? digit(search, shift: 0) : nil })
      advance(places, descending: false) { search, digit, _ in
        search.result = .largest(magnitude: search.magnitude, last: UInt64(start + digit))
      }
    }
  }

  /// Finds for every model that was counted the digit at which as many elements as are wanted are reached.
  private mutating func advance(
    _ counts: [[Int]?], descending: Bool, _ found: (inout Search, _ digit: Int, _ count: Int) -> Void
  ) {
    for (model, counts) in counts.enumerated() {
      guard let counts else { continue }
      let digits = descending ? Array(counts.indices.reversed()) : Array(counts.indices)
      for digit in digits {
        guard counts[digit] < searches[model].wanted else {
          found(&searches[model], digit, counts[digit])
          break
        }
        searches[model].wanted -= counts[digit]
      }
    }
  }
}
