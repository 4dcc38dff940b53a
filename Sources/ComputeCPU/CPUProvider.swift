import Compute

/// The processor of this machine, which is always there.
public struct CPUProvider: BackendProvider {
  /// The name that `--device` knows it by.
  public let backend = "cpu"

  /// The processor.
  public init() {}

  /// One device: all cores that this process may use.
  public func devices() throws(DeviceError) -> [DeviceDescription] { [try CPUBackend().device] }

  /// Opens the processor.
  public func open(_ index: Int) throws(DeviceError) -> sending any ComputeBackend { try CPUBackend() }
}
