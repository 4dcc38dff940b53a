import Foundation
import TestSupport
import Testing

/// Comparisons, the page that shows them, and models that are too far apart to be merged.
@Suite struct CompareTests {
  private let directory: TemporaryDirectory
  private let siblings = ["first", "second"].map(Fixtures.sibling)

  init() throws { directory = try TemporaryDirectory() }

  private func compare(_ models: [String], _ more: [String] = []) throws -> RecallProcess.Outcome {
    try RecallProcess.run(["compare"] + models + ["--typical", "3", "--progress", "none"] + more)
  }

  /// A sibling whose hidden units are in another order: it computes the same, and its states agree with no other model's.
  private func stranger() throws -> String {
    let copy = try directory.copy(of: Fixtures.sibling("first"), as: "stranger")
    let path = "\(copy)/model.safetensors"
    var data = try Data(contentsOf: URL(fileURLWithPath: path))
    let length = data.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
    let header = try #require(
      try JSONSerialization.jsonObject(with: data[8..<8 + length]) as? [String: [String: Any]])
    for (name, entry) in header where name != "__metadata__" {
      let offsets = try #require(entry["data_offsets"] as? [Int])
      let shape = try #require(entry["shape"] as? [Int])
      let size = (offsets[1] - offsets[0]) / shape.reduce(1, *)
      let start = 8 + length + offsets[0]
      let isOutput = name.hasSuffix("o_proj.weight") || name.hasSuffix("down_proj.weight")
      // Outputs to the residual stream are rows, inputs from it columns; a step through the width is the new order.
      let rows = shape.count == 2 && !isOutput ? shape[0] : 1
      let units = shape.count == 2 && !isOutput ? shape[1] : shape[0]
      let width = (offsets[1] - offsets[0]) / rows / units
      let original = data[start..<start + offsets[1] - offsets[0]]
      var moved = Data()
      for row in 0..<rows {
        for unit in 0..<units {
          let source = original.startIndex + (row * units + (unit * 7 + 3) % units) * width
          moved += original[source..<source + width]
        }
      }
      #expect(size > 0 && moved.count == original.count)
      data.replaceSubrange(start..<start + moved.count, with: moved)
    }
    try data.write(to: URL(fileURLWithPath: path))
    return copy
  }

  @Test("compare finds what a merge finds, prints tables or JSON, and writes a page")
  func models() throws {
    let options = ["--anchor", Fixtures.sibling("third"), "--samples", Fixtures.siblingSamples]
    let outcome = try compare(siblings, options + ["--output", directory("page.html")])
    #expect(outcome.code == 0, "\(outcome.diagnostics)")
    for word in ["(anchor)", "[1] [2]", "block.2", directory("page.html")] {
      #expect(outcome.output.contains(word), "\(word)")
    }
    let merged = try RecallProcess.run(
      ["merge"] + siblings.flatMap { ["--model", $0] } + options + ["--typical", "3", "--output", directory("out")])
    #expect(merged.code == 0)
    let json = try compare(siblings, options + ["--json"])
    #expect(
      try layers(Data(json.output.utf8)) == layers(Data(contentsOf: URL(fileURLWithPath: directory("out/recall.json"))))
    )
    let page = try String(contentsOfFile: directory("page.html"), encoding: .utf8)
    #expect(page.contains("Comparison of 3 models") && page.contains("id=\"pairs\""))
    let own = try String(contentsOfFile: directory("out/recall.html"), encoding: .utf8)
    #expect(own.contains("Merge of 3 models"))
  }

  private func layers(_ data: Data) throws -> NSArray {
    let document = try JSONSerialization.jsonObject(with: data) as? [String: Any]
    return try #require(document?["layers"] as? NSArray)
  }

  @Test("extracts are compared without their models, with the same figures")
  func extracts() throws {
    let select = [
      "select", "--anchor", siblings[0], "--samples", Fixtures.siblingSamples, "--typical", "3", "--output",
      directory("typical.jsonl"),
    ]
    #expect(try RecallProcess.run(select).code == 0)
    let files = siblings.indices.map { directory("\($0).safetensors") }
    for (file, model) in zip(files, siblings) {
      let extract = ["extract", "--model", model, "--samples", directory("typical.jsonl"), "--output", file]
      #expect(try RecallProcess.run(extract).code == 0)
    }
    let fromFiles = try compare(files, ["--json"])
    // Without an anchor the first model selects the samples.
    let fromModels = try compare(siblings, ["--json", "--samples", directory("typical.jsonl")])
    #expect(fromFiles.code == 0 && fromModels.code == 0, "\(fromFiles.diagnostics)\(fromModels.diagnostics)")
    #expect(try layers(Data(fromFiles.output.utf8)) == layers(Data(fromModels.output.utf8)))
    let mixed = try compare([files[0], siblings[1]], ["--samples", Fixtures.siblingSamples])
    #expect(mixed.code == 64 && mixed.diagnostics.contains(siblings[1]))
  }

  @Test("strangers are named with their layers, and --require-similarity makes them an error")
  func strangers() throws {
    let stranger = try stranger()
    let merge = [
      "merge", "--anchor", Fixtures.sibling("third"), "--model", stranger, "--samples", Fixtures.siblingSamples,
      "--typical", "3", "--output", directory("out"), "--progress", "none",
    ]
    let refused = try RecallProcess.run(merge + ["--require-similarity", "0.5"])
    #expect(refused.code == 65)
    for word in [stranger, Fixtures.sibling("third"), "0.5", "3 of them, the last block.1"] {
      #expect(refused.diagnostics.contains(word), "\(word): \(refused.diagnostics)")
    }
    #expect(!FileManager.default.fileExists(atPath: directory("out")))
    #expect(!FileManager.default.fileExists(atPath: directory("out.partial")))

    let warned = try RecallProcess.run(merge)
    #expect(warned.code == 0)
    for word in ["warning", stranger, Fixtures.sibling("third"), "5 of 5 layers (embedding, block.0 to block.2, head)"]
    {
      #expect(warned.diagnostics.contains(word), "\(word): \(warned.diagnostics)")
    }
    #expect(try String(contentsOfFile: directory("out/recall.html"), encoding: .utf8).contains("far apart"))
    let json = try RecallProcess.run(merge.dropLast() + ["json", "--overwrite"])
    #expect(json.diagnostics.contains("{\"warning\":"))

    let alike = try compare(siblings, ["--samples", Fixtures.siblingSamples, "--require-similarity", "0.01"])
    #expect(alike.code == 0 && alike.diagnostics.isEmpty, "\(alike.diagnostics)")
    let compared = try compare(
      [siblings[0], stranger], ["--samples", Fixtures.siblingSamples, "--require-similarity", "0.5"])
    #expect(compared.code == 65)
  }

  @Test("a page cannot be written over an input, over what exists, or where nothing may be written")
  func places() throws {
    let options = ["--samples", Fixtures.siblingSamples]
    let page = try directory.write("mine", to: "page.html")
    #expect(try compare(siblings, options + ["--output", page]).code == 73)
    #expect(try String(contentsOfFile: page, encoding: .utf8) == "mine")
    #expect(try compare(siblings, options + ["--output", Fixtures.siblingSamples, "--overwrite"]).code == 64)
    #expect(try compare(siblings, options + ["--output", directory("no/such/page.html")]).code == 73)
    // Nobody, not even root, creates files there.
    let readOnly = try compare(siblings, options + ["--output", "/proc/page.html"])
    #expect(readOnly.code == 73, "\(readOnly.code) \(readOnly.diagnostics)")
    #expect(readOnly.diagnostics.contains("/proc"))
    #expect(try compare([siblings[0]], options).code == 64)
    #expect(try compare(siblings, []).code == 64)
  }
}
