import Compute
import ComputeCPU
import Diagnostics

/// Options that say how work is done and not what comes out of it.
enum CommonOptions {
  static let output = CommandOption(name: "--output", placeholder: "PATH", help: "what to create")
  static let overwrite = CommandOption(name: "--overwrite", placeholder: nil, help: "replace the output if it exists")
  static let device = CommandOption(name: "--device", placeholder: "auto|cpu", help: "where to compute (default: auto)")
  static let memory = CommandOption(
    name: "--memory", placeholder: "BYTES", help: "the most memory to use, such as 8G; checked before the start")
  static let progress = CommandOption(
    name: "--progress", placeholder: "auto|plain|json|none", help: "how to show progress on stderr (default: auto)")

  static let execution = [device, memory, progress]

  /// Opens the device that was asked for.
  ///
  /// - Throws: `Failure` for a device that this build does not have, `DeviceError` for one that cannot be opened.
  static func openDevice(_ options: ParsedOptions) throws -> DeviceQueue {
    let name = options.value("--device") ?? "auto"
    guard ["auto", "cpu"].contains(name) else {
      throw Failure(
        .usage, operation: "open the device", subject: "--device", expected: "auto or cpu", got: "\"\(name)\"")
    }
    return try DeviceQueue { () throws(DeviceError) in try CPUBackend() }
  }

  /// The memory budget in bytes, if one was given: a whole number, or one with K, M, G or T for powers of 1024.
  static func memory(_ options: ParsedOptions) throws(Failure) -> Int? {
    try options.parsed("--memory", "bytes, such as 8589934592, 8192M or 8G") { text in
      let powers: [Character: Int] = ["K": 10, "M": 20, "G": 30, "T": 40]
      guard let last = text.last else { return nil }
      let power = powers[Character(last.uppercased())]
      guard let number = Int(power == nil ? text : String(text.dropLast())), number > 0 else { return nil }
      let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << (power ?? 0))
      return overflow ? nil : bytes
    }
  }
}
