import COpenCL
import Compute

/// Turns what calls return into errors that name the operation.
struct OpenCLStatusCheck {
  /// The operation, as it is named in errors.
  let operation: String

  /// Requires that a call succeeded.
  func callAsFunction(_ status: OpenCLStatus, _ expected: String) throws(DeviceError) {
    if status != OpenCLSuccess { throw error(status, expected) }
  }

  /// Requires that a call succeeded and made something.
  func made<Handle>(_ handle: Handle?, _ status: OpenCLStatus, _ expected: String) throws(DeviceError) -> Handle {
    guard let handle, status == OpenCLSuccess else { throw error(status, expected) }
    return handle
  }

  /// The error for a call that failed.
  func error(_ status: OpenCLStatus, _ expected: String) -> DeviceError {
    DeviceError(
      Self.code(status), operation: operation, expected: expected, got: Self.meaning(status),
      driverStatus: Int(status))
  }

  private static func code(_ status: OpenCLStatus) -> DeviceError.Code {
    switch status {
    case OpenCLDeviceNotAvailable, OpenCLInvalidCommandQueue: .deviceLost
    case OpenCLMemoryAllocationFailure, OpenCLOutOfHostMemory, OpenCLInvalidBufferSize: .outOfMemory
    default: .driver
    }
  }

  private static func meaning(_ status: OpenCLStatus) -> String {
    switch status {
    case OpenCLDeviceNotFound: "no device"
    case OpenCLDeviceNotAvailable: "the device is not available"
    case OpenCLMemoryAllocationFailure: "the device has no memory for it"
    case OpenCLOutOfResources: "the device is out of resources"
    case OpenCLOutOfHostMemory: "the host has no memory for it"
    case OpenCLInvalidCommandQueue: "the device no longer takes commands"
    case OpenCLInvalidBufferSize: "more than the device gives at once"
    default: "an error of the driver"
    }
  }
}
