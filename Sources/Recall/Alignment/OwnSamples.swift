/// The typical samples of one model, that its maps are fitted to.
struct OwnSamples {
  /// The model's number.
  let model: Int
  /// Its absolute path.
  let path: String
  /// The samples, all typical.
  let pool: Pool
}

extension [OwnSamples] {
  /// The token identifiers of every model's samples, as its maps are fitted to them.
  ///
  /// - Parameters:
  ///   - plan: Which models have some.
  ///   - shared: The typical samples that all models are compared on.
  ///   - anchor: The anchor among the models.
  /// - Returns: As many lists of texts as models.
  func samples(of plan: AlignmentPlan, shared: TypicalSamples, anchor: Int?) -> [[[Int32]]] {
    guard plan.rule.share > 0 else { return plan.pools.map { _ in [] } }
    return plan.pools.indices.map { model in
      if let own = first(where: { $0.model == model }) { return own.pool.samples.map(\.tokens) }
      return plan.anchorTakesSharedSamples && model == anchor ? shared.samples.map(\.tokens) : []
    }
  }
}
