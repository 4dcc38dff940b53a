import JSON
import Report

extension MergeReport {
  /// What people look at.
  ///
  /// - Parameter isMerge: Whether the models were merged, or only compared.
  /// - Returns: The page, which is the same whether a merge ran in one go or in stages.
  public func page(isMerge: Bool) -> MergePage {
    let anchor = models.firstIndex(where: \.isAnchor)
    return MergePage(
      isMerge: isMerge,
      models: models.map { model in
        .init(path: model.path, isAnchor: model.isAnchor, note: note(on: model))
      },
      layers: layers.map { layer in
        .init(
          name: layer.layer.name, similarity: layer.similarity.values, scores: layer.similarity.scores(anchor: anchor),
          weights: layer.weights, unrelated: layer.unrelated)
      },
      options: (recipeDocument.object?.members ?? []).filter { member in
        !member.value.isNull && !MergeReport.keysOffPage.contains(member.key)
      }.map { ($0.key, $0.value.string ?? $0.value.compact) },
      samples: typicalSamples.map { sample in
        .init(
          index: sample["index"]?.integer ?? 0, clusterSize: sample["clusterSize"]?.integer,
          text: sample["text"]?.string ?? (sample["input_ids"].map { "tokens \($0.compact)" } ?? ""))
      },
      history: lineage.merges.map { merge in
        .init(
          path: merge.path,
          models: zip(merge.models, merge.meanWeights).map { ($0.path, $0.isAnchor, $1) },
          samples: merge.typicalSamples.count)
      },
      warnings: warnings)
  }

  private func note(on model: MergedModel) -> String {
    let isMerged = lineage.merges.contains { model.isMadeOf($0.digest) }
    switch (model.base?.path, isMerged) {
    case (let base?, false): return "an adapter of \(base)"
    case (let base?, true): return "an adapter of \(base), the result of an earlier merge"
    case (nil, true): return "the result of an earlier merge"
    case (nil, false): return ""
    }
  }

  /// The options that name files, or the same layer in two ways: a merge in stages has others than a merge in one go.
  private static let keysOffPage =
    [RecipeField.anchor, .models, .base, .typicalFrom, .samples, .clusterLayer].map(\.key)

  /// What speaks against merging these models, one paragraph each; empty where nothing does.
  public var warnings: [String] {
    let distant = DistantModels.all(in: layers)
    let told = distant.prefix(MergeReport.mostWarnings).map { distant in
      let names = distant.pair.map { "[\($0 + 1)] \(models[$0].path)" }.joined(separator: " and ")
      return """
        \(names) are about as similar as unrelated models in \(distant.layers.count) of \(distant.layerCount) layers \
        (\(distant.layers.ranges)): merging them is likely to hurt.
        """
    }
    let rest = distant.count - told.count
    return told + (rest > 0 ? ["\(rest) more pairs of these models are as far apart."] : [])
  }

  /// How many pairs are told apart; one stranger among sixteen models makes fifteen.
  private static let mostWarnings = 5
}
