import Compute

/// How fast bytes get from the host's pinned memory to a device and back.
struct Transfers {
  /// Bytes per second to the device; `nil` where it computes in the host's memory.
  let upload: Double?
  /// Bytes per second back; `nil` where it computes in the host's memory.
  let download: Double?

  /// The bytes of one transfer: far more than what starting one costs.
  private static let byteCount = 256 << 20
  private static let repetitions = 3

  /// Measures both ways.
  ///
  /// - Throws: `DeviceError`.
  init(on backend: any ComputeBackend, isQuick: Bool) throws(DeviceError) {
    let byteCount = isQuick ? Transfers.byteCount / 4 : Transfers.byteCount
    let host = try backend.allocateHost(byteCount: byteCount)
    // The first touch of a page costs more than any later one.
    host.withMutableBytes(in: 0..<byteCount) { bytes in
      bytes.withUnsafeMutableBytes { _ = $0.initializeMemory(as: UInt8.self, repeating: 1) }
    }
    var device = try backend.upload(host)
    guard device.handle != UInt(bitPattern: host.address) else {
      (upload, download) = (nil, nil)
      return
    }
    var up = Double.infinity
    var down = Double.infinity
    for _ in 0..<Transfers.repetitions {
      up = min(up, try backend.time { () throws(DeviceError) in device = try backend.upload(host) }.seconds)
      let matrix = try Matrix(device, rows: 1, columns: byteCount / 4, elementType: .float32)
      down = min(down, try backend.time { () throws(DeviceError) in try backend.download(matrix, into: host) }.seconds)
    }
    (upload, download) = (Double(byteCount) / up, Double(byteCount) / down)
  }
}
