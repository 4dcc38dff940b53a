import Checkpoint
import Diagnostics
import Testing

@Suite("Damaged safetensors headers")
struct SafetensorsHeaderFuzzTests {
  @Test("a damaged header is refused, or what it says is still consistent", arguments: 0..<8)
  func mutants(seed: Int) {
    var generator = SplitMix(state: UInt64(seed))
    var survivors = 0
    for _ in 0..<5000 {
      var text = Self.soundText
      for _ in 0..<Int.random(in: 1...3, using: &generator) { mutate(&text, with: &generator) }
      let fileByteCount = 8 + text.count + Self.dataByteCount
      do throws(Failure) {
        let header = try SafetensorsHeader.parse(text, fileByteCount: fileByteCount, file: "mutant")
        expectConsistency(header, fileByteCount: fileByteCount)
        survivors += 1
      } catch {
        #expect(error.category == .badData)
      }
    }
    // Damage to names and metadata goes unnoticed by design; with no survivor the mutations would prove nothing.
    #expect(survivors > 0)
    #expect(survivors < 5000)
  }

  private static let dataByteCount = 8 + 12 + 3
  private static let soundText = Array(
    """
    {"__metadata__":{"format":"pt"},"a":{"dtype":"F64","shape":[],"data_offsets":[0,8]},\
    "b.weight":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},"c":{"dtype":"U8","shape":[3],"data_offsets":[20,23]}}
    """.utf8)
  private static let alphabet = Array(#"{}[]",:0123456789-.eE\u \#n\#u{0}tfFBU"#.utf8)
  private static let numbers = ["0", "-1", "1e3", "4294967296", "9223372036854775807", "18446744073709551615", "23"]

  private func mutate(_ text: inout [UInt8], with generator: inout SplitMix) {
    let position = Int.random(in: 0..<text.count, using: &generator)
    switch Int.random(in: 0..<7, using: &generator) {
    case 0: text[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
    case 1: text[position] = Self.alphabet.randomElement(using: &generator) ?? 0
    case 2: text.insert(Self.alphabet.randomElement(using: &generator) ?? 0, at: position)
    case 3: text.remove(at: position)
    case 4: text.removeLast(Int.random(in: 0..<text.count, using: &generator))
    case 5: replaceNumber(near: position, in: &text, with: &generator)
    default:
      let end = Int.random(in: position..<text.count, using: &generator)
      text.insert(contentsOf: text[position..<end], at: Int.random(in: 0..<text.count, using: &generator))
    }
    if text.isEmpty { text = [UInt8(ascii: "{")] }
  }

  private func replaceNumber(near position: Int, in text: inout [UInt8], with generator: inout SplitMix) {
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    guard let start = text[position...].firstIndex(where: digits.contains) else { return }
    let end = text[start...].firstIndex { !digits.contains($0) } ?? text.endIndex
    text.replaceSubrange(start..<end, with: (Self.numbers.randomElement(using: &generator) ?? "0").utf8)
  }

  private func expectConsistency(_ header: SafetensorsHeader, fileByteCount: Int) {
    var position = header.byteCount
    for tensor in header.tensors {
      #expect(tensor.byteRange.lowerBound == position)
      #expect(tensor.type.byteCount(shape: tensor.shape) == tensor.byteRange.count)
      position = tensor.byteRange.upperBound
    }
    #expect(position == fileByteCount)
  }
}

/// A small generator whose numbers are the same in every run.
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }
}
