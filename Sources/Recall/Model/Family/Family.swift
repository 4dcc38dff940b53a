import Diagnostics

/// A family of decoders: how the values that describe one of its models follow from config.json.
///
/// Everything that is particular to a family stands in its file under Families/; `all` lists them.
package struct Family: Sendable {
  /// `model_type` in config.json.
  package let modelType: String
  /// The class that `architectures` in config.json has to name.
  let className: String
  /// Reads what a model is made of.
  let decoder: @Sendable (Facts) throws(Failure) -> Decoder

  /// Describes a family.
  init(
    _ modelType: String, _ className: String, decoder: @escaping @Sendable (Facts) throws(Failure) -> Decoder
  ) {
    (self.modelType, self.className, self.decoder) = (modelType, className, decoder)
  }

  /// The families that Recall runs.
  package static let all: [Family] = [.llama, .mistral, .qwen2, .qwen3]

  /// The family of a `model_type`.
  package static func named(_ modelType: String) -> Family? { all.first { $0.modelType == modelType } }
}

/// What one model is made of.
struct Decoder: Sendable, Equatable {
  /// What stands before and behind the blocks.
  var stem: Stem
  /// The blocks, shallow to deep.
  var blocks: [Block]
  /// The longest text that the model was made for, in tokens.
  var maximumPositions: Int
}
