import Diagnostics
import JSON

/// The tokens of a model and their ids, found by their exact bytes.
struct Vocabulary: Sendable {
  /// Where an entry's bytes lie in the common storage, and its id.
  private struct Entry {
    var start: Int32
    var count: Int32
    var identifier: Int32
  }

  private var storage: [UInt8] = []
  private var entries: [Entry] = []
  /// Open addressing with linear probing: entry numbers, at least half of the slots free.
  private var slots: [Int32]

  /// Reads the `vocab` of a model: the ids by token, or a list of tokens with their scores, whose places are the ids.
  init(_ component: Component) throws(Failure) {
    guard let list = component.value.array else {
      try self.init(members: try component.members, of: component)
      return
    }
    self.init(capacity: list.count)
    for (place, entry) in list.enumerated() {
      guard let token = entry.array?.first?.string else {
        throw component.failure(expected: "tokens with their scores", got: entry.compact)
      }
      append(token, Int32(place))
    }
  }

  private init(members: [JSONObject.Member], of component: Component) throws(Failure) {
    self.init(capacity: members.count)
    for member in members {
      guard let identifier = member.value.integer.flatMap(Int32.init(exactly:)), identifier >= 0 else {
        throw component.failure(
          expected: "a token id for \"\(member.key)\"", got: member.value.compact)
      }
      append(member.key, identifier)
    }
  }

  private init(capacity count: Int) {
    slots = [Int32](repeating: -1, count: Self.capacity(for: count))
    entries.reserveCapacity(count)
  }

  /// How many entries there are; where one token is listed twice, both count and the later one is found.
  var count: Int { entries.count }

  /// The number of the entry with the bytes of a stretch of text.
  func entry(of text: [UInt8], in range: Range<Int>) -> Int? {
    var slot = Self.hash(text, range) & (slots.count - 1)
    while slots[slot] >= 0 {
      let entry = Int(slots[slot])
      if equals(entries[entry], text, range) { return entry }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// The id of the token with the bytes of a stretch of text.
  func identifier(of text: [UInt8], in range: Range<Int>) -> Int32? {
    entry(of: text, in: range).map(identifier(ofEntry:))
  }

  /// The id of the token spelled like this.
  func identifier(of token: String) -> Int32? {
    let bytes = Array(token.utf8)
    return identifier(of: bytes, in: 0..<bytes.count)
  }

  /// The id of an entry.
  func identifier(ofEntry entry: Int) -> Int32 { entries[entry].identifier }

  /// The bytes of an entry.
  func bytes(ofEntry entry: Int) -> ArraySlice<UInt8> {
    let start = Int(entries[entry].start)
    return storage[start..<start + Int(entries[entry].count)]
  }

  private mutating func append(_ token: String, _ identifier: Int32) {
    let start = storage.count
    storage += token.utf8
    let range = start..<storage.count
    var slot = Self.hash(storage, range) & (slots.count - 1)
    while slots[slot] >= 0, !equals(entries[Int(slots[slot])], storage, range) { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = Int32(entries.count)
    entries.append(Entry(start: Int32(start), count: Int32(range.count), identifier: identifier))
  }

  private func equals(_ entry: Entry, _ text: [UInt8], _ range: Range<Int>) -> Bool {
    guard Int(entry.count) == range.count else { return false }
    var stored = Int(entry.start)
    for offset in range {
      guard storage[stored] == text[offset] else { return false }
      stored += 1
    }
    return true
  }

  /// The 64-bit Fowler–Noll–Vo hash, its high half folded in.
  @inline(__always)
  private static func hash(_ text: [UInt8], _ range: Range<Int>) -> Int {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for offset in range { hash = (hash ^ UInt64(text[offset])) &* 0x100_0000_01B3 }
    return Int(truncatingIfNeeded: hash ^ hash >> 32)
  }

  private static func capacity(for count: Int) -> Int {
    var capacity = 16
    while capacity < count * 2 { capacity *= 2 }
    return capacity
  }
}
