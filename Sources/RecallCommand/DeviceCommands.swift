import Compute
import Diagnostics
import JSON

extension Command {
  /// What there is to compute on, and why the rest is not.
  static let devices = Command(
    name: "devices", summary: "lists the devices to compute on, and why others cannot be used",
    options: [CommonOptions.json]
  ) { options in
    let listing = await DeviceListing(of: .ofThisBuild)
    try printLine(options.has(CommonOptions.json.name) ? listing.json.formatted : listing.text)
  }
}

/// Every device of a catalog, opened to see that it can be, and every backend without one.
private struct DeviceListing {
  private struct Entry {
    let name: String
    /// What the opened device says about itself, else what its driver says about it.
    let description: DeviceDescription
    let problem: DeviceError?
  }

  private var entries: [Entry] = []
  private var missing: [(backend: String, reason: DeviceError)] = []
  /// The device that `auto` stands for.
  private var preferred: String?

  init(of catalog: BackendCatalog) async {
    for survey in catalog.surveys() {
      switch survey.devices {
      case .failure(let reason): missing.append((survey.backend, reason))
      case .success(let devices):
        for device in devices { entries.append(await DeviceListing.open(device, of: catalog)) }
      }
    }
    preferred = try? catalog.open(.auto).device.name
  }

  private static func open(_ device: BackendCatalog.NamedDevice, of catalog: BackendCatalog) async -> Entry {
    guard let choice = catalog.choice(named: device.name) else {
      preconditionFailure("a catalog that does not know its own device \(device.name)")
    }
    do throws(DeviceError) {
      let description = await (try catalog.open(choice)).queue.perform { $0.device }
      return Entry(name: device.name, description: description, problem: nil)
    } catch {
      return Entry(name: device.name, description: device.description, problem: error)
    }
  }

  /// A table, and what does not fit it below.
  var text: String {
    let rows = entries.map { entry in
      let device = entry.description
      return [
        entry.name, device.kind.rawValue, device.name, device.nativeTypes.map(\.rawValue).joined(separator: " "),
        byteText(device.memory), device.freeMemory.map(byteText) ?? "unknown",
      ]
    }
    let notes = entries.map { entry in
      let details = entry.description.details.joined(separator: ", ")
      return "\(entry.name): \(entry.problem.map { "cannot be opened: \($0)" } ?? details)"
    }
    let reasons = missing.map { "\($0.backend): not available: \($0.reason)" }
    return """
      \(aligned([["device", "kind", "name", "native types", "memory", "free"]] + rows, labels: 4))

      \((notes + reasons).joined(separator: "\n"))
      auto: \(preferred ?? "none")
      """
  }

  var json: JSONValue {
    let devices = entries.map { entry -> JSONValue in
      let device = entry.description
      return [
        "device": .string(entry.name), "backend": .string(device.backend), "name": .string(device.name),
        "kind": .string(device.kind.rawValue), "memory": .integer(device.memory),
        "freeMemory": device.freeMemory.map(JSONValue.integer) ?? .null,
        "nativeTypes": .array(device.nativeTypes.map { .string($0.rawValue) }),
        "details": .array(device.details.map(JSONValue.string)),
        "problem": entry.problem.map { .string($0.description) } ?? .null,
      ]
    }
    return [
      "devices": .array(devices),
      "notAvailable": .array(
        missing.map { ["backend": .string($0.backend), "reason": .string($0.reason.description)] }),
      "auto": preferred.map(JSONValue.string) ?? .null,
    ]
  }
}
