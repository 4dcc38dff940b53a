extension Tokenizer {
  /// Says in words how another tokenizer differs in what decides ids; nil when every text has the same ids in both.
  ///
  /// The vocabulary, merges and settings of the model, the added tokens, normalizer, pre-tokenizer and post-processor
  /// count. Settings for padding and truncation, and the decoder, do not.
  ///
  /// - Complexity: Linear in the vocabulary and the merges.
  public func difference(from other: Tokenizer) -> String? {
    vocabularyDifference(from: other)
      ?? mergeDifference(from: other)
      ?? addedTokenDifference(from: other)
      ?? componentDifference(from: other)
  }

  private func vocabularyDifference(from other: Tokenizer) -> String? {
    let (ours, theirs) = (model.vocabulary, other.model.vocabulary)
    for entry in 0..<ours.count {
      let token = Array(ours.bytes(ofEntry: entry))
      let identifier = ours.identifier(ofEntry: entry)
      let spelling = String(decoding: token, as: UTF8.self)
      guard let otherIdentifier = theirs.identifier(of: token, in: 0..<token.count) else {
        return "the token \"\(spelling)\" (id \(identifier)) is missing from the other vocabulary"
      }
      guard otherIdentifier == identifier else {
        return "the token \"\(spelling)\" has the id \(identifier) here and \(otherIdentifier) there"
      }
    }
    guard ours.count == theirs.count else {
      return "the vocabulary has \(ours.count) tokens here and \(theirs.count) there"
    }
    return nil
  }

  /// Compares merges by the ids of their sides, which mean the same tokens once the vocabularies are equal.
  private func mergeDifference(from other: Tokenizer) -> String? {
    let (ours, theirs) = (model.mergeList, other.model.mergeList)
    guard ours.count == theirs.count else { return "there are \(ours.count) merges here and \(theirs.count) there" }
    guard let rank = zip(ours, theirs).enumerated().first(where: { $0.element.0 != $0.element.1 })?.offset else {
      return nil
    }
    return "merge \(rank + 1) is \(spelled(ours[rank])) here and \(spelled(theirs[rank])) there"
  }

  private func spelled(_ merge: MergePair) -> String {
    "\"\(token(merge.left) ?? "")\" + \"\(token(merge.right) ?? "")\""
  }

  private func addedTokenDifference(from other: Tokenizer) -> String? {
    let (ours, theirs) = (addedTokens.tokens, other.addedTokens.tokens)
    for (our, their) in zip(ours, theirs) where our != their {
      guard our.identifier == their.identifier, our.content.utf8.elementsEqual(their.content.utf8) else {
        return
          "the added token \(our.identifier) \"\(our.content)\" stands against \(their.identifier) \"\(their.content)\""
      }
      return "the added token \"\(our.content)\" is looked for in another way"
    }
    guard ours.count == theirs.count else {
      return "there are \(ours.count) added tokens here and \(theirs.count) there"
    }
    return nil
  }

  private func componentDifference(from other: Tokenizer) -> String? {
    if model.options != other.model.options { return "the settings of the model differ" }
    if normalizer != other.normalizer { return "the normalizers differ" }
    if preTokenizer != other.preTokenizer { return "the pre-tokenizers differ" }
    if postProcessor != other.postProcessor { return "the post-processors differ" }
    return nil
  }
}

extension AddedToken: Equatable {
  /// Whether two tokens are found in the same places and give the same id.
  static func == (left: AddedToken, right: AddedToken) -> Bool {
    left.content.utf8.elementsEqual(right.content.utf8) && left.identifier == right.identifier
      && left.isSingleWord == right.isSingleWord && left.stripsLeft == right.stripsLeft
      && left.stripsRight == right.stripsRight && left.isNormalized == right.isNormalized
  }
}
