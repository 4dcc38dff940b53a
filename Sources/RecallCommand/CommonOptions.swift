import Checkpoint
import Diagnostics
import Foundation
import Recall

/// Options that say how work is done and not what comes out of it.
enum CommonOptions {
  static let output = CommandOption(name: "--output", placeholder: "PATH", help: "what to create").grouped(.output)
  static let overwrite = CommandOption(
    name: "--overwrite", placeholder: nil,
    help: "replace the output if it exists, and drop a leftover that --resume does not take up"
  ).grouped(.output)
  static let resume = CommandOption(
    name: "--resume", placeholder: nil,
    help: "go on from what a stopped run of the same command finished; where there is none, start afresh"
  ).grouped(.output)
  static let memory = CommandOption(
    name: "--memory", placeholder: "BYTES", help: "the most memory to use, such as 8G; checked before the start")
  static let progress = CommandOption(
    name: "--progress", placeholder: "auto|plain|json|none", help: "how to show progress on stderr (default: auto)")

  static let json = CommandOption(name: "--json", placeholder: nil, help: "print JSON instead of a table")

  static let execution = [Device.option, memory, progress]

  /// The file that a command is to write, checked before the work that fills it.
  ///
  /// - Throws: `Failure` when it exists and may not be replaced, has no directory to be in, or is, holds or lies in an input.
  static func outputFile(_ options: ParsedOptions, inputs: [String]) throws(Failure) -> String {
    let output = absolutePath(try options.required("--output"))
    try checkOutput(output, isApartFrom: inputs)
    // The attributes are those of a link itself: a device or a link in /dev must not become a file.
    let kind = (try? FileManager.default.attributesOfItem(atPath: output))?[.type] as? FileAttributeType
    let isFile = kind == .typeRegular
    guard kind == nil || options.has("--overwrite") && isFile else {
      throw Failure(
        .cannotCreate, operation: "write the output", subject: output, expected: "nothing at this path",
        got: isFile ? "a file" : "a directory, link or device",
        advice: isFile ? "Choose another output or replace the file with --overwrite." : "Choose another output.")
    }
    let parent = parentDirectory(of: output)
    guard FileManager.default.isWritableFile(atPath: parent) else {
      throw Failure(
        .cannotCreate, operation: "write the output", subject: output, expected: "a directory that may be written",
        got: parent, advice: "Create it first.")
    }
    return output
  }

  /// The memory budget in bytes, if one was given.
  static func memory(_ options: ParsedOptions) throws(Failure) -> Int? { try byteCount("--memory", options) }

  /// A number of bytes, if it was given: a whole number, or one with K, M, G or T for powers of 1024.
  static func byteCount(_ name: String, _ options: ParsedOptions) throws(Failure) -> Int? {
    try options.parsed(name, "bytes, such as 8589934592, 8192M or 8G") { text in
      let powers: [Character: Int] = ["K": 10, "M": 20, "G": 30, "T": 40]
      guard let last = text.last else { return nil }
      let power = powers[Character(last.uppercased())]
      guard let number = Int(power == nil ? text : String(text.dropLast())), number > 0 else { return nil }
      let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << (power ?? 0))
      return overflow ? nil : bytes
    }
  }
}
