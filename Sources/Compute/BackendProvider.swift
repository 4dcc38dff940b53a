/// One kind of backend on this machine: what devices it has, or why it has none.
///
/// Asking is cheap and leaves nothing open; it may be repeated and happen on any thread.
public protocol BackendProvider: Sendable {
  /// The backend's name, as `--device` has it, such as `cuda`.
  var backend: String { get }

  /// The devices that its driver names, in the driver's order; at least one.
  ///
  /// A device may be named here and still fail to open.
  ///
  /// - Throws: `DeviceError.Code.unavailable` when there is nothing of this backend here: no library, or no device. Any
  ///   other code, such as `driver`, when there is something that cannot be used: a driver that is too old, lacks a
  ///   symbol or fails to start. `got` and `detail` say which.
  func devices() throws(DeviceError) -> [DeviceDescription]

  /// Opens one of the devices by its number in `devices()`.
  ///
  /// - Throws: `DeviceError` with the reason.
  func open(_ index: Int) throws(DeviceError) -> sending any ComputeBackend
}
