import Diagnostics

/// How far a merge has to understand a model: a `Model` can be run, of a `ModelDirectory` only the tensors are known.
protocol MergeableModel: AnyObject, Sendable {
  /// The tensors.
  var directory: ModelDirectory { get }

  /// Opens a model, or an adapter with its base.
  ///
  /// - Throws: `Failure` that names the file, key or tensor at fault.
  static func open(_ path: String, base: String?) throws(Failure) -> Self

  /// Makes sure that the model can be merged with another.
  ///
  /// - Throws: `Failure` of category `badData` that names the model and the difference.
  func check(fits reference: Self) throws(Failure)
}

extension MergeableModel {
  /// The failure for a model that differs.
  fileprivate func differs(from reference: Self, in what: String, by difference: String, _ advice: String) -> Failure {
    Failure(
      .badData, operation: "merge", subject: directory.path,
      expected: "the same \(what) as \(reference.directory.path)", got: difference, advice: advice)
  }
}

extension Model: MergeableModel {
  static func open(_ path: String, base: String?) throws(Failure) -> Model { try Model(directory: path, base: base) }

  /// Shape, arithmetic and tokenizer have to agree.
  func check(fits reference: Model) throws(Failure) {
    if let difference = configuration.difference(from: reference.configuration) {
      throw differs(
        from: reference, in: "architecture", by: difference,
        "Only fine-tunes of one base model can be merged; shapes and arithmetic must agree.")
    }
    switch (tokenizer, reference.tokenizer) {
    case (_?, _?):
      guard let difference = try directory.tokenizerDifference(from: reference.directory) else { return }
      throw differs(
        from: reference, in: "tokenizer", by: difference,
        "Rows of the embeddings would mean different tokens; use the base's tokenizer.")
    case (nil, nil): return
    case (nil, _?):
      throw differs(
        from: reference, in: "tokenizer", by: "no tokenizer.json", "Copy the tokenizer.json it was trained with.")
    case (_?, nil):
      throw differs(
        from: reference, in: "tokenizer", by: "a tokenizer.json there only",
        "Copy it to \(reference.path) if it is the same.")
    }
  }
}

extension ModelDirectory: MergeableModel {
  var directory: ModelDirectory { self }

  static func open(_ path: String, base: String?) throws(Failure) -> ModelDirectory {
    try ModelDirectory(path, base: base)
  }

  /// Rows of embeddings mean tokens, so tokenizers have to agree wherever both models have one.
  func check(fits reference: ModelDirectory) throws(Failure) {
    guard let difference = try tokenizerDifference(from: reference) else { return }
    throw differs(
      from: reference, in: "tokenizer", by: difference,
      "Rows of the embeddings would mean different tokens; use the base's tokenizer.")
  }
}
