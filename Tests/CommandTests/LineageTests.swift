import Foundation
import TestSupport
import Testing

/// Experts that are merged one after another: every result carries the history of what it was made from.
@Suite struct LineageTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Merges a model with a new expert, which is the anchor.
  private func join(
    _ model: String, with expert: String, as output: String, more: [String] = []
  ) throws -> RecallProcess.Outcome {
    try RecallProcess.run(
      [
        "merge", "--anchor", expert, "--model", model, "--samples", Fixtures.siblingSamples, "--typical", "3",
        "--output",
        directory(output), "--progress", "none",
      ] + more)
  }

  private func report(_ name: String) throws -> [String: Any] {
    let data = try Data(contentsOf: URL(fileURLWithPath: directory("\(name)/recall.json")))
    return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  private func lineage(_ name: String) throws -> [[String: Any]] {
    try #require(try report(name)["lineage"] as? [[String: Any]])
  }

  /// Two merges, one on top of the other.
  private func chain() throws {
    let first = try join(Fixtures.sibling("first"), with: Fixtures.sibling("second"), as: "one")
    try #require(first.code == 0, "\(first.diagnostics)")
    let second = try join(directory("one"), with: Fixtures.sibling("third"), as: "two")
    try #require(second.code == 0, "\(second.diagnostics)")
  }

  /// Replaces text in the recall.json of a merge.
  private func edit(_ name: String, _ old: String, _ new: String) throws {
    let path = directory("\(name)/recall.json")
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try #require(text.contains(old), "recall.json has \(old)")
    try Data(text.replacingOccurrences(of: old, with: new).utf8).write(to: URL(fileURLWithPath: path))
  }

  @Test("a merge of merges lists every earlier merge once, oldest first, with its samples and weights")
  func carriedAlong() throws {
    try chain()
    #expect(try lineage("one").isEmpty)
    #expect(try lineage("two").map { $0["path"] as? String } == [directory("one")])
    // Two ways lead back to the first merge; it is told once.
    let last = try join(directory("one"), with: directory("two"), as: "three")
    #expect(last.code == 0, "\(last.diagnostics)")
    let merges = try lineage("three")
    #expect(merges.map { $0["path"] as? String } == [directory("one"), directory("two")])
    for (merge, name) in zip(merges, ["one", "two"]) {
      let own = try report(name)
      #expect(merge["digest"] as? String == own["digest"] as? String)
      #expect((merge["typicalSamples"] as? [Any])?.count == 3)
      #expect((merge["layers"] as? [Any])?.count == 5)
      #expect(merge["recipe"] as? NSDictionary == own["recipe"] as? NSDictionary)
    }
    let page = try String(contentsOfFile: directory("three/recall.html"), encoding: .utf8)
    #expect(page.contains("How it came about") && page.contains(directory("one")))
    #expect(try !String(contentsOfFile: directory("one/recall.html"), encoding: .utf8).contains("How it came about"))
  }

  @Test("the stages carry the lineage as the merge does")
  func stages() throws {
    try chain()
    let models = [directory("one"), Fixtures.sibling("third")]
    let select = [
      "select", "--anchor", models[1], "--samples", Fixtures.siblingSamples, "--typical", "3", "--output",
      directory("typical.jsonl"),
    ]
    #expect(try RecallProcess.run(select).code == 0)
    for (model, name) in zip(models, ["a", "b"]) {
      let extract = [
        "extract", "--model", model, "--samples", directory("typical.jsonl"), "--output",
        directory("\(name).safetensors"),
      ]
      #expect(try RecallProcess.run(extract).code == 0)
    }
    let weigh = [
      "weigh", "--anchor", directory("b.safetensors"), "--model", directory("a.safetensors"), "--output",
      directory("weights.json"),
    ]
    #expect(try RecallProcess.run(weigh).code == 0)
    let fuse = ["fuse", "--weights", directory("weights.json"), "--output", directory("fused")]
    #expect(try RecallProcess.run(fuse).code == 0)
    let (fused, merged) = (try lineage("fused"), try lineage("two"))
    #expect(fused as NSArray == merged as NSArray)
    for name in ["recall.html", "model.safetensors", "README.md"] {
      #expect(FileManager.default.contentsEqual(atPath: directory("two/\(name)"), andPath: directory("fused/\(name)")))
    }
  }

  @Test("a recall.json that was edited is refused wherever a merge reads it")
  func edited() throws {
    try chain()
    try edit("one", "\"seed\": 0", "\"seed\": 1")
    let outcome = try join(directory("one"), with: Fixtures.sibling("third"), as: "out")
    #expect(outcome.code == 65)
    #expect(outcome.diagnostics.contains(directory("one/recall.json")) && outcome.diagnostics.contains("sealed"))
    #expect(!FileManager.default.fileExists(atPath: directory("out")))
    #expect(!FileManager.default.fileExists(atPath: directory("out.partial")))
    let extract = try RecallProcess.run([
      "extract", "--model", directory("one"), "--samples", Fixtures.siblingSamples, "--output",
      directory("x.safetensors"),
    ])
    #expect(extract.code == 65 && extract.diagnostics.contains("sealed"))

    // The lineage inside of a later report has seals of its own.
    let path = try #require(try lineage("two")[0]["path"] as? String)
    try edit("two", path, "/elsewhere")
    let later = try join(directory("two"), with: Fixtures.sibling("first"), as: "out")
    #expect(later.code == 65 && later.diagnostics.contains("lineage of /elsewhere"), "\(later.diagnostics)")
    let fuse = try RecallProcess.run([
      "fuse", "--weights", directory("two/recall.json"), "--output", directory("out"),
    ])
    #expect(fuse.code == 65 && fuse.diagnostics.contains("lineage of /elsewhere"), "\(fuse.diagnostics)")
  }

  @Test("a merged model that was changed later is no longer the one of its recall.json")
  func changedTensors() throws {
    try chain()
    let weights = directory("one/model.safetensors")
    var data = try Data(contentsOf: URL(fileURLWithPath: weights))
    data[data.count - 2] ^= 1
    try data.write(to: URL(fileURLWithPath: weights))
    let outcome = try join(directory("one"), with: Fixtures.sibling("third"), as: "out")
    #expect(outcome.code == 65)
    #expect(outcome.diagnostics.contains(directory("one/recall.json")) && outcome.diagnostics.contains("trained on"))
    #expect(!FileManager.default.fileExists(atPath: directory("out")))
    try FileManager.default.removeItem(atPath: directory("one/recall.json"))
    #expect(try join(directory("one"), with: Fixtures.sibling("third"), as: "out").code == 0)
    #expect(try lineage("out").isEmpty)
  }
}
