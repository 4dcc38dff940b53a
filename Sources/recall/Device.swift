import Compute
import ComputeCPU
import Diagnostics

extension BackendCatalog {
  /// The backends of this build.
  static let ofThisBuild = BackendCatalog(drivers: [], processor: CPUProvider())
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

  /// Opens the device and says which it is, and what was passed over for it.
  ///
  /// - Throws: `DeviceError` when it cannot be opened.
  func open(telling printer: ProgressPrinter) throws(DeviceError) -> DeviceQueue {
    let opened = try BackendCatalog.ofThisBuild.open(choice)
    printer.show(opened)
    return opened.queue
  }
}
