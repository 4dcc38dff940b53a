import CCUDA
import Compute
import ComputeKernels

/// NVIDIA's devices on this machine.
public struct CUDAProvider: BackendProvider {
  /// The name that `--device` knows them by.
  public let backend = "cuda"

  /// The devices of the driver that the loader finds.
  public init() {}

  /// The devices, in the driver's order.
  public func devices() throws(DeviceError) -> [DeviceDescription] {
    let libraries = try CUDALibraries.open()
    return try CUDADevice.descriptions(libraries)
  }

  /// Opens a device.
  public func open(_ index: Int) throws(DeviceError) -> sending any ComputeBackend {
    try KernelBackend(CUDADevice(CUDALibraries.open(), ordinal: index))
  }
}

extension CUDADevice {
  /// What all devices of a driver are.
  ///
  /// - Throws: `DeviceError.Code.unavailable` when there is none.
  package static func descriptions(_ libraries: CUDALibraries) throws(DeviceError) -> [DeviceDescription] {
    let driver = libraries.driver
    return try handles(driver).map { device throws(DeviceError) in try describe(driver, device, libraries) }
  }

  /// The handles of all devices.
  static func handles(_ driver: CUDADriver) throws(DeviceError) -> [CUDADeviceHandle] {
    let check = CUDAStatusCheck(driver: driver, operation: "open CUDA")
    let started = driver.initialize(0)
    var count: Int32 = 0
    if started != CUDAStatus(CUDANoDevice.rawValue) {
      try check(started, "a driver that starts")
      try check(driver.deviceCount(&count), "a number of devices")
    }
    guard count > 0 else {
      throw DeviceError(
        .unavailable, operation: "open CUDA", expected: "an NVIDIA device that the driver sees", got: "no device")
    }
    return try (0..<count).map { ordinal throws(DeviceError) in
      var device: CUDADeviceHandle = 0
      try check(driver.device(&device, ordinal), "device \(ordinal)")
      return device
    }
  }

  static func describe(
    _ driver: CUDADriver, _ device: CUDADeviceHandle, _ libraries: CUDALibraries
  ) throws(DeviceError) -> DeviceDescription {
    let check = CUDAStatusCheck(driver: driver, operation: "describe a CUDA device")
    var name = [CChar](repeating: 0, count: 256)
    try check(driver.deviceName(&name, Int32(name.count), device), "its name")
    var memory = 0
    try check(driver.deviceMemory(&memory, device), "its memory")
    let capability = try driver.capability(of: device, check)
    return DeviceDescription(
      backend: "cuda", name: String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self),
      kind: .gpu, memory: memory, nativeTypes: ElementType.floating,
      details: ["compute capability \(CUDACompilation.text(capability))"] + libraries.details)
  }
}

extension CUDADriver {
  /// A number that a device gives of itself.
  func attribute(
    _ attribute: CUDADeviceAttribute, of device: CUDADeviceHandle, _ check: CUDAStatusCheck
  ) throws(DeviceError) -> Int {
    var value: Int32 = 0
    try check(deviceAttribute(&value, Int32(attribute.rawValue), device), "device attribute \(attribute.rawValue)")
    return Int(value)
  }

  /// A device's compute capability, such as 90 for 9.0.
  func capability(of device: CUDADeviceHandle, _ check: CUDAStatusCheck) throws(DeviceError) -> Int {
    try attribute(CUDAComputeCapabilityMajor, of: device, check) * 10
      + attribute(CUDAComputeCapabilityMinor, of: device, check)
  }
}
