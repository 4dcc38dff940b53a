import CBLAS
import Glibc

/// The search for a CBLAS on this machine.
struct BLASSearch {
  /// The library, when one was found.
  let library: BLASLibrary?
  /// Which library it is, or for every name tried why it is none.
  let explanation: String

  /// The environment variable that names a library, or `none`.
  static let variable = "RECALL_BLAS"

  private static let names = [
    "libopenblas.so.0", "libopenblas.so", "libmkl_rt.so.2", "libmkl_rt.so.1", "libmkl_rt.so", "libblis.so.4",
    "libblis.so.3", "libblis.so", "libflexiblas.so.3", "libcblas.so.3", "libblas.so.3",
  ]

  /// Looks for a library: the one that the environment names, else the first of the usual ones that loads.
  static func run() -> BLASSearch {
    guard let chosen = getenv(variable).map({ String(cString: $0) }), !chosen.isEmpty else {
      return search(names, acceptsReference: false)
    }
    if chosen == "none" { return BLASSearch(library: nil, explanation: "no CBLAS: \(variable)=none") }
    return search([chosen], acceptsReference: true)
  }

  private static func search(_ names: [String], acceptsReference: Bool) -> BLASSearch {
    var reasons: [String] = []
    for name in names {
      switch open(name) {
      case .failure(let reason): reasons.append(reason.text)
      case .success(let library) where library.isOptimised || acceptsReference:
        return BLASSearch(library: library, explanation: "CBLAS \(name)\(selfDescription(of: library))")
      case .success: reasons.append("\(name): a reference implementation, slower than the loops built in")
      }
    }
    return BLASSearch(library: nil, explanation: "no CBLAS: \(reasons.joined(separator: "; "))")
  }

  private struct Reason: Error {
    let text: String
  }

  private static func open(_ name: String) -> Result<BLASLibrary, Reason> {
    withUnsafeTemporaryAllocation(of: BLASLibrary.self, capacity: 1) { library in
      withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { reason in
        guard let place = library.baseAddress, let text = reason.baseAddress else {
          return .failure(Reason(text: "\(name): no memory to open it"))
        }
        guard BLASOpen(name, place, text, reason.count) else {
          return .failure(Reason(text: String(cString: text)))
        }
        return .success(place.pointee)
      }
    }
  }

  private static func selfDescription(of library: BLASLibrary) -> String {
    guard let text = library.describe?() else { return "" }
    return " (\(String(cString: text)))"
  }
}
