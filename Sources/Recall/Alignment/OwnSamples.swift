/// The typical samples of one model, that its maps are fitted to.
struct OwnSamples {
  /// The model's number.
  let model: Int
  /// Its absolute path.
  let path: String
  /// The samples, all typical.
  let pool: Pool

  /// The samples by the model that first brought them: the tasks that were merged into this one, or it alone.
  var groups: [SampleGroup] {
    SampleGroup.origins(of: pool.samples.map(\.sample)).map { origin in
      SampleGroup(model: model, distinct: pool.samples.filter { $0.sample.origin == origin }.map(\.tokens))
    }
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

extension [OwnSamples] {
  /// The samples that maps are fitted to, in the order of the models.
  ///
  /// - Parameters:
  ///   - plan: Which models have some.
  ///   - shared: The typical samples that all models are compared on.
  ///   - anchor: The anchor among the models.
  /// - Returns: The samples, in groups.
  func groups(of plan: AlignmentPlan, shared: TypicalSamples, anchor: Int?) -> [SampleGroup] {
    guard plan.rule.share > 0 else { return [] }
    return plan.pools.indices.flatMap { model -> [SampleGroup] in
      if let own = first(where: { $0.model == model }) { return own.groups }
      guard plan.anchorTakesSharedSamples, model == anchor else { return [] }
      return [SampleGroup(model: model, distinct: shared.samples.map(\.tokens))]
    }
  }
}
