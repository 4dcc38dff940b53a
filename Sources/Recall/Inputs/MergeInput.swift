import Diagnostics

/// What a model is in a merge.
enum MergeRole: Sendable {
  /// Merged; the others are compared with it.
  case anchor
  /// Merged.
  case expert
  /// Not merged, but read like those that are: what the experts have learned is told by their distance from it.
  case base
  /// Not read for the merge: gives shard layout, element types, configuration and tokenizer, and selects samples.
  case companion
}

/// A model that a merge opens, and all that the merge knows of it.
struct MergeInput<Opened: MergeableModel>: Sendable {
  /// The model.
  let model: Opened
  /// What it is in the merge.
  let role: MergeRole
  /// Its place in the canonical order of all inputs, from 0.
  let place: Int
  /// Finds its digest while it is read.
  let digester: ModelDigester
  /// How it came about, where it is merged and the result of an earlier merge.
  let history: ModelHistory?
  /// The samples that are its own; `nil` for a model without any, and where they do not matter.
  var samples: OwnSamples?

  /// Takes in a model that was opened.
  ///
  /// - Parameters:
  ///   - model: The model.
  ///   - role: What it is in the merge.
  ///   - place: Its place in the canonical order.
  ///   - history: How it came about, where that matters.
  ///   - isShared: Whether other processes merge it into the same output; then the digests of its tensors are found
  ///     whatever is known, because those processes ask for them.
  init(_ model: Opened, role: MergeRole = .expert, place: Int = 0, history: ModelHistory? = nil, isShared: Bool = false)
  {
    self.model = model
    self.role = role
    self.place = place
    self.history = history
    digester = ModelDigester(model.directory, usesCache: !isShared)
  }

  /// Opens a model that stands alone, with its history.
  ///
  /// - Throws: `Failure` that names the file, key or tensor at fault.
  init(alone path: String, base: String?) throws(Failure) {
    let model = try Opened.open(path, base: base)
    self.init(model, history: try ModelHistory(of: model.directory))
  }

  /// The absolute path.
  var path: String { model.directory.path }

  /// Whether the model is merged.
  var isMerged: Bool { role == .anchor || role == .expert }

  /// The model as a report names it, with the digest of what was read.
  ///
  /// - Throws: `Failure` when reading what is missing fails, or when the model is not what its recall.json says.
  func merged() throws(Failure) -> MergeReport.MergedModel {
    try history?.check(digester.checkpointDigest())
    return try MergeReport.MergedModel(model.directory, isAnchor: role == .anchor, digester)
  }
}

extension MergeInput<Model> {
  /// The model for a walk over its layers.
  var walked: WalkedModel { WalkedModel(model: model, digester: digester) }
}
