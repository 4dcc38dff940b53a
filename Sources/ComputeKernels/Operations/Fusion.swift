import Compute

extension KernelBackend {
  /// The elements that an item takes at a time.
  private static var eight: Int { 8 }
  /// The alignment of memory in bytes that this needs.
  private static var alignment: Int { 16 }

  /// `out = Σ weights[i] · inputs[i]` in float32, rounded once; the non-finite numbers of inputs and result are counted
  /// where that is wanted.
  ///
  /// A `float64` input is rounded to `float32` first, and counts as infinite when that makes it so. A result that is not a
  /// number is the canonical quiet NaN. One pass: each input is read once, the output written once.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and other than 1 to 16 inputs.
  package func weightedSum(
    _ inputs: [Matrix], weights: [Float], into out: Matrix, nonFinite: Matrix?
  ) throws(DeviceError) {
    try ArgumentChecks.weightedSum(inputs, weights: weights, into: out, nonFinite: nonFinite)
    let types = Set((inputs + [out]).map(\.elementType))
    let mixed = 4
    let format = types.count == 1 ? out.elementType.kernelFormat : mixed
    var arguments: [KernelArgument] = [
      .matrix(out), .format(of: out), .matrix(nonFinite ?? out), .flag(nonFinite != nil),
      .count(inEights(out.count, of: inputs + [out])), .count(out.count),
    ]
    for (input, weight) in zip(inputs, weights) {
      arguments += [.matrix(input), .format(of: input), .float(weight)]
    }
    try launch(
      "weightedSum", of: "weighted-sum", ["INPUTS": inputs.count, "FORMAT": format], operation: "weightedSum",
      groups: sizes.groups(forElements: LaunchSizes.parts(of: out.count, Self.eight)), arguments)
  }

  /// Converts element by element, rounded once to nearest, ties to even; equal types are copied bit by bit.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes that differ and types that are not floating point.
  package func convert(_ source: Matrix, into destination: Matrix) throws(DeviceError) {
    try ArgumentChecks.convert(source, into: destination)
    if source.elementType == destination.elementType { return try copy(source, into: destination) }
    try launch(
      "convert", of: "convert", operation: "convert",
      groups: sizes.groups(forElements: LaunchSizes.parts(of: source.count, Self.eight)),
      [
        .matrix(source), .format(of: source), .matrix(destination), .format(of: destination),
        .count(inEights(source.count, of: [source, destination])), .count(source.count),
      ])
  }

  /// The first elements that are taken eight at a time: a multiple of eight, or none of memory that is not aligned.
  private func inEights(_ count: Int, of matrices: [Matrix]) -> Int {
    let isAligned = matrices.allSatisfy { $0.byteOffset % Self.alignment == 0 }
    return isAligned ? count / Self.eight * Self.eight : 0
  }
}
