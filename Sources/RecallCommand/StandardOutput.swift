import Diagnostics
import Foundation

/// Prints a line to stdout.
///
/// `print` would lose what does not fit a full disk without a word.
///
/// - Throws: `Failure` of category `inputOutput` when the line cannot be written.
func printLine(_ text: String) throws(Failure) {
  do {
    try FileHandle.standardOutput.write(contentsOf: Data((text + "\n").utf8))
  } catch {
    throw Failure(
      .inputOutput, operation: "print the result", subject: "stdout", expected: "room and an open stream",
      got: error.localizedDescription)
  }
}
