import Checkpoint
import Diagnostics

/// The lines of a UTF-8 file that are not blank, with their numbers from 1; a line ends in LF or CRLF and nothing else.
///
/// - Throws: `Failure` that names the file when it cannot be read or holds other bytes than UTF-8.
func textLines(of path: String, operation: String) throws(Failure) -> [(number: Int, text: Substring)] {
  let bytes = try readFile(path)
  // Some editors put a mark before the first character; it belongs to no line.
  let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
  let content = bytes.starts(with: mark) ? bytes.dropFirst(mark.count) : bytes[...]
  guard let text = String(validating: content, as: UTF8.self) else {
    throw Failure(
      .badData, operation: operation, subject: path, expected: "UTF-8 text", got: "other bytes",
      advice: "Convert the file to UTF-8.")
  }
  // Swift counts CR LF as one character, so lines are cut by code units.
  return text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated().compactMap {
    number, codeUnits in
    var line = Substring(codeUnits)
    if codeUnits.last == UInt8(ascii: "\r") { line = Substring(codeUnits.dropLast()) }
    return line.allSatisfy(\.isWhitespace) ? nil : (number + 1, line)
  }
}
