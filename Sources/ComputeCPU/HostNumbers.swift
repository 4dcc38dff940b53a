import CVector
import Compute

extension ArgumentChecks {
  /// Requires every number of an `int32` matrix to lie in a range.
  func numbers(_ matrix: Matrix, _ name: String, in range: Range<Int>) throws(DeviceError) {
    let numbers = UnsafeBufferPointer(start: matrix.integers, count: matrix.count)
    guard let index = numbers.firstIndex(where: { !range.contains(Int($0)) }) else { return }
    throw invalid("\(name) in \(range)", "\(numbers[index]) at row \(index)")
  }
}

extension ElementType {
  /// What the loops call a floating point type.
  var format: ElementFormat {
    switch self {
    case .float64: FormatFloat64
    case .float32: FormatFloat32
    case .float16: FormatFloat16
    case .bfloat16: FormatBFloat16
    case .int32: preconditionFailure("whole numbers have no floating point format")
    }
  }
}
