import COpenCL
import Compute
import ComputeKernels

/// A device that an OpenCL driver names, not opened yet.
struct OpenCLDeviceListing {
  let handle: OpenCLDeviceHandle
  let description: DeviceDescription
  let limits: KernelLimits
  /// The most bytes of one buffer.
  let largestBuffer: Int
  /// What a compiled program depends on beside its text.
  let environment: [String]
  /// Why it cannot be used; `nil` when it can.
  let obstacle: String?

  /// Every device of every platform, in the drivers' order.
  ///
  /// - Throws: `DeviceError.Code.unavailable` when there is no platform or no device.
  static func all(of library: OpenCLLibrary) throws(DeviceError) -> [OpenCLDeviceListing] {
    let check = OpenCLStatusCheck(operation: "list the OpenCL devices")
    var count: UInt32 = 0
    let status = library.platforms(0, nil, &count)
    if status == OpenCLPlatformNotFound || status == OpenCLSuccess && count == 0 {
      throw nothing("an installed driver (an OpenCL platform)", "none")
    }
    try check(status, "the platforms")
    var platforms = [OpenCLPlatform?](repeating: nil, count: Int(count))
    try check(library.platforms(count, &platforms, nil), "the platforms")
    var listings: [OpenCLDeviceListing] = []
    for platform in platforms {
      var deviceCount: UInt32 = 0
      // A driver without a device is not an error: another one may have some.
      guard library.devices(platform, OpenCLTypeAll, 0, nil, &deviceCount) == OpenCLSuccess, deviceCount > 0 else {
        continue
      }
      var devices = [OpenCLDeviceHandle?](repeating: nil, count: Int(deviceCount))
      try check(library.devices(platform, OpenCLTypeAll, deviceCount, &devices, nil), "the platform's devices")
      for device in devices.compactMap({ $0 }) {
        listings.append(OpenCLDeviceListing(device, of: platform, library))
      }
    }
    guard !listings.isEmpty else {
      throw nothing("a device on \(count == 1 ? "the OpenCL platform" : "one of \(count) OpenCL platforms")", "none")
    }
    return listings
  }

  private static func nothing(_ expected: String, _ got: String) -> DeviceError {
    DeviceError(.unavailable, operation: "list the OpenCL devices", expected: expected, got: got)
  }

  private init(_ device: OpenCLDeviceHandle, of platform: OpenCLPlatform?, _ library: OpenCLLibrary) {
    let info = OpenCLInfo { library.deviceInfo(device, $0, $1, $2, $3) }
    let ofPlatform = OpenCLInfo { library.platformInfo(platform, $0, $1, $2, $3) }
    let extensions = info.text(OpenCLDeviceExtensions).split(separator: " ")
    let type = info.number(OpenCLDeviceType, as: UInt64.self)
    let version = info.text(OpenCLDeviceVersion)
    let driver = info.text(OpenCLDriverVersion)
    let hasDenormals =
      info.number(OpenCLDeviceSingleFloatConfig, as: UInt64.self) & OpenCLFloatDenormals != 0
    let hasDoubles = extensions.contains("cl_khr_fp64")
    let hasHalves = extensions.contains("cl_khr_fp16")

    handle = device
    limits = KernelLimits(
      groupSize: Int(info.number(OpenCLDeviceMaxWorkGroupSize, as: UInt.self)),
      localMemory: Int(clamping: info.number(OpenCLDeviceLocalMemorySize, as: UInt64.self)),
      computeUnits: Int(info.number(OpenCLDeviceMaxComputeUnits, as: UInt32.self)))
    largestBuffer = Int(clamping: info.number(OpenCLDeviceMaxMemoryAllocationSize, as: UInt64.self))
    environment = [
      ofPlatform.text(OpenCLPlatformVersion), info.text(OpenCLDeviceName), version, driver,
    ]
    description = DeviceDescription(
      backend: "opencl", name: info.text(OpenCLDeviceName),
      kind: type & OpenCLTypeGPU != 0
        ? .gpu : type & OpenCLTypeCPU != 0 ? .processor : .accelerator,
      memory: Int(clamping: info.number(OpenCLDeviceGlobalMemorySize, as: UInt64.self)),
      nativeTypes: (hasDoubles ? [.float64] : []) + [.float32] + (hasHalves ? [.float16] : []),
      details: [
        ofPlatform.text(OpenCLPlatformName), version, "driver \(driver)",
        hasDenormals ? "subnormal numbers" : "no subnormal numbers",
      ])
    obstacle =
      info.number(OpenCLDeviceAvailable, as: UInt32.self) == 0
      ? "it is not available"
      : info.number(OpenCLDeviceCompilerAvailable, as: UInt32.self) == 0 ? "its driver has no compiler" : nil
  }
}

/// What a driver says about one of its objects.
struct OpenCLInfo {
  let query:
    (_ name: UInt32, _ capacity: Int, _ value: UnsafeMutableRawPointer?, _ size: UnsafeMutablePointer<Int>?)
      -> OpenCLStatus

  /// A number; 0 when the driver does not tell.
  func number<Number: FixedWidthInteger>(_ name: UInt32, as type: Number.Type) -> Number {
    var number: Number = 0
    return query(name, MemoryLayout<Number>.size, &number, nil) == OpenCLSuccess ? number : 0
  }

  /// A text without the zero at its end; empty when the driver does not tell.
  func text(_ name: UInt32) -> String {
    String(decoding: bytes(name).prefix { $0 != 0 }, as: UTF8.self)
  }

  /// Bytes of any meaning.
  func bytes(_ name: UInt32) -> [UInt8] {
    var size = 0
    guard query(name, 0, nil, &size) == OpenCLSuccess else { return [] }
    var bytes = [UInt8](repeating: 0, count: size)
    return query(name, size, &bytes, nil) == OpenCLSuccess ? bytes : []
  }
}
