import COpenCL
import Compute
import ComputeKernels

/// The OpenCL devices of this machine, of all drivers that the loader `libOpenCL.so.1` knows.
public struct OpenCLProvider: BackendProvider {
  /// The name that `--device` knows it by.
  public let backend = "opencl"
  private let source: Source
  private let cache: ProgramCache
  private let limits: KernelLimits?

  /// Where the entry points come from.
  package enum Source: Sendable {
    /// A library by file name or path.
    case library(String)
    /// A table of functions.
    case table(OpenCLTable)
  }

  /// The devices that the system's loader knows.
  public init() { self.init(.library("libOpenCL.so.1")) }

  /// The devices of another library or table, with another cache and with limits that are smaller than the devices' own.
  package init(_ source: Source, cache: ProgramCache = .standard, limits: KernelLimits? = nil) {
    self.source = source
    self.cache = cache
    self.limits = limits
  }

  /// Every device of every platform.
  public func devices() throws(DeviceError) -> [DeviceDescription] {
    try OpenCLDeviceListing.all(of: library()).map(\.description)
  }

  /// Opens a device by its number in `devices()`.
  ///
  /// - Throws: `DeviceError.Code.unavailable` for a device that is not there or cannot be used, with the reason.
  public func open(_ index: Int) throws(DeviceError) -> sending any ComputeBackend {
    let library = try library()
    let listings = try OpenCLDeviceListing.all(of: library)
    guard listings.indices.contains(index) else { throw unusable(index, "there are \(listings.count)") }
    if let obstacle = listings[index].obstacle { throw unusable(index, obstacle) }
    return try KernelBackend(OpenCLDevice(listings[index], library, cache: cache, limits: limits))
  }

  private func unusable(_ index: Int, _ reason: String) -> DeviceError {
    DeviceError(.unavailable, operation: "open opencl:\(index)", expected: "a device that can be used", got: reason)
  }

  private func library() throws(DeviceError) -> OpenCLLibrary {
    switch source {
    case .table(let table): return table.library
    case .library(let name):
      var isThere = false
      let opened = withUnsafeTemporaryAllocation(of: OpenCLLibrary.self, capacity: 1) { library in
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { reason -> Result<OpenCLLibrary, DeviceError> in
          guard let table = library.baseAddress, let words = reason.baseAddress,
            OpenCLOpen(name, table, &isThere, words, reason.count)
          else {
            // A library that is there and lacks a symbol is something that cannot be used, not nothing.
            return .failure(
              DeviceError(
                isThere ? .driver : .unavailable, operation: "open OpenCL", expected: "the library \(name)",
                got: isThere ? "one that is not OpenCL 1.2" : "none",
                detail: reason.baseAddress.map { String(cString: $0) } ?? ""))
          }
          return .success(table.pointee)
        }
      }
      return try opened.get()
    }
  }
}

/// A table of entry points; its functions may be called from any thread.
package struct OpenCLTable: @unchecked Sendable {
  package let library: OpenCLLibrary

  /// Wraps a table.
  package init(_ library: OpenCLLibrary) { self.library = library }
}
