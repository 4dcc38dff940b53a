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

/// A number in powers of ten with two digits, such as `3.1e-07`.
public func scientific(_ value: Double) -> String { String(format: "%.1e", value) }

/// A number with three significant digits, such as `12.3` or `0.0456`; whole numbers from 100 on.
public func significant(_ value: Double) -> String {
  guard value.isFinite, value != 0 else { return "\(value)" }
  let digits = 2 - Int(log10(value.magnitude).rounded(.down))
  return fixed(value, digits: max(0, digits))
}
