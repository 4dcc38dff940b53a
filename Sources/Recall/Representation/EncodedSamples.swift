import Diagnostics
import Tokenization

/// A sample as the models get it.
public struct EncodedSample: Sendable {
  /// The sample.
  public let sample: Sample
  /// Its token identifiers, special tokens included, cut to the wanted length.
  public let tokens: [Int32]
}

/// Turns samples into token identifiers.
public struct SampleEncoder: Sendable {
  /// The tokenizer; `nil` where the model directory has none, so that only `input_ids` can be used.
  public let tokenizer: Tokenizer?
  /// The model's shape, for the range of identifiers.
  public let configuration: ModelConfiguration
  /// Where texts are cut, in tokens, special tokens included.
  public let maxTokens: Int
  /// The model's directory, for messages.
  public let model: String

  /// Encodes all samples of a file.
  ///
  /// - Throws: `Failure` that names the line of a sample that is empty, out of the vocabulary, or text without a tokenizer.
  public func encode(_ file: SampleFile) throws(Failure) -> [EncodedSample] {
    var encoded: [EncodedSample] = []
    for sample in file.samples {
      let subject = "\(file.path), line \(sample.line)"
      let tokens = try tokens(of: sample, subject: subject)
      guard !tokens.isEmpty else {
        throw failure(subject, expected: "at least one token", got: "a sample that encodes to none", "Remove the line.")
      }
      if let stranger = tokens.first(where: { $0 < 0 || $0 >= configuration.vocabularySize }) {
        throw failure(
          subject, expected: "token identifiers below \(configuration.vocabularySize)", got: "\(stranger)",
          "The identifiers must come from the tokenizer of \(model).")
      }
      encoded.append(EncodedSample(sample: sample, tokens: tokens))
    }
    return encoded
  }

  private func tokens(of sample: Sample, subject: String) throws(Failure) -> [Int32] {
    switch sample.content {
    case .tokens(let tokens): return Array(tokens.prefix(maxTokens))
    case .text(let text):
      guard let tokenizer else {
        throw Failure(
          .missingInput, operation: "encode samples", subject: "\(model)/tokenizer.json",
          expected: "a tokenizer for the texts of \(subject)", got: "no such file",
          advice: "Save the tokenizer there with transformers, or give samples as \"input_ids\".")
      }
      return try tokenizer.encode(text, addSpecialTokens: true, truncatedTo: maxTokens)
    }
  }

  private func failure(_ subject: String, expected: String, got: String, _ advice: String) -> Failure {
    Failure(.badData, operation: "encode samples", subject: subject, expected: expected, got: got, advice: advice)
  }
}
