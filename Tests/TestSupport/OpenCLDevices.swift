import Compute
import ComputeKernels
import ComputeOpenCL
import Foundation

/// The OpenCL devices that tests run on.
public enum OpenCLDevices {
  /// The devices' numbers.
  public static let numbers: Range<Int> = {
    switch survey {
    case .success(let count): return 0..<count
    case .failure: return 0..<0
    }
  }()

  /// Whether a machine without a device fails the tests and does not just skip them: `RECALL_REQUIRE_OPENCL=1`.
  public static let areRequired = ProcessInfo.processInfo.environment["RECALL_REQUIRE_OPENCL"] == "1"

  /// Why there is none; `nil` when there are some.
  public static var absence: DeviceError? {
    if case .failure(let error) = survey { return error }
    return nil
  }

  /// Opens a device, with a cache of programs in a directory or without.
  ///
  /// - Throws: `DeviceError` with the reason.
  package static func open(
    _ number: Int, cache directory: String? = nil, limits: KernelLimits? = nil
  ) throws(DeviceError) -> any ComputeBackend {
    try OpenCLProvider(
      .library("libOpenCL.so.1"), cache: ProgramCache(directory: directory), limits: limits
    ).open(number)
  }

  private static let survey = Result { () throws(DeviceError) in
    try OpenCLProvider().devices().count
  }
}
