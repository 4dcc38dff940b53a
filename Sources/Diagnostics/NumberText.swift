import Foundation

/// A number with a fixed count of digits after the point.
public func fixed(_ value: Double, digits: Int) -> String { String(format: "%.\(digits)f", value) }

/// A number of bytes for people, in powers of 1000.
public func byteText(_ bytes: Int) -> String {
  let units = ["B", "kB", "MB", "GB", "TB"]
  var value = Double(bytes)
  var unit = 0
  while value >= 999.5, unit + 1 < units.count {
    value /= 1000
    unit += 1
  }
  return unit == 0 ? "\(bytes) B" : "\(fixed(value, digits: 2)) \(units[unit])"
}
