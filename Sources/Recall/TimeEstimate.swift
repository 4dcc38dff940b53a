import Compute
import Diagnostics

/// How long a merge will take at the least, for a plan: what its bytes cost on disks of usual speeds, and what the products of
/// its forward passes, and of solving for linear maps, cost on the device.
struct TimeEstimate {
  /// The bytes to be read and written.
  var bytes: Int
  /// The floating point operations of all products.
  var operations = 0.0
  /// What the device does in a second, as measured; `nil` where there are no products.
  var operationsPerSecond: Double?

  /// Bytes in a second of a network volume, and of a fast local disk.
  private static let rates = [("a volume of 1 GB/s", 1e9), ("a disk of 5 GB/s", 5e9)]

  /// One line for people.
  var text: String {
    let compute = operationsPerSecond.map { operations / $0 } ?? 0
    let cases = TimeEstimate.rates.map { name, rate in "\(duration(max(Double(bytes) / rate, compute))) on \(name)" }
    let products = operationsPerSecond.map { rate in
      ", of which products \(duration(compute)) (\(fixed(operations / 1e12, digits: 1)) Tflop at "
        + "\(fixed(rate / 1e12, digits: 2)) Tflop/s)"
    }
    return "time: about \(cases.joined(separator: ", "))\(products ?? "")"
  }
}

/// The floating point operations per second of products like those of a forward pass, measured in some hundredths of a
/// second.
///
/// - Parameters:
///   - type: The element type of the weights.
///   - backend: The device.
/// - Returns: The fastest of a few products.
/// - Throws: `DeviceError`.
func measuredProductRate(weights type: ElementType, on backend: any ComputeBackend) throws(DeviceError) -> Double {
  let (tokens, width) = (512, 1024)
  let ones = try backend.upload([Float](repeating: 1, count: width * width), columns: width)
  let weights = try backend.allocate(rows: width, columns: width, type)
  try backend.convert(ones, into: weights)
  let states = try ones.rows(0..<tokens)
  let out = try backend.allocate(rows: tokens, columns: width)
  var fastest = Double.infinity
  // The first product also starts threads or compiles kernels.
  for _ in 0..<6 {
    let time = try backend.time { () throws(DeviceError) in
      try backend.multiply(states, transposed: weights, bias: nil, into: out)
    }
    fastest = min(fastest, time.seconds)
  }
  return 2 * Double(tokens * width * width) / fastest
}

/// Seconds for people.
func duration(_ seconds: Double) -> String {
  if seconds < 1 { return "1 s" }
  if seconds < 120 { return "\(fixed(seconds, digits: 0)) s" }
  return seconds < 7200 ? "\(fixed(seconds / 60, digits: 0)) min" : "\(fixed(seconds / 3600, digits: 1)) h"
}
