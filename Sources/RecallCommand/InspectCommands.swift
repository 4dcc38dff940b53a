import Checkpoint
import Diagnostics
import Foundation
import JSON
import Recall

extension Command {
  /// What a model directory holds.
  static let inspect = Command(
    name: "inspect", summary: "prints architecture, element types, parameters, layers and shards of a model",
    options: [CommandOption(name: "--model", placeholder: "DIR", help: "the model")]
  ) { options in
    let path = absolutePath(try options.required("--model"))
    let checkpoint = try Checkpoint(directory: path)
    let configuration = try JSONValue(parsing: readFile("\(path)/config.json"), from: "\(path)/config.json")
    try printLine("model         \(path)")
    try printLine("architecture  \(configuration["model_type"]?.string ?? "unknown")")
    do {
      let known = try ModelConfiguration(json: configuration, path: "\(path)/config.json")
      try printLine("blocks        \(known.blockCount)")
      if let block = known.blocks.first {
        let heads = block.attention.shape
        try printLine("width         \(known.hiddenSize), feed-forward \(block.feedForward.down.inputs)")
        try printLine(
          "heads         \(heads.queryHeads) of \(heads.headDimension), \(heads.keyValueHeads) for keys and values")
      }
      try printLine("vocabulary    \(known.vocabularySize)\(known.stem.tiesHead ? ", head tied to the embedding" : "")")
      try printLine("positions     \(known.maximumPositions)")
      let windows = known.blocks.compactMap(\.attention.shape.window)
      if let window = windows.min() {
        try printLine("window        \(window) tokens in \(windows.count) blocks")
      }
    } catch let failure as Failure {
      try printLine("not mergeable \(failure)")
    }
    try printLine("parameters    \(checkpoint.tensors.reduce(0) { $0 + $1.elementCount })")
    try printLine("\n" + aligned([["element type", "tensors", "parameters", "bytes"]] + types(of: checkpoint.tensors)))
    let shards = checkpoint.shards.map { shard in
      [shard.fileName, "\(shard.header.tensors.count)", byteText(shard.byteCount)]
    }
    try printLine("\n" + aligned([["shard", "tensors", "size"]] + shards))
    for name in checkpoint.unindexedTensors {
      try printLine("\nwarning: the index does not mention the tensor \(name)")
    }
  }

  /// The token identifiers of samples, as the forward pass gets them.
  static let tokenize = Command(
    name: "tokenize", summary: "prints the token identifiers of samples, one JSON line each",
    options: [
      CommandOption(name: "--model", placeholder: "DIR", help: "the model whose tokenizer.json is used"),
      CommandOption(.samples),
      CommandOption(
        name: "--max-tokens", placeholder: "N", help: "where texts are cut, special tokens included (default: nowhere)"),
    ]
  ) { options in
    let tokenizer = try Model.tokenizer(at: "\(absolutePath(options.required("--model")))/tokenizer.json")
    let limit = try options.positive("--max-tokens")
    let file = try SampleFile(path: options.required("--samples"))
    for sample in file.samples {
      let ids: [Int32]
      switch sample.content {
      case .tokens(let tokens): ids = Array(tokens.prefix(limit ?? tokens.count))
      case .text(let text): ids = try tokenizer.encode(text, addSpecialTokens: true, truncatedTo: limit)
      }
      // One document per identifier would take longer than the encoding.
      try printLine("{\"ids\":[\(ids.map(String.init).joined(separator: ","))]}")
    }
  }

  private static func types(of tensors: [TensorRecord]) -> [[String]] {
    Dictionary(grouping: tensors, by: \.type.rawValue).sorted { $0.key < $1.key }.map { type, tensors in
      let parameters = tensors.reduce(0) { $0 + $1.elementCount }
      let bytes = tensors.reduce(0) { $0 + $1.byteRange.count }
      return [type, "\(tensors.count)", "\(parameters)", byteText(bytes)]
    }
  }
}
