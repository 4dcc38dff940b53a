import Checkpoint
import Foundation
import JSON
import TestSupport
import Testing

/// Every method that mergekit has as well, against what mergekit 0.1.5 made of the same models in float32.
@Suite struct MergekitTests {
  private static let folder = "\(Fixtures.root)/mergekit"
  private static let cases: [(name: String, arguments: [String])] = {
    let json = (try? readFile("\(folder)/cases.json")).flatMap { try? JSONValue(parsing: $0, from: "cases.json") }
    return (json?.array ?? []).map { ($0["name"]?.string ?? "", $0["arguments"]?.array?.compactMap(\.string) ?? []) }
  }()

  /// Mergekit forms changes and adds them to the base, where Recall sums once: a few roundings of the largest element.
  private static let tolerance = 4e-7

  @Test("tensor by tensor", arguments: cases.map(\.name))
  func equality(name: String) throws {
    let directory = try TemporaryDirectory()
    let arguments = try #require(MergekitTests.cases.first { $0.name == name }).arguments
    let outcome = try RecallProcess.run(
      ["merge", "--output", directory("out"), "--progress", "none", "--device", "cpu"] + arguments,
      in: MergekitTests.folder)
    #expect(outcome.code == 0, "\(outcome.diagnostics)")
    let merged = try floats(in: directory("out"))
    let expected = try floats(in: "\(MergekitTests.folder)/expected/\(name)")
    #expect(merged.keys.sorted() == expected.keys.sorted())
    for (tensor, values) in expected {
      let largest = values.map(\.magnitude).max() ?? 0
      let error = zip(merged[tensor] ?? [], values).map { ($0 - $1).magnitude }.max() ?? .infinity
      #expect(Double(error) <= MergekitTests.tolerance * Double(largest), "\(tensor)")
    }
  }

  @Test("the cases are there") func count() { #expect(MergekitTests.cases.count == 16) }

  private func floats(in path: String) throws -> [String: [Float]] {
    let file = try Checkpoint(directory: path)
    return Dictionary(
      uniqueKeysWithValues: try file.tensors.map { tensor in
        let bytes = try file.bytes(of: tensor)
        return (tensor.name, bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) })
      })
  }
}
