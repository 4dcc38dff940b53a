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
    try edit(name) { text in
      try #require(text.contains(old), "recall.json has \(old)")
      text = text.replacingOccurrences(of: old, with: new)
    }
  }

  private func edit(_ name: String, _ change: (inout String) throws -> Void) throws {
    let path = directory("\(name)/recall.json")
    var text = try String(contentsOfFile: path, encoding: .utf8)
    try change(&text)
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
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

  // MARK: verify

  /// Expects that a merge is found unsound for what the words say, and is sound again with its own recall.json.
  private func expectFinding(
    _ name: String, naming words: [String], sourceLocation: SourceLocation = #_sourceLocation,
    after change: (inout String) throws -> Void
  ) throws {
    let path = directory("\(name)/recall.json")
    let original = try Data(contentsOf: URL(fileURLWithPath: path))
    try edit(name, change)
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) != original, sourceLocation: sourceLocation)
    let outcome = try RecallProcess.run(["verify", directory(name), "--progress", "none"])
    #expect(outcome.code == 65, sourceLocation: sourceLocation)
    for word in words + [directory(name)] {
      #expect(outcome.output.contains(word), "\(word): \(outcome.output)", sourceLocation: sourceLocation)
    }
    try original.write(to: URL(fileURLWithPath: path))
    let restored = try RecallProcess.run(["verify", directory(name), "--progress", "none"])
    #expect(restored.code == 0, "\(restored.output)", sourceLocation: sourceLocation)
  }

  @Test("verify names a lineage that was edited, is missing, or leads nowhere")
  func verifiedLineage() throws {
    try chain()
    let earlier = "lineage of \(directory("one"))"
    try expectFinding("two", naming: [earlier, "sealed"]) { text in
      let lineage = try #require(text.range(of: "\"lineage\": ["))
      let seed = try #require(text.range(of: "\"seed\": 0", range: lineage.upperBound..<text.endIndex))
      text.replaceSubrange(seed, with: "\"seed\": 1")
    }
    // A weight of the earlier merge, so that those of its layer still sum to 1 but are others.
    try expectFinding("two", naming: [earlier, "sealed"]) { text in
      let lineage = try #require(text.range(of: "\"lineage\": ["))
      let weights = try #require(text.range(of: "\"weights\": [", range: lineage.upperBound..<text.endIndex))
      let end = try #require(text.range(of: "]", range: weights.upperBound..<text.endIndex))
      text.replaceSubrange(weights.upperBound..<end.lowerBound, with: "0.5, 0.5")
    }
    try expectFinding("two", naming: ["recall.json", "\"lineage\"", "no such key"]) { text in
      text = text.replacingOccurrences(of: "\"lineage\":", with: "\"descent\":")
    }
    try expectFinding("two", naming: ["recall.json", "sealed"]) { text in
      let lineage = try #require(text.range(of: "\"lineage\": ["))
      let end = try #require(text.range(of: "\n  ],", range: lineage.upperBound..<text.endIndex))
      text.removeSubrange(lineage.upperBound..<text.index(after: end.lowerBound))
    }
    // What the merge was made of is no longer what the lineage leads to.
    let digest = try #require(try report("one")["digest"] as? String)
    try expectFinding("two", naming: ["merges that lead to the models", directory("one")]) { text in
      let models = try #require(text.range(of: "\"digest\": \"\(digest)\""))
      text.replaceSubrange(models, with: "\"digest\": \"\(String(digest.reversed()))\"")
    }
  }

  @Test("verify names weights that do not sum to 1, digests that are not those of the files, and other edits")
  func verifiedReport() throws {
    try chain()
    try expectFinding("two", naming: ["weights of layer embedding that sum to 1"]) { text in
      let weights = try #require(text.range(of: "\"weights\": ["))
      let end = try #require(text.range(of: "]", range: weights.upperBound..<text.endIndex))
      text.replaceSubrange(weights.upperBound..<end.lowerBound, with: "0.5, 0.6")
    }
    let own = try #require(try report("two")["digest"] as? String)
    let other = String(own.reversed())
    try expectFinding("two", naming: ["its tensors have another digest", other]) { text in
      text = text.replacingOccurrences(of: own, with: other)
    }
    let files = try #require(try report("two")["files"] as? [[String: Any]])
    for name in ["model.safetensors", "tokenizer.json", "recall.html"] {
      let digest = try #require(files.first { $0["name"] as? String == name }?["digest"] as? String)
      let changed = String(digest.reversed())
      try expectFinding("two", naming: [directory("two/\(name)"), changed]) { text in
        text = text.replacingOccurrences(of: digest, with: changed)
      }
    }
    try expectFinding("two", naming: ["recall.json", "sealed"]) { text in
      text = text.replacingOccurrences(of: "\"temperature\": 1.0", with: "\"temperature\": 2.0")
    }
    try expectFinding("two", naming: ["recall.json"]) { $0 = String($0.dropLast(40)) }
  }

  @Test("verify names the files that changed since the merge, and says it to programs")
  func verifiedFiles() throws {
    try chain()
    let weights = URL(fileURLWithPath: directory("two/model.safetensors"))
    var data = try Data(contentsOf: weights)
    data[data.count - 2] ^= 1
    try data.write(to: weights)
    _ = try directory.write("another card", to: "two/README.md")
    try FileManager.default.removeItem(atPath: directory("two/tokenizer_config.json"))
    let outcome = try RecallProcess.run(["verify", directory("two"), "--json", "--progress", "none"])
    #expect(outcome.code == 65 && outcome.diagnostics.contains("findings"), "\(outcome.diagnostics)")
    let document = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    #expect(document["sound"] as? Bool == false)
    let subjects = try #require(document["findings"] as? [[String: String]]).compactMap { $0["subject"] }
    for name in ["/model.safetensors", "", "/README.md", "/tokenizer_config.json"] {
      #expect(subjects.contains(directory("two") + name), "\(name): \(subjects)")
    }
    #expect(subjects.count == 4)
  }
}
