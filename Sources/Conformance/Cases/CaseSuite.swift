extension OperationCase {
  /// Every case, small enough to be compared with the reference.
  public static var all: [OperationCase] {
    hiddenStateCases + multiplyCases + attentionCases + attentionPatternCases + gradientCases + similarityCases
      + clusteringCases + tokenScoreCases + linearSystemCases + changeCases + fusionCases
  }
}
