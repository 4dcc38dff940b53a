/// Byte strings in a tree, to find which of them begins at a place.
struct ByteTrie: Sendable {
  /// One byte of one or more strings; its children form a list.
  private struct Node {
    var byte: UInt8
    var value: Int32?
    var firstChild: Int32?
    var nextSibling: Int32?
  }

  private var nodes = [Node(byte: 0)]
  private var firstBytes = [Bool](repeating: false, count: 256)

  /// Adds a string; an empty one is never found, and of equal ones the first stays (the package picks one by chance).
  mutating func insert(_ bytes: [UInt8], value: Int32) {
    guard let first = bytes.first else { return }
    firstBytes[Int(first)] = true
    var node = 0
    for byte in bytes { node = child(of: node, byte) ?? appendChild(of: node, byte) }
    if nodes[node].value == nil { nodes[node].value = value }
  }

  /// The first place from an offset on where a string begins, and there the longest.
  func firstMatch(in text: [UInt8], from start: Int) -> (range: Range<Int>, value: Int)? {
    for offset in start..<text.count where firstBytes[Int(text[offset])] {
      if let (end, value) = longest(in: text, at: offset) { return (offset..<end, value) }
    }
    return nil
  }

  /// Every string that a stretch of text begins with, the shortest first, by its end and value.
  func forEachPrefix(of text: [UInt8], in range: Range<Int>, _ body: (_ end: Int, _ value: Int32) -> Void) {
    var node = 0
    for offset in range {
      guard let next = child(of: node, text[offset]) else { return }
      node = next
      if let value = nodes[node].value { body(offset + 1, value) }
    }
  }

  private func longest(in text: [UInt8], at start: Int) -> (end: Int, value: Int)? {
    var found: (end: Int, value: Int)?
    var node = 0
    for offset in start..<text.count {
      guard let next = child(of: node, text[offset]) else { break }
      node = next
      if let value = nodes[node].value { found = (offset + 1, Int(value)) }
    }
    return found
  }

  private func child(of node: Int, _ byte: UInt8) -> Int? {
    var child = nodes[node].firstChild
    while let candidate = child {
      if nodes[Int(candidate)].byte == byte { return Int(candidate) }
      child = nodes[Int(candidate)].nextSibling
    }
    return nil
  }

  private mutating func appendChild(of node: Int, _ byte: UInt8) -> Int {
    nodes.append(Node(byte: byte, nextSibling: nodes[node].firstChild))
    nodes[node].firstChild = Int32(nodes.count - 1)
    return nodes.count - 1
  }
}
