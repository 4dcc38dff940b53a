// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]
let strictC: [CSetting] = [.treatAllWarnings(as: .error)]

let package = Package(
  name: "recall",
  products: [
    .library(name: "Recall", targets: ["Recall"]),
    .library(name: "Compute", targets: ["Compute"]),
    .executable(name: "recall", targets: ["RecallCommand"]),
  ],
  targets: [
    // What every room uses.
    .target(name: "Diagnostics", swiftSettings: strict),
    .target(name: "JSON", dependencies: ["Diagnostics"], swiftSettings: strict),

    .target(name: "CYAML", cSettings: strictC),
    .target(name: "YAML", dependencies: ["CYAML", "Diagnostics", "JSON"], swiftSettings: strict),

    // Files: they know no model.
    .target(name: "CDigest", cSettings: strictC),
    .target(name: "Checkpoint", dependencies: ["CDigest", "Diagnostics", "JSON"], swiftSettings: strict),
    .target(name: "Tokenization", dependencies: ["Diagnostics", "JSON"], swiftSettings: strict),

    // The backend contract and the backends.
    .target(name: "Compute", swiftSettings: strict),
    .target(name: "CBLAS", cSettings: strictC),
    .target(name: "CVector", cSettings: strictC + [.unsafeFlags(["-O3"])]),  // Debug builds need fast loops as well.
    .target(name: "ComputeCPU", dependencies: ["CBLAS", "CVector", "Compute"], swiftSettings: strict),
    // The kernel texts, and what runs them on any device.
    .target(
      name: "Kernels", path: "Kernels",
      exclude: ["CUDA", "README.md", "portable", "dialect.cuda.h", "dialect.opencl.h"],
      cSettings: strictC),
    .target(
      name: "ComputeKernels", dependencies: ["Checkpoint", "Compute", "Diagnostics", "Kernels"], swiftSettings: strict),
    .target(name: "COpenCL", cSettings: strictC),
    .target(
      name: "ComputeOpenCL", dependencies: ["COpenCL", "Compute", "ComputeKernels"], swiftSettings: strict),
    .target(name: "CCUDA", cSettings: strictC),
    .target(name: "ComputeCUDA", dependencies: ["CCUDA", "Compute", "ComputeKernels"], swiftSettings: strict),

    // The reference is scalar on purpose; unoptimised it would take minutes.
    .target(
      name: "Conformance", dependencies: ["Compute", "Diagnostics", "JSON"],
      swiftSettings: strict + [.unsafeFlags(["-O"])]),

    // The page that people look at: it knows no device and no checkpoint.
    .target(name: "Report", swiftSettings: strict),

    // The method.
    .target(
      name: "Recall", dependencies: ["Checkpoint", "Compute", "Diagnostics", "JSON", "Report", "Tokenization"],
      swiftSettings: strict),
    // What a machine reaches, and what a merge would cost on it.
    .target(
      name: "Measurement", dependencies: ["Checkpoint", "Compute", "Conformance", "Diagnostics", "JSON", "Recall"],
      swiftSettings: strict),
    // The command line. Its product is recall; a folder of that name would be Recall on file systems that ignore case.
    .executableTarget(
      name: "RecallCommand",
      dependencies: [
        "Checkpoint", "Compute", "ComputeCPU", "ComputeCUDA", "ComputeOpenCL", "Conformance", "Diagnostics", "JSON",
        "Measurement", "Recall", "Tokenization",
      ],
      swiftSettings: strict),

    .testTarget(
      name: "ConformanceTests",
      dependencies: [
        "COpenCL", "Checkpoint", "Compute", "ComputeCPU", "ComputeKernels", "ComputeOpenCL", "Conformance", "JSON",
        "TestSupport",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "ComputeCUDATests",
      dependencies: [
        "CCUDA", "Checkpoint", "Compute", "ComputeCPU", "ComputeCUDA", "ComputeKernels", "Conformance", "TestSupport",
      ],
      swiftSettings: strict),
    .testTarget(name: "JSONTests", dependencies: ["Diagnostics", "JSON", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "YAMLTests", dependencies: ["Diagnostics", "JSON", "TestSupport", "YAML"], swiftSettings: strict),
    .testTarget(
      name: "CheckpointTests", dependencies: ["Checkpoint", "Diagnostics", "JSON", "TestSupport"],
      swiftSettings: strict),
    .testTarget(name: "ReportTests", dependencies: ["Report"], swiftSettings: strict),
    .testTarget(
      name: "TokenizationTests", dependencies: ["Diagnostics", "JSON", "Tokenization"],
      exclude: ["generate.py", "generate_declared.py"],
      resources: [.copy("Fixtures")], swiftSettings: strict),
    .target(
      name: "TestSupport",
      dependencies: ["Checkpoint", "Compute", "ComputeKernels", "ComputeOpenCL", "Diagnostics", "JSON"],
      path: "Tests/TestSupport",
      swiftSettings: strict),
    .testTarget(
      name: "RecallTests",
      dependencies: [
        "Checkpoint", "Compute", "ComputeCPU", "ComputeOpenCL", "Diagnostics", "JSON", "Recall", "TestSupport",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "CommandTests",
      dependencies: ["Checkpoint", "Diagnostics", "JSON", "Recall", "RecallCommand", "TestSupport"],
      swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
