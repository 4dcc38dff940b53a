import Checkpoint
import Foundation
import TestSupport
import Testing

/// Bad input: each case exits with its code, names what is at fault in one paragraph, leaves nothing under the output's
/// name, and does not touch the inputs.
@Suite struct BadInputTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Merges with the given options in place of sound ones, and checks everything that holds for all bad input.
  private func expectRefusal(
    anchor: String? = nil, model: String? = nil, samples: String? = nil, typical: String = "3",
    more: [String] = [], code: Int32, naming words: [String], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let inputs = [anchor, model].compactMap { $0 }
    let before = inputs.map { listing(of: $0) }
    let outcome = try RecallProcess.run(
      [
        "merge", "--anchor", anchor ?? Fixtures.sibling("third"), "--model", model ?? Fixtures.sibling("first"),
        "--samples", samples ?? Fixtures.siblingSamples, "--typical", typical, "--output", directory("out"),
        "--progress", "none",
      ] + more)
    #expect(outcome.code == code, "\(outcome.diagnostics)", sourceLocation: sourceLocation)
    for word in words {
      #expect(outcome.diagnostics.contains(word), "\(word): \(outcome.diagnostics)", sourceLocation: sourceLocation)
    }
    #expect(outcome.diagnostics.split(separator: "\n").count == 1, "one paragraph", sourceLocation: sourceLocation)
    #expect(!FileManager.default.fileExists(atPath: directory("out")), sourceLocation: sourceLocation)
    #expect(!FileManager.default.fileExists(atPath: directory("out.partial")), sourceLocation: sourceLocation)
    #expect(inputs.map { listing(of: $0) } == before, "inputs are untouched", sourceLocation: sourceLocation)
  }

  /// Names and contents of a directory's files.
  private func listing(of path: String) -> [String: Data] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return Dictionary(
      uniqueKeysWithValues: names.compactMap { name in
        FileManager.default.contents(atPath: "\(path)/\(name)").map { (name, $0) }
      })
  }

  /// A copy of a sibling with one file changed.
  private func damaged(_ file: String, _ change: (inout Data) throws -> Void) throws -> String {
    let copy = try directory.copy(of: Fixtures.sibling("first"), as: "damaged-\(UUID().uuidString)")
    let url = URL(fileURLWithPath: "\(copy)/\(file)")
    var data = try Data(contentsOf: url)
    try change(&data)
    try data.write(to: url)
    return copy
  }

  /// A copy with some words of its config.json or tokenizer.json replaced.
  private func edited(_ file: String, _ old: String, _ new: String) throws -> String {
    try damaged(file) { data in
      let text = String(decoding: data, as: UTF8.self)
      try #require(text.contains(old), "the fixture has \(old)")
      data = Data(text.replacingOccurrences(of: old, with: new).utf8)
    }
  }

  @Test("missing directories and files")
  func missing() throws {
    try expectRefusal(model: directory("nowhere"), code: 66, naming: [directory("nowhere"), "config.json"])
    try expectRefusal(samples: directory("nowhere.jsonl"), code: 66, naming: ["nowhere.jsonl"])
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
      let copy = try directory.copy(of: Fixtures.sibling("first"), as: "without-\(file)")
      try FileManager.default.removeItem(atPath: "\(copy)/\(file)")
      let code: Int32 = file == "tokenizer.json" ? 65 : 66
      try expectRefusal(model: copy, code: code, naming: [copy])
    }
  }

  @Test("wrong JSON")
  func wrongJSON() throws {
    for file in ["config.json", "tokenizer.json"] {
      let copy = try damaged(file) { $0 = $0.dropLast(10) }
      try expectRefusal(model: copy, code: 65, naming: ["\(copy)/\(file)", "byte"])
    }
    let samples = try directory.write("{\"text\": \"a\"}\n{\"text\": 7}\n", to: "bad.jsonl")
    try expectRefusal(samples: samples, code: 65, naming: ["bad.jsonl, line 2"])
    let broken = try directory.write("{\"text\": \"a\"}\n\n{\"text\n", to: "broken.jsonl")
    try expectRefusal(samples: broken, code: 65, naming: ["broken.jsonl, line 3"])
  }

  @Test("truncated and hostile safetensors")
  func hostileWeights() throws {
    let truncated = try damaged("model.safetensors") { $0 = $0.dropLast(100) }
    try expectRefusal(model: truncated, code: 65, naming: ["\(truncated)/model.safetensors"])
    let huge = try damaged("model.safetensors") { $0.replaceSubrange(0..<8, with: Data(repeating: 0x7F, count: 8)) }
    try expectRefusal(model: huge, code: 65, naming: ["\(huge)/model.safetensors"])
    let empty = try damaged("model.safetensors") { $0 = Data() }
    try expectRefusal(model: empty, code: 65, naming: ["\(empty)/model.safetensors"])
  }

  @Test("models of other architectures, shapes or vocabularies")
  func otherModels() throws {
    try expectRefusal(
      model: Fixtures.checkpoint("qwen3"), code: 65, naming: [Fixtures.checkpoint("qwen3"), "model_type qwen3"])
    let unknown = try edited("config.json", "\"llama\"", "\"mamba\"")
    try expectRefusal(model: unknown, code: 65, naming: [unknown, "mamba", "qwen3"])
    let vocabulary = try edited("config.json", "\"vocab_size\": ", "\"vocab_size\": 1")
    try expectRefusal(model: vocabulary, code: 65, naming: [vocabulary, "model.embed_tokens.weight", "shape"])
    let quantised = try edited(
      "config.json", "\"vocab_size\"", "\"quantization_config\": {\"bits\": 4}, \"vocab_size\"")
    try expectRefusal(model: quantised, code: 65, naming: [quantised, "quantised"])
    let rope = try edited("config.json", "\"rope_theta\": 10000", "\"rope_theta\": 50000")
    try expectRefusal(model: rope, code: 65, naming: [rope, "rotary"])
  }

  @Test("a tokenizer that differs in what decides identifiers")
  func otherTokenizer() throws {
    let first = try Data(contentsOf: URL(fileURLWithPath: "\(Fixtures.sibling("first"))/tokenizer.json"))
    var document = try #require(try JSONSerialization.jsonObject(with: first) as? [String: Any])
    var model = try #require(document["model"] as? [String: Any])
    let merges = try #require(model["merges"] as? [Any])
    model["merges"] = Array(merges.dropLast())
    document["model"] = model
    let copy = try damaged("tokenizer.json") { $0 = try JSONSerialization.data(withJSONObject: document) }
    try expectRefusal(model: copy, code: 65, naming: [copy, "tokenizer", "merges"])

    document = try #require(try JSONSerialization.jsonObject(with: first) as? [String: Any])
    document["truncation"] = ["max_length": 5, "strategy": "LongestFirst", "stride": 0, "direction": "Right"]
    let harmless = try damaged("tokenizer.json") { $0 = try JSONSerialization.data(withJSONObject: document) }
    let outcome = try RecallProcess.run([
      "merge", "--anchor", Fixtures.sibling("third"), "--model", harmless, "--samples", Fixtures.siblingSamples,
      "--typical", "3", "--output", directory("merged"),
    ])
    #expect(outcome.code == 0, "truncation settings decide no identifier: \(outcome.diagnostics)")
  }

  @Test("pools that are empty, too small, out of the vocabulary or too long")
  func pools() throws {
    let empty = try directory.write("\n  \n", to: "empty.jsonl")
    try expectRefusal(samples: empty, code: 65, naming: ["empty.jsonl", "at least one sample"])
    try expectRefusal(typical: "7", code: 65, naming: ["samples.input_ids.jsonl", "at least 7 samples"])
    let nothing = try directory.write("{\"input_ids\": [1]}\n{\"input_ids\": []}\n", to: "nothing.jsonl")
    try expectRefusal(samples: nothing, typical: "1", code: 65, naming: ["nothing.jsonl, line 2", "no"])
    // Qwen adds no token of its own, so an empty text encodes to none.
    let silent = try directory.write("{\"text\": \"a\"}\n{\"text\": \"\"}\n", to: "silent.jsonl")
    let qwen = Fixtures.checkpoint("qwen2")
    try expectRefusal(
      anchor: qwen, model: qwen, samples: silent, typical: "1", code: 65,
      naming: ["silent.jsonl, line 2", "at least one token"])
    let stranger = try directory.write("{\"input_ids\": [1, 99999]}\n", to: "stranger.jsonl")
    try expectRefusal(samples: stranger, typical: "1", code: 65, naming: ["stranger.jsonl, line 1", "99999"])
    let ids = (0..<1000).map { "\($0 % 100)" }.joined(separator: ",")
    let long = try directory.write("{\"input_ids\": [\(ids)]}\n", to: "long.jsonl")
    try expectRefusal(
      samples: long, typical: "1", more: ["--max-tokens", "1000"], code: 65,
      naming: ["long.jsonl, line 1", "positions", "--max-tokens"])
  }

  @Test("weights that are not finite stop the merge and are named")
  func notFinite() throws {
    let copy = try damaged("model.safetensors") { $0.replaceSubrange($0.count - 2..<$0.count, with: [0xC0, 0x7F]) }
    try expectRefusal(model: copy, code: 65, naming: [copy, "tensor ", "NaN"])
    let outcome = try RecallProcess.run(["inspect", "--model", copy])
    #expect(outcome.code == 0)
  }

  @Test("values that are not finite pass where that is allowed and no hidden state depends on them")
  func allowedNonFinite() throws {
    let head = try #require(try Checkpoint(directory: Fixtures.sibling("first")).tensor(named: "lm_head.weight"))
    let start = head.byteRange.lowerBound
    let copy = try damaged("model.safetensors") { $0.replaceSubrange(start..<start + 2, with: [0x80, 0x7F]) }
    try expectRefusal(model: copy, code: 65, naming: [copy, "lm_head.weight", "1 that are NaN", "--allow-non-finite"])
    let outcome = try RecallProcess.run([
      "merge", "--anchor", Fixtures.sibling("third"), "--model", copy, "--samples", Fixtures.siblingSamples,
      "--typical", "3", "--output", directory("allowed"), "--allow-non-finite",
    ])
    #expect(outcome.code == 0, "\(outcome.diagnostics)")
    let report = try String(contentsOfFile: directory("allowed/recall.json"), encoding: .utf8)
    #expect(report.contains("\"nonFinite\": 1"))
  }

  @Test("an output that exists, a leftover, and a place that takes no output")
  func outputs() throws {
    let arguments = [
      "merge", "--anchor", Fixtures.sibling("third"), "--model", Fixtures.sibling("first"), "--samples",
      Fixtures.siblingSamples, "--typical", "3", "--progress", "none", "--output",
    ]
    #expect(try RecallProcess.run(arguments + [directory("made")]).code == 0)
    let before = listing(of: directory("made"))
    let again = try RecallProcess.run(arguments + [directory("made")])
    #expect(again.code == 73)
    #expect(again.diagnostics.contains(directory("made")) && again.diagnostics.contains("--overwrite"))
    #expect(listing(of: directory("made")) == before)
    #expect(try RecallProcess.run(arguments + [directory("made"), "--overwrite"]).code == 0)

    try FileManager.default.createDirectory(atPath: directory("left.partial"), withIntermediateDirectories: true)
    let leftover = try RecallProcess.run(arguments + [directory("left")])
    #expect(leftover.code == 73)
    #expect(leftover.diagnostics.contains("left.partial"))

    // What somebody else put under the name of a leftover is nobody's to remove.
    try FileManager.default.createDirectory(atPath: directory("thesis.partial"), withIntermediateDirectories: true)
    _ = try directory.write("chapter 1", to: "thesis.partial/chapter.txt")
    _ = try directory.write("a draft", to: "draft.partial")
    for name in ["thesis", "draft"] {
      for option in [[], ["--resume"], ["--overwrite"], ["--resume", "--overwrite"]] {
        let foreign = try RecallProcess.run(arguments + [directory(name)] + option)
        #expect(foreign.code == 73, "\(name) \(option)")
        for word in [directory("\(name).partial"), "Move it away"] {
          #expect(foreign.diagnostics.contains(word), "\(word): \(foreign.diagnostics)")
        }
      }
    }
    #expect(try String(contentsOfFile: directory("thesis.partial/chapter.txt"), encoding: .utf8) == "chapter 1")
    #expect(try String(contentsOfFile: directory("draft.partial"), encoding: .utf8) == "a draft")

    // Not even with --overwrite may an input be replaced.
    let input = try directory.copy(of: Fixtures.sibling("third"), as: "input")
    let untouched = listing(of: input)
    let replaced = try RecallProcess.run([
      "merge", "--anchor", input, "--model", Fixtures.sibling("first"), "--samples", Fixtures.siblingSamples,
      "--typical", "3", "--output", input, "--overwrite",
    ])
    #expect(replaced.code == 64)
    #expect(listing(of: input) == untouched)

    let holder = [
      "merge", "--anchor", input, "--model", Fixtures.sibling("first"), "--samples", Fixtures.siblingSamples,
      "--typical", "3", "--output", directory.path, "--overwrite",
    ]
    let above = try RecallProcess.run(holder)
    #expect(above.code == 64 && above.diagnostics.contains("apart from the inputs"))
    let inside = try RecallProcess.run([
      "extract", "--model", input, "--samples", Fixtures.siblingSamples, "--output", "\(input)/model.safetensors",
      "--overwrite",
    ])
    #expect(inside.code == 64 && inside.diagnostics.contains("apart from the inputs"))
    #expect(listing(of: input) == untouched)

    let within = try RecallProcess.run(Array(holder.dropLast(2)) + ["\(input)/merged"])
    #expect(within.code == 64 && listing(of: input) == untouched)
    try FileManager.default.createSymbolicLink(atPath: directory("alias"), withDestinationPath: input)
    let behind = try RecallProcess.run(Array(holder.dropLast(2)) + [directory("alias/merged")])
    #expect(behind.code == 64 && listing(of: input) == untouched)

    // Neither a link nor a folder that someone put beside the weights is lost to --overwrite.
    try FileManager.default.createSymbolicLink(atPath: directory("link"), withDestinationPath: directory("target"))
    let link = try RecallProcess.run([
      "extract", "--model", input, "--samples", Fixtures.siblingSamples, "--output", directory("link"), "--overwrite",
    ])
    #expect(link.code == 73 && link.diagnostics.contains("link"))
    try FileManager.default.createDirectory(atPath: directory("made/notes"), withIntermediateDirectories: true)
    #expect(try RecallProcess.run(arguments + [directory("made"), "--overwrite"]).code == 73)
    #expect(FileManager.default.fileExists(atPath: directory("made/notes")))

    let nowhere = try RecallProcess.run(arguments + [directory("no/such/place")])
    #expect(nowhere.code == 73)
    #expect(nowhere.diagnostics.contains(directory("no/such")))
  }

  @Test("more models than one sum takes, too little memory, and options that contradict each other")
  func impossibleMerges() throws {
    let many = (0..<16).flatMap { _ in ["--model", Fixtures.sibling("second")] }
    try expectRefusal(more: many, code: 64, naming: ["at most 16 models"])
    try expectRefusal(more: ["--memory", "1M"], code: 64, naming: ["--memory", "at least"])
    try expectRefusal(more: ["--bandwidth", "dimension"], code: 64, naming: ["--distance absolute"])
    try expectRefusal(more: ["--bandwidth", "1e-170"], code: 64, naming: ["--bandwidth"])
    try expectRefusal(more: ["--cluster-layer", "3"], code: 64, naming: ["--cluster-layer", "below 3"])
    let dryRun = try RecallProcess.run([
      "merge", "--anchor", Fixtures.sibling("third"), "--model", Fixtures.sibling("first"), "--samples",
      Fixtures.siblingSamples, "--typical", "500", "--dry-run",
    ])
    #expect(dryRun.code == 65 && dryRun.diagnostics.contains("at least 500 samples"))
  }

  @Test("samples that another model selected give no bandwidth, and a header without one is refused")
  func foreignSelection() throws {
    let select = [
      "select", "--anchor", Fixtures.sibling("second"), "--samples", Fixtures.siblingSamples, "--typical", "3",
      "--output", directory("typical.jsonl"),
    ]
    #expect(try RecallProcess.run(select).code == 0)
    let typical = directory("typical.jsonl")
    try expectRefusal(samples: typical, typical: "20", code: 64, naming: [Fixtures.sibling("second"), "--bandwidth"])
    let text = try String(contentsOfFile: typical, encoding: .utf8)
    let header = try #require(text.split(separator: "\n").first)
    let end = try #require(header.range(of: ",\"anchorMedian\""))
    let cut = try directory.write(
      text.replacingOccurrences(of: header, with: header[..<end.lowerBound] + "}"), to: "cut.jsonl")
    try expectRefusal(samples: cut, typical: "20", code: 65, naming: ["cut.jsonl", "anchorMedian"])
    let array = try directory.write("[\n {\"text\": \"a\"}\n]\n", to: "array.json")
    try expectRefusal(samples: array, typical: "1", code: 65, naming: ["array.json", "JSON array"])
  }

  @Test("extracts that do not fit together")
  func extracts() throws {
    for (name, pooling) in [("first", "mean"), ("second", "last")] {
      let outcome = try RecallProcess.run([
        "extract", "--model", Fixtures.sibling(name), "--samples", Fixtures.siblingSamples, "--pooling", pooling,
        "--output", directory("\(name).safetensors"),
      ])
      #expect(outcome.code == 0)
    }
    let weigh = [
      "weigh", "--model", directory("first.safetensors"), "--model", directory("second.safetensors"), "--bandwidth",
      "1", "--output", directory("recall.json"),
    ]
    let outcome = try RecallProcess.run(weigh)
    #expect(outcome.code == 65)
    #expect(outcome.diagnostics.contains("pooling"))
    let others = try directory.write("{\"input_ids\": [1, 2]}\n{\"input_ids\": [3]}\n", to: "others.jsonl")
    for (samples, more, word) in [
      (others, [String](), "samples"), (Fixtures.siblingSamples, ["--max-tokens", "3"], "max"),
    ] {
      let extract = try RecallProcess.run(
        [
          "extract", "--model", Fixtures.sibling("second"), "--samples", samples, "--overwrite", "--output",
          directory("second.safetensors"),
        ] + more)
      #expect(extract.code == 0, "\(extract.diagnostics)")
      let outcome = try RecallProcess.run(weigh)
      #expect(outcome.code == 65)
      for word in [word, Fixtures.sibling("first"), Fixtures.sibling("second")] {
        #expect(outcome.diagnostics.contains(word), "\(word): \(outcome.diagnostics)")
      }
    }
    let wrong = try RecallProcess.run(
      [
        "weigh", "--model", "\(Fixtures.sibling("first"))/model.safetensors", "--model", directory("first.safetensors"),
        "--output", directory("recall.json"),
      ])
    #expect(wrong.code == 65)
    #expect(!FileManager.default.fileExists(atPath: directory("recall.json")))
  }

  @Test("models that are not those that were weighed")
  func otherModelsThanWeighed() throws {
    let arguments = [
      "merge", "--anchor", Fixtures.sibling("third"), "--model", Fixtures.sibling("first"), "--samples",
      Fixtures.siblingSamples, "--typical", "3", "--output", directory("made"),
    ]
    #expect(try RecallProcess.run(arguments).code == 0)
    let changed = try directory.copy(of: Fixtures.sibling("second"), as: "first")
    let fuse = [
      "fuse", "--weights", directory("made/recall.json"), "--anchor", Fixtures.sibling("third"), "--model", changed,
      "--output", directory("out"),
    ]
    let outcome = try RecallProcess.run(fuse)
    #expect(outcome.code == 65)
    #expect(outcome.diagnostics.contains("digest"))
    #expect(!FileManager.default.fileExists(atPath: directory("out")))
    #expect(!FileManager.default.fileExists(atPath: directory("out.partial")))
  }

  @Test("what cannot be evaluated")
  func evaluation() throws {
    let model = ["--model", Fixtures.sibling("first")]
    let unanswered = try directory.write("{\"prompt\": \"the\"}\n", to: "unanswered.jsonl")
    let open = try directory.write(#"{"prompt": "the", "choices": ["dog", "cat"]}"#, to: "open.jsonl")
    let good = try directory.write(#"{"prompt": "the", "answer": " dog"}"#, to: "good.jsonl")
    let twin = try directory.write(#"{"prompt": "a", "answer": " dog"}"#, to: "good.test.jsonl")
    let cases: [(arguments: [String], code: Int32, words: [String])] = [
      (model + ["--tasks", unanswered], 65, [unanswered, "line 1", "\"answer\""]),
      (model + ["--tasks", open], 65, [open, "line 1", "beside the choices"]),
      (model + ["--tasks", directory("nowhere.jsonl")], 66, ["nowhere.jsonl"]),
      (["--model", directory("nowhere"), "--tasks", good], 66, ["nowhere"]),
      (model, 64, ["--tasks"]), (["--tasks", good], 64, ["--model"]),
      (model + ["--tasks", good, "--tasks", twin], 64, ["\"good\"", twin]),
      (model + ["--tasks", good, "--reference", Fixtures.sibling("base")], 64, ["--reference", "--model as well"]),
      (model + ["--tasks", good, "--memory", "1K"], 64, ["--memory"]),
    ]
    for (arguments, code, words) in cases {
      let outcome = try RecallProcess.run(["evaluate", "--progress", "none"] + arguments)
      #expect(outcome.code == code, "\(outcome.diagnostics)")
      for word in words { #expect(outcome.diagnostics.contains(word), "\(word): \(outcome.diagnostics)") }
      #expect(outcome.output.isEmpty)
    }
  }
}
