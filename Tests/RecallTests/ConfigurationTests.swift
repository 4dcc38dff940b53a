import Diagnostics
import JSON
import Recall
import Testing

/// config.json as releases of transformers write it, and as nobody should.
@Suite struct ConfigurationTests {
  private func configuration(_ modelType: String, _ more: String) throws -> ModelConfiguration {
    let text = """
      {"model_type": "\(modelType)", "hidden_size": 64, "num_hidden_layers": 30, "num_attention_heads": 4,
       "intermediate_size": 96, "vocab_size": 100, "max_position_embeddings": 512 \(more.isEmpty ? "" : ", ") \(more)}
      """
    return try ModelConfiguration(json: JSONValue(parsing: Array(text.utf8), from: "config.json"), path: "config.json")
  }

  @Test("what config.json leaves out has the defaults of transformers")
  func defaults() throws {
    let llama = try configuration("llama", "")
    #expect(llama.blocks.count == 30 && llama.blocks.allSatisfy { $0.attention.rotary?.base == 10_000 })
    #expect(llama.blocks.allSatisfy { $0.attention.shape.keyValueHeads == 4 })
    #expect(llama.windows.allSatisfy { $0 == nil } && !llama.stem.tiesHead)
    #expect(llama.blocks.flatMap(\.norms).allSatisfy { $0.epsilon == 1e-6 } && llama.stem.finalNorm.epsilon == 1e-6)
    #expect(llama.headDimension == 16)
    #expect(try configuration("llama", "\"head_dim\": null").headDimension == 16)
    #expect(try configuration("mistral", "\"num_key_value_heads\": 2").windows.allSatisfy { $0 == 4096 })
    #expect(
      try configuration("mistral", "\"num_key_value_heads\": 2, \"sliding_window\": null").windows
        .allSatisfy { $0 == nil })
    #expect(try configuration("qwen3", "\"num_key_value_heads\": 2").headDimension == 128)
  }

  @Test("windows of Qwen slide only where they are switched on, from max_window_layers or by layer_types")
  func windows() throws {
    let heads = "\"num_key_value_heads\": 2, \"sliding_window\": 8"
    #expect(try configuration("qwen2", heads).windows.allSatisfy { $0 == nil })
    let on = try configuration("qwen2", heads + ", \"use_sliding_window\": true")
    #expect(on.windows == (0..<30).map { $0 >= 28 ? 8 : nil })
    let types = (0..<30).map { $0.isMultiple(of: 2) ? "\"sliding_attention\"" : "\"full_attention\"" }
    let typed = try configuration(
      "qwen3", heads + ", \"use_sliding_window\": true, \"layer_types\": [\(types.joined(separator: ","))]")
    #expect(typed.windows == (0..<30).map { $0.isMultiple(of: 2) ? 8 : nil })
  }

  @Test(
    "sizes and parts that make no sense, or that are not supported, are refused by name",
    arguments: [
      ("\"head_dim\": 0", "head_dim"), ("\"head_dim\": 7", "head_dim"),
      ("\"num_key_value_heads\": 3", "num_key_value_heads"),
      ("\"rms_norm_eps\": -1", "rms_norm_eps"), ("\"hidden_act\": \"relu\"", "hidden_act"),
      ("\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4}", "rope_type"),
      ("\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 4}", "low_freq_factor"),
      ("\"rope_parameters\": {\"rope_theta\": 1e4, \"partial_rotary_factor\": 0.5}", "partial_rotary_factor"),
      ("\"quantization_config\": {}", "quantization_config"), ("\"architectures\": [\"LlamaModel\"]", "architectures"),
      ("\"tie_word_embeddings\": 1", "tie_word_embeddings"),
    ])
  func refusals(more: String, key: String) throws {
    do {
      _ = try configuration("llama", more)
      Issue.record("\(more) was accepted")
    } catch let failure as Failure {
      #expect(failure.category == .badData && failure.expected.contains(key))
    }
  }

  @Test("numbers of blocks and heads beyond reason are refused before anything is counted")
  func hugeSizes() throws {
    for text in [
      "{\"model_type\": \"llama\", \"hidden_size\": 64, \"num_hidden_layers\": 2147483648, \"num_attention_heads\": 4}",
      "{\"model_type\": \"llama\", \"hidden_size\": 4, \"num_hidden_layers\": 2, \"num_attention_heads\": 64}",
      "{\"model_type\": \"llama\", \"hidden_size\": 1e3, \"num_hidden_layers\": 2, \"num_attention_heads\": 4}",
    ] {
      let json = try JSONValue(parsing: Array(text.utf8), from: "config.json")
      #expect(throws: Failure.self) { try ModelConfiguration(json: json, path: "config.json") }
    }
  }
}

extension ModelConfiguration {
  fileprivate var windows: [Int?] { blocks.map(\.attention.shape.window) }
  fileprivate var headDimension: Int? { blocks.first?.attention.shape.headDimension }
}
