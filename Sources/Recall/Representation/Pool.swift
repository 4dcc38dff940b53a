import Compute
import Diagnostics

/// The samples of a merge, encoded for its models, with the options that their header may fix.
struct Pool {
  /// The file they came from.
  let file: SampleFile
  /// The samples as token identifiers.
  let samples: [EncodedSample]
  /// How states become vectors.
  let pooling: Pooling
  /// Where texts were cut, in tokens.
  let maxTokens: Int

  /// Reads and encodes the samples of a recipe.
  ///
  /// - Throws: `Failure` when the file or a line is wrong, or an option contradicts the header of selected samples.
  init(recipe: MergeRecipe, reference: Model) throws(Failure) {
    guard let path = recipe.samples else {
      throw Failure(
        .usage, operation: "read samples", subject: "--samples", expected: "a file of texts", got: "none",
        advice: "Give JSON lines with \"text\" or \"input_ids\", or plain text with one sample a line.")
    }
    file = try SampleFile(path: path)
    if let header = file.selection {
      try Pool.agree("--pooling", recipe.pooling?.rawValue, header.pooling.rawValue, path: path)
      try Pool.agree("--max-tokens", recipe.maxTokens.map(String.init), "\(header.maxTokens)", path: path)
    }
    pooling = file.selection?.pooling ?? recipe.pooling ?? .mean
    maxTokens = file.selection?.maxTokens ?? recipe.maxTokens ?? MergeRecipe.defaultMaxTokens
    let encoder = SampleEncoder(
      tokenizer: reference.tokenizer, configuration: reference.configuration, maxTokens: maxTokens,
      model: reference.path)
    samples = try encoder.encode(file)
  }

  private static func agree(_ option: String, _ given: String?, _ selected: String, path: String) throws(Failure) {
    guard let given, given != selected else { return }
    throw Failure(
      .usage, operation: "read samples", subject: option, expected: "\(selected), as \(path) was selected with",
      got: given, advice: "Leave the option out or select again.")
  }
}
