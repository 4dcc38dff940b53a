extension Sequence {
  /// The elements in the canonical order of models, which is that of the UTF-8 of their absolute paths: sums run in it,
  /// so that the order in which models were given does not matter.
  ///
  /// - Parameters:
  ///   - path: The path of an element.
  ///   - precedes: Decides between elements of equal paths; without a decision they stay in the order given.
  /// - Returns: The elements, sorted.
  func inCanonicalOrder(
    by path: (Element) -> String, then precedes: (Element, Element) -> Bool = { _, _ in false }
  ) -> [Element] {
    let places = enumerated().map { (place: $0.offset, path: path($0.element), element: $0.element) }
    return places.sorted { left, right in
      guard left.path == right.path else { return left.path.utf8.lexicographicallyPrecedes(right.path.utf8) }
      if precedes(left.element, right.element) { return true }
      return precedes(right.element, left.element) ? false : left.place < right.place
    }.map(\.element)
  }
}
