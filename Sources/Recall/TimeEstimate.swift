import Diagnostics

/// How long a merge will take at the least, for a plan: what its bytes cost on disks of usual speeds, and what its forward
/// passes cost on the device.
struct TimeEstimate {
  /// The bytes to be read and written.
  var bytes: Int
  /// The floating point operations of all forward passes.
  var operations = 0.0
  /// What the device does in a second, as measured; `nil` where there are no forward passes.
  var operationsPerSecond: Double?

  /// Bytes in a second of a network volume, and of a fast local disk.
  private static let rates = [("a volume of 1 GB/s", 1e9), ("a disk of 5 GB/s", 5e9)]

  /// One line for people.
  var text: String {
    let compute = operationsPerSecond.map { operations / $0 } ?? 0
    let cases = TimeEstimate.rates.map { name, rate in "\(duration(max(Double(bytes) / rate, compute))) on \(name)" }
    let passes = operationsPerSecond.map { rate in
      ", of which forward passes \(duration(compute)) (\(fixed(operations / 1e12, digits: 1)) Tflop at "
        + "\(fixed(rate / 1e12, digits: 2)) Tflop/s)"
    }
    return "time: about \(cases.joined(separator: ", "))\(passes ?? "")"
  }
}

/// Seconds for people.
func duration(_ seconds: Double) -> String {
  if seconds < 1 { return "1 s" }
  if seconds < 120 { return "\(fixed(seconds, digits: 0)) s" }
  return seconds < 7200 ? "\(fixed(seconds / 60, digits: 0)) min" : "\(fixed(seconds / 3600, digits: 1)) h"
}
