import Foundation

/// Documents that a bad disk, a bad program or an attacker would make of a sound one: the same ones in every run.
///
/// Each has one to three of these: a flipped bit, a byte that means something to the parser put in place or in between, a
/// byte that is missing, a cut end, another number, a stretch repeated elsewhere.
public struct DamagedDocuments: Sequence, IteratorProtocol {
  /// How many inputs a parser is tried with for each seed: `RECALL_FUZZ_INPUTS`, or what takes a second.
  public static let count = ProcessInfo.processInfo.environment["RECALL_FUZZ_INPUTS"].flatMap { Int($0) } ?? 5000

  private let sound: [UInt8]
  private var remaining = DamagedDocuments.count
  private var generator: SeededGenerator

  private let alphabet: [UInt8]

  /// The characters that mean something in JSON.
  public static let json = #"{}[]",:0123456789-.eE\u \#n\#u{0}tfFBU"#
  private static let numbers = ["0", "-1", "1e3", "4294967296", "9223372036854775807", "18446744073709551615", "23"]

  /// Starts from a sound document, whose damage may bring in the characters of an alphabet.
  public init(from sound: [UInt8], seed: Int, alphabet: String = json) {
    self.sound = sound
    self.alphabet = Array(alphabet.utf8)
    generator = SeededGenerator(seed: seed)
  }

  /// The next document.
  public mutating func next() -> [UInt8]? {
    guard remaining > 0 else { return nil }
    remaining -= 1
    var text = sound
    for _ in 0..<Int.random(in: 1...3, using: &generator) { damage(&text) }
    return text
  }

  private mutating func damage(_ text: inout [UInt8]) {
    let position = Int.random(in: 0..<text.count, using: &generator)
    let byte = alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
    switch Int.random(in: 0..<7, using: &generator) {
    case 0: text[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
    case 1: text[position] = byte
    case 2: text.insert(byte, at: position)
    case 3: text.remove(at: position)
    case 4: text.removeLast(Int.random(in: 0..<text.count, using: &generator))
    case 5: replaceNumber(near: position, in: &text)
    default:
      let end = Int.random(in: position..<text.count, using: &generator)
      text.insert(contentsOf: text[position..<end], at: Int.random(in: 0..<text.count, using: &generator))
    }
    if text.isEmpty { text = [UInt8(ascii: "{")] }
  }

  private mutating func replaceNumber(near position: Int, in text: inout [UInt8]) {
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    guard let start = text[position...].firstIndex(where: digits.contains) else { return }
    let end = text[start...].firstIndex { !digits.contains($0) } ?? text.endIndex
    let number = Self.numbers[Int.random(in: 0..<Self.numbers.count, using: &generator)]
    text.replaceSubrange(start..<end, with: number.utf8)
  }
}
