import Foundation
import TestSupport
import Testing

/// Adapters on the command line: what they can be used for, and what is wrong with those that are refused.
@Suite struct AdapterCommandTests {
  private let directory: TemporaryDirectory
  private let base = Fixtures.checkpoint("llama-3.1")

  init() throws { directory = try TemporaryDirectory() }

  /// A copy of an adapter without what is beside it.
  private func adapter(_ name: String, as copy: String? = nil) throws -> String {
    let path = try directory.copy(of: "\(Fixtures.root)/adapters/\(name)", as: copy ?? name)
    try? FileManager.default.removeItem(atPath: "\(path)/merged.safetensors")
    return path
  }

  /// A copy of an adapter with some words of its configuration replaced.
  private func edited(_ old: String, _ new: String, of name: String = "llama-plain") throws -> String {
    let copy = try adapter(name, as: UUID().uuidString)
    let path = "\(copy)/adapter_config.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try #require(text.contains(old), "adapter_config.json has \(old)")
    try Data(text.replacingOccurrences(of: old, with: new).utf8).write(to: URL(fileURLWithPath: path))
    return copy
  }

  /// A copy of an adapter with the header of its tensors changed; the length of names and numbers has to stay.
  private func renamed(_ old: String, _ new: String, of name: String = "llama-plain") throws -> String {
    let copy = try adapter(name, as: UUID().uuidString)
    let path = "\(copy)/adapter_model.safetensors"
    var data = try Data(contentsOf: URL(fileURLWithPath: path))
    try #require(old.utf8.count == new.utf8.count && data.range(of: Data(old.utf8)) != nil)
    while let place = data.range(of: Data(old.utf8)) { data.replaceSubrange(place, with: Data(new.utf8)) }
    try data.write(to: URL(fileURLWithPath: path))
    return copy
  }

  private func extract(_ model: String, base: String?) throws -> RecallProcess.Outcome {
    let samples = try directory.write("{\"input_ids\": [1, 2, 3]}\n{\"input_ids\": [4, 5]}\n", to: "samples.jsonl")
    return try RecallProcess.run(
      ["extract", "--model", model, "--samples", samples, "--output", directory("states"), "--progress", "none"]
        + (base.map { ["--base", $0] } ?? []))
  }

  private func expectRefusal(
    _ model: String, base: String? = Fixtures.checkpoint("llama-3.1"), code: Int32 = 65, naming words: [String],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let outcome = try extract(model, base: base)
    #expect(outcome.code == code, "\(outcome.diagnostics)", sourceLocation: sourceLocation)
    for word in [model] + words {
      #expect(outcome.diagnostics.contains(word), "\(word): \(outcome.diagnostics)", sourceLocation: sourceLocation)
    }
    #expect(outcome.diagnostics.split(separator: "\n").count == 1, "one paragraph", sourceLocation: sourceLocation)
    #expect(!FileManager.default.fileExists(atPath: directory("states")), sourceLocation: sourceLocation)
  }

  @Test("adapters and complete models are selected from, extracted, weighed, fused, compared and merged alike")
  func everything() throws {
    let (first, second) = (try adapter("llama-plain"), try adapter("llama-embedding"))
    let samples = try directory.write(
      (1..<6).map { "{\"input_ids\": [\($0), \($0 * 3), \($0 * 5 + 1)]}\n" }.joined(), to: "pool.jsonl")
    let pool = ["--samples", samples, "--typical", "3", "--progress", "none"]
    let merge = try RecallProcess.run(
      ["merge", "--anchor", first, "--model", second, "--model", base, "--base", base, "--output", directory("out")]
        + pool)
    #expect(merge.code == 0, "\(merge.diagnostics)")
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
      #expect(FileManager.default.fileExists(atPath: directory("out/\(name)")))
    }
    let report = try String(contentsOfFile: directory("out/recall.json"), encoding: .utf8)
    #expect(report.ranges(of: "\"base\": {").count == 2)
    let page = try String(contentsOfFile: directory("out/recall.html"), encoding: .utf8)
    #expect(page.ranges(of: "an adapter of").count == 2)

    let select = ["select", "--anchor", first, "--base", base, "--output", directory("typical.jsonl")]
    #expect(try RecallProcess.run(select + pool).code == 0)
    let models = [first, second, base]
    let files = models.indices.map { directory("\($0).safetensors") }
    for (file, model) in zip(files, models) {
      let extract = [
        "extract", "--model", model, "--base", base, "--samples", directory("typical.jsonl"), "--output", file,
      ]
      #expect(try RecallProcess.run(extract).code == 0)
    }
    let weigh = [
      "weigh", "--anchor", files[0], "--model", files[1], "--model", files[2], "--output", directory("weights.json"),
    ]
    #expect(try RecallProcess.run(weigh).code == 0)
    #expect(
      try RecallProcess.run(["fuse", "--weights", directory("weights.json"), "--output", directory("fused")]).code == 0)
    for name in ["model.safetensors", "README.md", "recall.html"] {
      #expect(FileManager.default.contentsEqual(atPath: directory("out/\(name)"), andPath: directory("fused/\(name)")))
    }
    let compare = try RecallProcess.run(["compare", second, base, "--anchor", first, "--base", base] + pool)
    #expect(compare.code == 0, "\(compare.diagnostics)")
    let plan = try RecallProcess.run(
      ["merge", "--anchor", first, "--model", second, "--base", base, "--dry-run"] + pool)
    #expect(plan.code == 0 && plan.output.contains(first))
  }

  @Test("an adapter with a head of its own is evaluated as the complete model that it is")
  func evaluated() throws {
    let (adapter, copy) = (try adapter("llama-embedding"), try adapter("llama-embedding", as: "copy"))
    let samples = try directory.write("{\"input_ids\": [1, 2, 3]}\n{\"input_ids\": [4, 5]}\n", to: "pool.jsonl")
    let merge = try RecallProcess.run([
      "merge", "--anchor", adapter, "--model", copy, "--base", base, "--samples", samples, "--typical", "2", "--output",
      directory("complete"),
    ])
    #expect(merge.code == 0, "\(merge.diagnostics)")
    let task = try directory.write(
      "{\"text\": \"the quick brown fox\"}\n{\"text\": \"over the dog\"}\n", to: "task.jsonl")
    let outcome = try RecallProcess.run([
      "evaluate", "--model", adapter, "--model", directory("complete"), "--model", base, "--base", base, "--tasks",
      task,
      "--json", "--progress", "none",
    ])
    #expect(outcome.code == 0, "\(outcome.diagnostics)")
    let document = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
    let results = try #require(document?["results"] as? [[String: Any]])
    let values = results.compactMap { $0["value"] as? Double }
    try #require(values.count == 3)
    #expect(abs(values[0] - values[1]) <= 1e-5 * abs(values[1]), "\(values)")
    #expect(abs(values[0] - values[2]) > 1e-3 * abs(values[2]), "\(values)")
  }

  @Test("an adapter on top of an earlier merge has that merge in its lineage")
  func onMerge() throws {
    let samples = try directory.write("{\"input_ids\": [1, 2, 3]}\n{\"input_ids\": [4, 5]}\n", to: "pool.jsonl")
    let pool = ["--samples", samples, "--typical", "2", "--progress", "none"]
    let first = try RecallProcess.run(
      ["merge", "--anchor", try adapter("llama-plain"), "--model", base, "--base", base, "--output", directory("one")]
        + pool)
    #expect(first.code == 0, "\(first.diagnostics)")
    let next = try edited("recall/llama-3.1", "somewhere/one")
    let second = try RecallProcess.run(
      [
        "merge", "--anchor", next, "--model", directory("one"), "--base", directory("one"), "--output",
        directory("two"),
      ]
        + pool)
    #expect(second.code == 0, "\(second.diagnostics)")
    let document =
      try JSONSerialization.jsonObject(
        with: Data(contentsOf: URL(fileURLWithPath: directory("two/recall.json")))) as? [String: Any]
    let lineage = try #require(document?["lineage"] as? [[String: Any]])
    #expect(lineage.map { $0["path"] as? String } == [directory("one")])
  }

  @Test("an adapter without its base, or with another adapter as base")
  func withoutBase() throws {
    let plain = try adapter("llama-plain")
    try expectRefusal(plain, base: nil, code: 64, naming: ["--base"])
    let outcome = try extract(plain, base: try adapter("llama-some-blocks"))
    #expect(outcome.code == 64 && outcome.diagnostics.contains("--base"))
    let nowhere = try extract(plain, base: directory("nowhere/llama-3.1"))
    #expect(nowhere.code == 66 && nowhere.diagnostics.contains(directory("nowhere/llama-3.1")))
  }

  @Test("an adapter of another base, by its name and by its shapes")
  func otherBase() throws {
    try expectRefusal(
      try adapter("llama-patterns"), naming: ["recall/llama-2", "base_model_name_or_path", base])
    let nameless = try edited("\"recall/llama-3.1\"", "null")
    try expectRefusal(nameless, base: Fixtures.checkpoint("qwen2"), naming: ["q_proj", "made for another base"])
    #expect(try extract(nameless, base: base).code == 0)
  }

  @Test("kinds of adapters that are not supported are named")
  func kinds() throws {
    try expectRefusal(try adapter("dora"), naming: ["use_dora", "DoRA", "PEFT"])
    try expectRefusal(try edited("\"LORA\"", "\"IA3\""), naming: ["peft_type", "IA3"])
    try expectRefusal(try edited("\"lora_bias\": false", "\"lora_bias\": true"), naming: ["lora_bias"])
    try expectRefusal(
      try edited("\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa\""),
      naming: ["init_lora_weights", "pissa"])
    try expectRefusal(
      try edited("\"trainable_token_indices\": null", "\"trainable_token_indices\": [1]"), naming: ["trainable tokens"])
    let quantised = try directory.copy(of: base, as: "quantised-llama-3.1")
    let path = "\(quantised)/config.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try Data(
      text.replacingOccurrences(of: "\"vocab_size\"", with: "\"quantization_config\": {\"bits\": 4}, \"vocab_size\"")
        .utf8
    ).write(to: URL(fileURLWithPath: path))
    let outcome = try extract(try adapter("llama-plain"), base: quantised)
    #expect(outcome.code == 65 && outcome.diagnostics.contains("quantised"), "\(outcome.diagnostics)")
  }

  @Test("tensors that contradict the configuration, are missing, or have other names")
  func tensors() throws {
    try expectRefusal(try edited("\"r\": 4", "\"r\": 5"), naming: ["rank 5", "lora_"])
    try expectRefusal(try edited("\"v_proj\"", "\"o_proj\""), naming: ["target_modules"])
    try expectRefusal(try edited("\"v_proj\"", "\"v_proj\", \"k_proj\""), naming: ["k_proj", "factors"])
    let name = "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight"
    try expectRefusal(try renamed(name, name.replacingOccurrences(of: "lora_B", with: "lora_C")), naming: ["lora_C"])
    try expectRefusal(
      try renamed(name, name.replacingOccurrences(of: "base_model", with: "some_model")), naming: ["base_model.model."])
    try expectRefusal(try renamed(".layers.2.", ".layers.9."), naming: ["layers.9", "it lacks"])
    let config = try adapter("llama-plain", as: "without")
    try FileManager.default.removeItem(atPath: "\(config)/adapter_model.safetensors")
    try expectRefusal(config, code: 66, naming: ["safetensors"])
    try expectRefusal(try edited("\"lora_alpha\"", "\"lora_alpah\""), naming: ["lora_alpha"])
    try expectRefusal(try edited("\"rank_pattern\": {}", "\"rank_pattern\": {\"(\": 2}"), naming: ["rank_pattern"])
  }

  @Test("a factor without its other half")
  func half() throws {
    // The half of one map is moved to where another map has none.
    let name = "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight"
    let copy = try renamed(name, name.replacingOccurrences(of: "q_proj", with: "k_proj"))
    try expectRefusal(copy, naming: ["lora_A.weight", "k_proj"])
    let other = name.replacingOccurrences(of: "lora_B", with: "lora_A")
    let without = try renamed(other, other.replacingOccurrences(of: "q_proj", with: "k_proj"))
    try expectRefusal(without, naming: ["lora_B.weight", "k_proj"])
  }

  @Test("modules that were saved whole and that the base has in another shape, or not at all")
  func saved() throws {
    let llama2 = Fixtures.checkpoint("llama-2")
    let embedding = "embed_tokens.weight\":{\"dtype\":\"F32\",\"shape\":"
    let turned = try renamed("\(embedding)[317,32]", "\(embedding)[32,317]", of: "llama-saved")
    try expectRefusal(turned, base: llama2, naming: ["embed_tokens", "[317, 32]", "[32, 317]"])
    let strange = try renamed("model.lm_head.weight", "model.my_head.weight", of: "llama-saved")
    try expectRefusal(strange, base: llama2, naming: ["my_head.weight", llama2, "it lacks"])
  }

  @Test("a tied head that an adapter would untie")
  func untied() throws {
    let tied = try directory.copy(of: Fixtures.checkpoint("llama-2"), as: "llama-2")
    let path = "\(tied)/config.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let (old, new) = ("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true")
    try #require(text.contains(old))
    try Data(text.replacingOccurrences(of: old, with: new).utf8).write(to: URL(fileURLWithPath: path))
    try expectRefusal(try adapter("llama-saved"), base: tied, naming: ["ties together", "Untie"])
  }
}
