import CCUDA
import Compute
import Glibc

/// NVIDIA's libraries, found at run time: the driver, the run-time compiler and, where it loads, cuBLAS.
package struct CUDALibraries {
  /// The driver's entry points.
  package var driver: CUDADriver
  /// NVRTC's entry points.
  package var compiler: CUDACompiler
  /// cuBLAS' entry points; `nil` where none loads.
  package var blas: CUDABLAS?
  /// The driver's version as it gives it, such as 12040 for CUDA 12.4.
  package let driverVersion: Int
  /// Which libraries these are, or why there is none, one phrase each.
  package let details: [String]

  /// The environment variable that lists further directories, separated by colons, to look into first.
  package static let variable = "RECALL_CUDA_LIBRARIES"
  /// The oldest driver whose successors run what NVRTC 11.2 and later compile: that of CUDA 11.2.
  package static let oldestDriver = 11_020

  /// The directories that the environment names.
  package static var chosenDirectories: [String] {
    getenv(variable).map { String(cString: $0).split(separator: ":").map(String.init) } ?? []
  }

  /// Finds and opens the libraries.
  ///
  /// - Parameter directories: Where to look first.
  /// - Returns: The libraries, the driver among them.
  /// - Throws: `DeviceError.Code.unavailable` when a library is not found, `DeviceError.Code.driver` when one is there and
  ///   cannot be used: it does not load, lacks a symbol, or is too old.
  package static func open(
    from directories: [String] = chosenDirectories
  ) throws(DeviceError) -> CUDALibraries {
    let names = ["libcuda.so.1", "libcuda.so"]
    let driver = try find(names, from: directories, in: CUDADriver.self, CUDADriverOpen, newestMajor: nil).get()
    return try CUDALibraries(driver: driver.library, from: directories)
  }

  /// Finds what belongs to a driver.
  package init(driver: CUDADriver, from directories: [String] = chosenDirectories) throws(DeviceError) {
    self.driver = driver
    var version: Int32 = 0
    // A driver that cannot tell its version, such as a stub, counts as version 0.
    _ = driver.driverVersion(&version)
    driverVersion = Int(version)
    guard driverVersion >= CUDALibraries.oldestDriver else {
      throw DeviceError(
        .driver, operation: "open CUDA",
        expected: "a driver for CUDA \(CUDALibraries.text(version: CUDALibraries.oldestDriver)) or later",
        got: "the driver is too old: it is for CUDA \(CUDALibraries.text(version: driverVersion))")
    }
    let major = driverVersion / 1000
    let compilerNames = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"]
    let compiler = try CUDALibraries.find(
      compilerNames, from: directories, in: CUDACompiler.self, CUDACompilerOpen, newestMajor: major
    )
    .get()
    self.compiler = compiler.library
    var details = ["driver for CUDA \(CUDALibraries.text(version: driverVersion))", "NVRTC \(compiler.name)"]
    switch CUDALibraries.find(
      ["libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so"], from: directories, in: CUDABLAS.self,
      CUDABLASOpen, newestMajor: major)
    {
    case .success(let found):
      blas = found.library
      details.append("cuBLAS \(found.name)")
    case .failure(let reason):
      blas = nil
      details.append("no cuBLAS: \(reason.detail)")
    }
    self.details = details
  }

  /// A version such as `12.4` from a number such as 12040.
  static func text(version: Int) -> String { "\(version / 1000).\(version % 1000 / 10)" }

  // MARK: Search

  private typealias Opener<Table> = (
    UnsafePointer<CChar>, UnsafeMutablePointer<Table>, UnsafeMutablePointer<CChar>, Int
  ) -> Bool

  // The first of several names that opens, in the directories that the user names, then where the loader looks, then
  // where CUDA's installers put them. A library of a later CUDA than `newestMajor`, the driver's, does not run on it, and is
  // passed over.
  private static func find<Table>(
    _ names: [String], from directories: [String], in table: Table.Type, _ open: Opener<Table>, newestMajor: Int?
  ) -> Result<(library: Table, name: String), DeviceError> {
    var reasons: [String] = []
    var isThere = false
    for name in names {
      if let newestMajor, let major = majorVersion(of: name), major > newestMajor { continue }
      for directory in directories + usualDirectories {
        let path = directory.isEmpty ? name : "\(directory)/\(name)"
        // The loader says nothing new about a file that is not there.
        if !directory.isEmpty && access(path, F_OK) != 0 { continue }
        switch load(path, table, open) {
        case .success(let library): return .success((library, path))
        case .failure(let reason):
          reasons.append(reason.text)
          isThere = isThere || access(path, F_OK) == 0 || reason.text.contains("no symbol")
        }
      }
    }
    return .failure(
      DeviceError(
        isThere ? .driver : .unavailable, operation: "open CUDA", expected: "a library \(names[names.count - 1])",
        got: isThere ? "one that cannot be used" : "none", detail: reasons.joined(separator: "; ")))
  }

  private static func majorVersion(of name: String) -> Int? {
    name.split(separator: ".").dropFirst(2).first.flatMap { Int($0) }
  }

  /// The empty name stands for where the loader looks; clusters mount the driver below `/usr/local/nvidia`.
  private static var usualDirectories: [String] {
    #if arch(arm64)
      let system = "/usr/lib/aarch64-linux-gnu"
    #else
      let system = "/usr/lib/x86_64-linux-gnu"
    #endif
    return ["", "/usr/local/cuda/lib64", "/usr/local/nvidia/lib64", system]
  }

  private struct Reason: Error {
    let text: String
  }

  private static func load<Table>(_ path: String, _ table: Table.Type, _ open: Opener<Table>) -> Result<Table, Reason> {
    withUnsafeTemporaryAllocation(of: Table.self, capacity: 1) { library in
      withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { reason in
        guard let place = library.baseAddress, let text = reason.baseAddress else {
          return .failure(Reason(text: "\(path): no memory to open it"))
        }
        guard open(path, place, text, reason.count) else { return .failure(Reason(text: String(cString: text))) }
        return .success(place.pointee)
      }
    }
  }
}
