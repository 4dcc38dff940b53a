import CCUDA
import Compute

/// Turns the driver's status numbers into errors of one operation.
struct CUDAStatusCheck {
  let driver: CUDADriver
  let operation: String

  /// After these the context answers every call with the same error: a fault on the device, or the device itself gone.
  private static let lost: Set<Int32> = [46, 214, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 999]

  /// Requires success.
  func callAsFunction(_ status: CUDAStatus, _ expected: String) throws(DeviceError) {
    guard status != 0 else { return }
    throw error(status, expected)
  }

  /// The error for a status.
  func error(_ status: CUDAStatus, _ expected: String) -> DeviceError {
    let code: DeviceError.Code =
      switch status {
      case CUDAStatus(CUDAOutOfMemory.rawValue): .outOfMemory
      case _ where Self.lost.contains(status): .deviceLost
      default: .driver
      }
    return DeviceError(
      code, operation: operation, expected: expected, got: text(driver.errorName, status) ?? "a driver error",
      driverStatus: Int(status), detail: text(driver.errorText, status) ?? "")
  }

  /// The error for a driver that reports success and gives nothing.
  func nothing(_ expected: String) -> DeviceError {
    DeviceError(.driver, operation: operation, expected: expected, got: "nothing")
  }

  private func text(
    _ lookUp: (CUDAStatus, UnsafeMutablePointer<UnsafePointer<CChar>?>) -> CUDAStatus, _ status: CUDAStatus
  ) -> String? {
    var text: UnsafePointer<CChar>?
    guard lookUp(status, &text) == 0 else { return nil }
    return text.map { String(cString: $0) }
  }
}
