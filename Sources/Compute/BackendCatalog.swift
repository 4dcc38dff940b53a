/// The backends that a program was built with, and the choice among their devices.
public struct BackendCatalog: Sendable {
  /// What one backend has on this machine.
  public struct Survey: Sendable {
    /// The backend's name.
    public let backend: String
    /// Its devices, or why there is none.
    public let devices: Result<[NamedDevice], DeviceError>
  }

  /// A device, and the name that `--device` knows it by.
  public struct NamedDevice: Sendable, Equatable {
    /// The name, such as `cuda:1` or `cpu`.
    public let name: String
    /// What it is.
    public let description: DeviceDescription

    /// Names a device.
    public init(name: String, description: DeviceDescription) {
      self.name = name
      self.description = description
    }
  }

  /// Which device is asked for.
  public enum Choice: Sendable, Equatable {
    /// The first GPU, else the processor.
    case auto
    /// A device of a backend by its number.
    case device(backend: String, index: Int)
  }

  /// A device that was opened.
  public struct Opened: Sendable {
    /// Which one it is.
    public let device: NamedDevice
    /// The door to it.
    public let queue: DeviceQueue
    /// What `auto` would have taken before this one, with the reasons why it could not.
    public let passedOver: [DeviceError]
  }

  private let drivers: [any BackendProvider]
  private let processor: any BackendProvider

  /// A catalog of backends that need a driver, in the order in which `auto` prefers their GPUs, and of the processor.
  public init(drivers: [any BackendProvider], processor: any BackendProvider) {
    self.drivers = drivers
    self.processor = processor
  }

  /// Asks every backend for its devices.
  public func surveys() -> [Survey] { (drivers + [processor]).map(survey) }

  /// Reads `auto`, `cpu`, a backend such as `cuda` for its first device, or `cuda:1`; `nil` for anything else.
  public func choice(named name: String) -> Choice? {
    if name == "auto" { return .auto }
    if name == processor.backend { return .device(backend: name, index: 0) }
    let parts = name.split(separator: ":", omittingEmptySubsequences: false)
    guard let driver = drivers.first(where: { $0.backend == parts[0] }), parts.count <= 2 else { return nil }
    guard parts.count == 2 else { return .device(backend: driver.backend, index: 0) }
    // `Int` would accept a sign.
    guard parts[1].allSatisfy({ ("0"..."9").contains($0) }), let index = Int(parts[1]) else { return nil }
    return .device(backend: driver.backend, index: index)
  }

  /// What `choice(named:)` reads, in words.
  public var choiceSyntax: String {
    (["auto", processor.backend] + drivers.reversed().map { "\($0.backend)[:N]" }).joined(separator: "|")
  }

  /// Opens a device; `auto` goes on to the next when one fails, and notes it.
  ///
  /// - Throws: `DeviceError` with the reason, and with what there is when the device asked for is not.
  public func open(_ choice: Choice) throws(DeviceError) -> Opened {
    switch choice {
    case .device(let backend, let index):
      guard let provider = (drivers + [processor]).first(where: { $0.backend == backend }) else {
        throw missing(backend, reason: "this build has no such backend")
      }
      let name = self.name(of: index, in: provider)
      switch survey(provider).devices {
      case .failure(let error): throw missing(name, reason: "\(error)", code: error.code)
      case .success(let devices) where !devices.indices.contains(index):
        throw missing(name, reason: "\(backend) has \(devices.count == 1 ? "1 device" : "\(devices.count) devices")")
      case .success(let devices): return try open(devices[index], index, of: provider, passedOver: [])
      }
    case .auto: return try openFirstGPU()
    }
  }

  private func openFirstGPU() throws(DeviceError) -> Opened {
    var passedOver: [DeviceError] = []
    for provider in drivers {
      switch survey(provider).devices {
      case .failure(let error):
        // A backend that is not installed is no news; one that is and does not work is.
        if error.code != .unavailable { passedOver.append(error) }
      case .success(let devices):
        for (index, device) in devices.enumerated() where device.description.kind == .gpu {
          do throws(DeviceError) {
            return try open(device, index, of: provider, passedOver: passedOver)
          } catch {
            passedOver.append(error)
          }
        }
      }
    }
    let devices = try survey(processor).devices.get()
    return try open(devices[0], 0, of: processor, passedOver: passedOver)
  }

  private func open(
    _ device: NamedDevice, _ index: Int, of provider: any BackendProvider, passedOver: [DeviceError]
  ) throws(DeviceError) -> Opened {
    let queue = try DeviceQueue { () throws(DeviceError) in try provider.open(index) }
    return Opened(device: device, queue: queue, passedOver: passedOver)
  }

  private func survey(_ provider: any BackendProvider) -> Survey {
    let devices = Result { () throws(DeviceError) in
      try provider.devices().enumerated().map { index, description in
        NamedDevice(name: name(of: index, in: provider), description: description)
      }
    }
    return Survey(backend: provider.backend, devices: devices)
  }

  private func name(of index: Int, in provider: any BackendProvider) -> String {
    provider.backend == processor.backend ? provider.backend : "\(provider.backend):\(index)"
  }

  private func missing(_ name: String, reason: String, code: DeviceError.Code = .unavailable) -> DeviceError {
    let names = surveys().flatMap { survey in ((try? survey.devices.get()) ?? []).map(\.name) }
    return DeviceError(
      code, operation: "open \(name)", expected: "one of \(names.joined(separator: ", "))", got: "no such device",
      detail: reason)
  }
}
