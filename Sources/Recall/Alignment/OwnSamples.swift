import Diagnostics
import Foundation

/// The samples that are one expert's own: its maps are fitted to those of them that are typical.
enum OwnSamples: Sendable {
  /// A pool that the expert brings.
  case pool(Pool)
  /// Those that all models are compared on: the anchor's, where it brings none.
  case shared

  /// The pool that the expert brings; `nil` where its samples are the shared ones.
  var pool: Pool? { if case .pool(let pool) = self { pool } else { nil } }

  /// The lengths, in tokens, of the longest samples that may be typical.
  func typicalLengths(shared: Pool) -> [Int] { (pool ?? shared).typicalLengths }
}

extension MergeInputs<Model> {
  /// Opens the experts' own samples: the file that is given, else what the merge that made the expert kept.
  ///
  /// - Parameter recipe: The files, and how samples are encoded.
  /// - Throws: `Failure` for samples of a model that is not merged, and for a file that is wrong.
  mutating func openSamples(_ recipe: MergeRecipe) throws(Failure) {
    let paths = experts.map(\.path)
    if let stranger = recipe.samplesOfModels.keys.sorted().first(where: { !paths.contains($0) }) {
      throw Failure(
        .usage, operation: "read samples", subject: "--samples-for", expected: "a model that is merged",
        got: stranger, advice: "Write --samples-for MODEL=FILE with MODEL as in --model or --anchor.")
    }
    let models = experts.map(\.model)
    for expert in experts {
      if let file = try expert.sampleFile(recipe) {
        let pool = try Pool(
          file, recipe: recipe, reference: expert.model, models: models, isTypical: file.isTypical)
        give(.pool(pool), to: expert)
      } else if expert.role == .anchor, recipe.samples != nil {
        give(.shared, to: expert)
      }
    }
  }

  /// The pools that experts bring.
  var pools: [Pool] { experts.compactMap { $0.samples?.pool } }

  /// The experts that select the typical samples of a pool of their own, each with its pool.
  var selecting: [(expert: MergeInput<Model>, pool: Pool)] {
    experts.compactMap { expert in
      expert.samples?.pool.flatMap { $0.isTypical ? nil : (expert, $0) }
    }
  }

  /// The lengths in tokens of the samples that maps may be fitted to, expert by expert.
  ///
  /// - Parameter shared: The pool that all models are compared on.
  /// - Returns: As many lists as experts.
  func sampleLengths(shared: Pool) -> [[Int]] { experts.map { $0.samples?.typicalLengths(shared: shared) ?? [] } }

  /// The samples that maps are fitted to, expert by expert, once those of every pool are typical.
  ///
  /// - Parameter shared: The typical samples that all models are compared on.
  /// - Returns: The samples, in groups.
  func groups(shared: TypicalSamples) -> [SampleGroup] {
    experts.flatMap { expert -> [SampleGroup] in
      switch expert.samples {
      case nil: []
      case .shared: [SampleGroup(model: expert.place, distinct: shared.samples.map(\.tokens))]
      case .pool(let pool):
        // By the model that first brought them: the tasks that were merged into this one, or it alone.
        SampleGroup.origins(of: pool.samples.map(\.sample)).map { origin in
          SampleGroup(
            model: expert.place, distinct: pool.samples.filter { $0.sample.origin == origin }.map(\.tokens))
        }
      }
    }
  }
}

extension MergeInput<Model> {
  fileprivate func sampleFile(_ recipe: MergeRecipe) throws(Failure) -> SampleFile? {
    if let path = recipe.samplesOfModels[path] { return try SampleFile(path: path) }
    // What an adapter was trained on is not what its base was merged on.
    let report = "\(path)/\(MergeReport.fileName)"
    guard model.directory.adapter == nil, FileManager.default.fileExists(atPath: report) else { return nil }
    return try SampleFile(ofMergeAt: report)
  }
}

/// Samples that count alike: those of one model, or of one of the models that were merged into it.
struct SampleGroup {
  /// The number of the model that learned from such texts.
  let model: Int
  /// The token identifiers of every text.
  let texts: [[Int32]]

  /// Collects texts, each once: relatives that are merged may bring the same, and no text is to be asked about that a rehearsal
  /// was fitted to.
  init(model: Int, distinct texts: [[Int32]]) {
    self.model = model
    var seen: Set<[Int32]> = []
    self.texts = texts.filter { seen.insert($0).inserted }
  }

  /// The models that first brought samples, in the order of the samples; `nil` for samples that no merge has kept.
  static func origins(of samples: [Sample]) -> [String?] {
    var origins: [String?] = []
    for sample in samples where !origins.contains(sample.origin) { origins.append(sample.origin) }
    return origins
  }
}
