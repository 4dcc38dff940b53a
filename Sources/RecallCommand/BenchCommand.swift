import Checkpoint
import Compute
import Diagnostics
import Foundation
import JSON
import Measurement
import Recall

extension Command {
  /// What the machine at hand reaches, and what a merge on it would take.
  static let bench = Command(
    name: "bench", summary: "measures device and storage, and predicts how long a merge takes",
    options: [
      CommandOption(
        name: "--model", placeholder: "DIR", help: "predict a merge of such models, the first as anchor; repeats",
        repeats: true),
      CommandOption(.samples),
      CommandOption(
        name: "--samples-count", placeholder: "N", help: "without --samples: the texts of the pool (default: 200)"),
      CommandOption(
        name: "--tokens", placeholder: "N", help: "without --samples: the tokens of each text (default: 256)"),
      CommandOption(.typical), CommandOption(.maxTokens),
      CommandOption(
        name: "--directory", placeholder: "DIR",
        help: "where storage is measured, by a file without a name (default: the current directory)"),
      CommandOption(
        name: "--feed", placeholder: nil,
        help: "also bring all blocks of the models to the device, twice, and measure the second time"),
      CommandOption(name: "--quick", placeholder: nil, help: "smaller sizes and fewer bytes"),
      CommandOption(name: "--output", placeholder: "FILE", help: "also write the document that --json prints"),
      CommonOptions.overwrite, CommonOptions.json, Device.option, CommonOptions.progress,
    ]
  ) { options in
    let directory = absolutePath(options.value("--directory") ?? ".")
    let recipe = try mergeRecipe(options)
    let costs = try recipe.map { recipe throws(Failure) in try mergeCosts(recipe, options) }
    let fed = options.has("--feed") ? recipe : nil
    let inputs = options.all("--model").map(absolutePath) + [recipe?.samples].compactMap { $0 }
    let output = try options.value("--output").map { _ throws(Failure) in
      try CommonOptions.outputFile(options, inputs: inputs)
    }
    if output == nil, options.has(CommonOptions.overwrite.name) {
      throw Failure(
        .usage, operation: "run recall bench", subject: CommonOptions.overwrite.name,
        expected: "a file to overwrite with --output", got: "none")
    }
    let isQuick = options.has("--quick")
    let device = try Device(options)
    let printer = try ProgressPrinter(options)
    defer { printer.finish() }
    let progress = printer.progress
    let opened = try device.open(telling: printer)
    let storageBytes = (isQuick ? 128 : opened.device.description.kind == .processor ? 512 : 4096) << 20
    let storage = try StorageMeasurement(in: directory, mostBytes: storageBytes)
    let report = try await opened.queue.perform { backend in
      let named = BackendCatalog.NamedDevice(name: opened.device.name, description: backend.device)
      let measured = try DeviceMeasurement(named, on: backend, isQuick: isQuick) { done, total in
        progress("bench", done, of: total, unit: "measurements")
      }
      let prediction = try costs.map { costs in
        try MergePrediction(costs, measured: measured, storage: storage, on: backend)
      }
      // What was measured before is told in any case.
      let feed = fed.map { recipe in Result { try LayerFeed(recipe, on: backend) } }
      return BenchReport(measured, storage: storage, in: directory, prediction: prediction, feed: feed)
    }
    printer.finish()
    if let output {
      try writeFile(Array((report.json.formatted + "\n").utf8), to: output, overwrite: options.has("--overwrite"))
    }
    try printLine(options.has(CommonOptions.json.name) ? report.json.formatted : report.text)
    if case .failure(let error) = report.feed { throw error }
  }

  /// The merge that was described; `nil` when no models were given.
  private static func mergeRecipe(_ options: ParsedOptions) throws(Failure) -> MergeRecipe? {
    let models = options.all("--model")
    guard let anchor = models.first else {
      let describing = ["--samples", "--samples-count", "--tokens", "--typical", "--max-tokens", "--feed"]
      guard let stray = describing.first(where: options.has) else { return nil }
      throw Failure(
        .usage, operation: "predict a merge", subject: stray, expected: "models with --model", got: "none")
    }
    var recipe = try MergeRecipe(options)
    recipe.anchor = absolutePath(anchor)
    recipe.models = models.dropFirst().map(absolutePath)
    return recipe
  }

  /// What a merge would cost.
  private static func mergeCosts(_ recipe: MergeRecipe, _ options: ParsedOptions) throws(Failure) -> MergeCosts {
    let lengths = try (
      count: options.positive("--samples-count"), tokens: options.positive("--tokens")
    )
    guard options.has("--samples") else {
      let texts = [Int](repeating: lengths.tokens ?? 256, count: lengths.count ?? 200)
      return try MergeCosts(recipe, samples: MergeCosts.Samples(lengths: texts))
    }
    guard lengths.count == nil, lengths.tokens == nil else {
      throw Failure(
        .usage, operation: "predict a merge", subject: "--samples",
        expected: "either a file or --samples-count and --tokens", got: "both")
    }
    return try MergeCosts(recipe, samples: nil)
  }
}
