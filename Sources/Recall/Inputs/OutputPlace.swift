import Checkpoint
import Diagnostics
import Foundation

/// Makes sure that an output would be neither one of its inputs, nor hold one, nor lie in one.
///
/// - Throws: `Failure` of category `usage` that names the input.
public func checkOutput(_ output: String, isApartFrom inputs: [String]) throws(Failure) {
  func place(_ path: String) -> String { URL(fileURLWithPath: absolutePath(path)).resolvingSymlinksInPath().path }
  // Links lead to nothing that is not there yet, so of a new output those of its directory count.
  let name = URL(fileURLWithPath: absolutePath(output)).lastPathComponent
  let beside = URL(fileURLWithPath: place(parentDirectory(of: output))).appendingPathComponent(name)
  let targets = [place(output), beside.path]
  let overlaps = { (input: String) in
    targets.contains { $0 == input || input.hasPrefix($0 + "/") || $0.hasPrefix(input + "/") }
  }
  guard let input = inputs.first(where: { overlaps(place($0)) }) else { return }
  throw Failure(
    .usage, operation: "write the output", subject: "--output", expected: "a place apart from the inputs",
    got: "\(output), which is, holds or lies in \(input)", advice: "Inputs are never touched; choose another place.")
}
