import Checkpoint
import Compute
import ComputeCPU
import Recall
import TestSupport
import Testing

/// Weighted sums against exact fractions rounded as the formula says.
@Suite struct FusionTests {
  @Test("weighted sums equal the oracle bit for bit")
  func weightedSums() throws {
    let backend = try CPUBackend()
    let file = try Checkpoint(directory: "\(Fixtures.root)/fusion")
    let groups = Set(file.tensors.compactMap { $0.name.split(separator: "/").first.map(String.init) }).sorted()
    #expect(groups.count == 15)
    for group in groups {
      let output = try #require(file.tensor(named: "\(group)/output"))
      let weights = try upload("\(group)/weights", of: file, on: backend)
      let inputs = try (0..<weights.columns).map { try upload("\(group)/input.\($0)", of: file, on: backend) }
      let type = try #require(ElementType(output.type))
      let out = try backend.allocate(rows: 1, columns: output.elementCount, type)
      let counts = try backend.upload([Int32](repeating: 0, count: inputs.count + 1), columns: inputs.count + 1)
      try backend.weightedSum(inputs, weights: backend.download(weights), into: out, nonFinite: counts)
      let host = try backend.allocateHost(byteCount: out.byteCount)
      try backend.download(out, into: host)
      let expected = try file.bytes(of: output)
      let isEqual = host.withBytes(in: 0..<out.byteCount) { span in
        (0..<out.byteCount).allSatisfy { span.unsafeLoad(fromByteOffset: $0, as: UInt8.self) == expected[$0] }
      }
      #expect(isEqual, "\(group)")
      #expect(try backend.downloadIntegers(counts).allSatisfy { $0 == 0 })
    }
  }

  private func upload(_ name: String, of file: Checkpoint, on backend: CPUBackend) throws -> Matrix {
    let tensor = try #require(file.tensor(named: name))
    let host = try backend.allocateHost(byteCount: tensor.byteRange.count)
    try host.withMutableBytes(in: 0..<tensor.byteRange.count) { destination in
      try file.read(tensor, bytes: 0..<tensor.byteRange.count, into: &destination)
    }
    let type = try #require(ElementType(tensor.type))
    return try Matrix(backend.upload(host), rows: 1, columns: tensor.elementCount, elementType: type)
  }
}
