import Diagnostics

/// A text whose tokens from some place on are scored.
public struct ScoredSequence: Sendable {
  /// Prompt and answer.
  public let tokens: [Int32]
  /// The first token that is scored: the first of the answer.
  public let scoredFrom: Int

  /// Describes a text; `scoredFrom` is 1 or more, because nothing predicts the first token.
  public init(tokens: [Int32], scoredFrom: Int) {
    precondition((1..<tokens.count).contains(scoredFrom), "a scored token with one before it")
    self.tokens = tokens
    self.scoredFrom = scoredFrom
  }

  /// What the model is given: the last token predicts nothing that is scored.
  var input: [Int32] { Array(tokens.dropLast()) }
  /// The tokens that are scored; the one at place i is predicted by the state at place i − 1.
  var targets: ArraySlice<Int32> { tokens[scoredFrom...] }
}

/// Turns questions into the token sequences of one model: the prompt with special tokens, the answer without.
struct TaskEncoder {
  let model: Model

  /// One sequence for each question, or one for each choice of it.
  ///
  /// - Throws: `Failure` that names the line of a question that has nothing to score, does not fit the model's positions or
  ///   leaves its vocabulary, or the model without a tokenizer.
  func encode(_ task: TaskFile) throws(Failure) -> [[ScoredSequence]] {
    try task.items.map { item throws(Failure) in
      let subject = "\(task.path), line \(item.line)"
      switch item.question {
      case .completion(let prompt, let answer): return [try sequence(prompt, answer, subject: subject)]
      case .choice(let prompt, let choices, _):
        return try choices.map { choice throws(Failure) in try sequence(prompt, choice, subject: subject) }
      case .text(let text):
        let tokens = try encode(text, addSpecialTokens: true)
        guard tokens.count >= 2 else { throw failure(subject, "a text of two tokens or more", "\(tokens.count)") }
        return [try checked(ScoredSequence(tokens: tokens, scoredFrom: 1), subject: subject)]
      }
    }
  }

  private func sequence(_ prompt: String, _ answer: String, subject: String) throws(Failure) -> ScoredSequence {
    let start = try encode(prompt, addSpecialTokens: true)
    let end = try encode(answer, addSpecialTokens: false)
    guard !start.isEmpty else { throw failure(subject, "a prompt of one token or more", "none") }
    guard !end.isEmpty else { throw failure(subject, "an answer of one token or more", "none") }
    return try checked(ScoredSequence(tokens: start + end, scoredFrom: start.count), subject: subject)
  }

  private func encode(_ text: String, addSpecialTokens: Bool) throws(Failure) -> [Int32] {
    guard let tokenizer = model.tokenizer else {
      throw Failure(
        .missingInput, operation: "encode the task", subject: "\(model.path)/tokenizer.json", expected: "a tokenizer",
        got: "no such file", advice: "Save the tokenizer there with transformers.")
    }
    return try tokenizer.encode(text, addSpecialTokens: addSpecialTokens)
  }

  private func checked(_ sequence: ScoredSequence, subject: String) throws(Failure) -> ScoredSequence {
    let positions = model.configuration.maximumPositions
    guard sequence.input.count <= positions else {
      throw failure(subject, "at most the \(positions) positions of \(model.path)", "\(sequence.input.count) tokens")
    }
    let vocabulary = model.configuration.vocabularySize
    if let stranger = sequence.tokens.first(where: { $0 < 0 || $0 >= vocabulary }) {
      throw failure(subject, "token identifiers below the \(vocabulary) of \(model.path)", "\(stranger)")
    }
    return sequence
  }

  private func failure(_ subject: String, _ expected: String, _ got: String) -> Failure {
    Failure(.badData, operation: "encode the task", subject: subject, expected: expected, got: got)
  }
}
