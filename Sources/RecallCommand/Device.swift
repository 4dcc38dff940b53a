import Compute
import ComputeCPU
import ComputeCUDA
import ComputeOpenCL
import Diagnostics

extension BackendCatalog {
  /// The backends of this build.
  static let ofThisBuild = BackendCatalog(drivers: [CUDAProvider(), OpenCLProvider()], processor: CPUProvider())
}

/// The device that was asked for, not opened yet.
struct Device {
  private let choice: BackendCatalog.Choice

  /// The option, for every command that computes.
  static let option = CommandOption(
    name: "--device", placeholder: BackendCatalog.ofThisBuild.choiceSyntax,
    help: "where to compute; recall devices lists what is there (default: auto, the first GPU, else the processor)")

  /// Reads `--device`.
  ///
  /// - Throws: `Failure` for a name that cannot be a device of this build.
  init(_ options: ParsedOptions) throws(Failure) {
    let catalog = BackendCatalog.ofThisBuild
    choice = try options.parsed("--device", catalog.choiceSyntax, catalog.choice(named:)) ?? .auto
  }

  private init(_ choice: BackendCatalog.Choice) { self.choice = choice }

  /// Reads `--device` where `all` stands for every device that the drivers of this machine name.
  ///
  /// - Throws: `Failure` for a name that cannot be a device of this build.
  static func one(orAll options: ParsedOptions) throws(Failure) -> (list: [Device], isAll: Bool) {
    guard options.value("--device") == "all" else { return ([try Device(options)], false) }
    let catalog = BackendCatalog.ofThisBuild
    let devices = catalog.surveys().flatMap { survey in (try? survey.devices.get()) ?? [] }
    return (devices.compactMap { catalog.choice(named: $0.name) }.map(Device.init), true)
  }

  /// Opens the device and says which it is, and what was passed over for it.
  ///
  /// - Throws: `DeviceError` when it cannot be opened.
  func open(telling printer: ProgressPrinter) throws(DeviceError) -> BackendCatalog.Opened {
    let opened = try BackendCatalog.ofThisBuild.open(choice)
    printer.show(opened)
    return opened
  }
}
