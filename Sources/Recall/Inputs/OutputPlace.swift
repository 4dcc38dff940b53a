import Checkpoint
import Diagnostics

/// Makes sure that an output would be neither one of its inputs, nor hold one, nor lie in one, by whatever links and
/// mounts they are named.
///
/// - Throws: `Failure` of category `usage` that names the input.
public func checkOutput(_ output: String, isApartFrom inputs: [String]) throws(Failure) {
  let place = Place(output)
  guard let input = inputs.first(where: { !place.isApart(from: Place($0)) }) else { return }
  throw Failure(
    .usage, operation: "write the output", subject: "--output", expected: "a place apart from the inputs",
    got: "\(output), which is, holds or lies in \(input)", advice: "Inputs are never touched; choose another place.")
}
