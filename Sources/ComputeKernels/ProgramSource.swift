import Compute
import Kernels

/// One program: a kernel source and the constants it is compiled with.
package struct ProgramSource: Hashable, Sendable {
  /// The file in `Kernels` that has the entries, such as `portable/add.cl`.
  package let file: String
  /// The constants, as preprocessor definitions; `GROUP_SIZE` is among them.
  package let constants: [String: Int]

  /// Describes a program.
  package init(file: String, constants: [String: Int]) {
    self.file = file
    self.constants = constants
  }

  /// What several sources share that the others have no constants for.
  private static let furtherHeaders = [
    "portable/attention.cl": ["portable/attention-scores.h", "portable/attention-lanes.h"],
    "portable/attention-divergence.cl": ["portable/attention-scores.h", "portable/attention-lanes.h"],
    "CUDA/attention.cu": ["portable/attention-scores.h", "CUDA/tensor-cores.h"],
  ]

  /// The work-items of a group.
  package var groupSize: Int { constants["GROUP_SIZE"] ?? 1 }

  /// The constants as compiler options, in one order.
  package var options: [String] {
    constants.sorted { $0.key < $1.key }.map { "-D\($0.key)=\($0.value)" }
  }

  /// The whole text for a compiler: the words of its dialect, what all kernels share, and the source.
  package func text(in dialect: KernelDialect) -> String {
    let headers = ["portable/elements.h", "portable/arithmetic.h", "portable/groups.h"]
    let files = [dialect.rawValue] + headers + (Self.furtherHeaders[file] ?? []) + [file]
    // A line marker makes the compiler's messages name file and line as they are in the folder.
    return files.map { "#line 1 \"\($0)\"\n\(KernelLibrary.text(of: $0))" }.joined(separator: "\n")
  }
}

/// The language that a device's compiler understands, by the file that translates to it.
package enum KernelDialect: String, Sendable {
  /// OpenCL C 1.2.
  case openCL = "dialect.opencl.h"
  /// CUDA C++.
  case cuda = "dialect.cuda.h"
}

/// The texts of the folder `Kernels`, which are part of the binary.
package enum KernelLibrary {
  /// Every file by name.
  package static let texts: [String: String] = {
    var texts: [String: String] = [:]
    var entry = KernelTexts
    while let name = entry.pointee.name, let text = entry.pointee.text {
      texts[String(cString: name)] = String(cString: text)
      entry += 1
    }
    return texts
  }()

  /// One file.
  package static func text(of file: String) -> String {
    guard let text = texts[file] else { preconditionFailure("no kernel text \(file)") }
    return text
  }
}
