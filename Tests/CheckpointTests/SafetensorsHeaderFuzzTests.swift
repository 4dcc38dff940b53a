import Checkpoint
import Diagnostics
import TestSupport
import Testing

@Suite("Damaged safetensors headers")
struct SafetensorsHeaderFuzzTests {
  @Test("a damaged header is refused, or what it says is still consistent", arguments: 0..<8)
  func mutants(seed: Int) {
    var survivors = 0
    for text in DamagedDocuments(from: Self.soundText, seed: seed) {
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
    #expect(survivors < DamagedDocuments.count)
  }

  private static let dataByteCount = 8 + 12 + 3
  private static let soundText = Array(
    """
    {"__metadata__":{"format":"pt"},"a":{"dtype":"F64","shape":[],"data_offsets":[0,8]},\
    "b.weight":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},"c":{"dtype":"U8","shape":[3],"data_offsets":[20,23]}}
    """.utf8)

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
