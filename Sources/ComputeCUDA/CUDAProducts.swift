import CCUDA
import Compute
import ComputeKernels

/// Matrix products by cuBLAS on the compute stream.
///
/// 16-bit weights are multiplied as they are on the tensor cores, with float32 sums; the activations are rounded to the
/// weights' type by a kernel before. That rounding is a relative error of at most 2⁻⁸ (bfloat16) or 2⁻¹¹ (float16) in each
/// term of a sum. Activations beyond the range of float16 are no exception, deep layers of Llama have them: the matrix is
/// scaled as a whole by a power of two, which is exact, and the product scaled back by cuBLAS. Products with float32 weights
/// are float32 throughout.
final class CUDAProducts: MatrixProducts {
  private let blas: CUDABLAS
  private let handle: CUDABLASHandle
  private let session: CUDASession
  private let memory: CUDAMemory
  private let programs: CUDAPrograms
  private let hasBrainProducts: Bool
  private let radialBasisFrom: Int
  private var kernels: [String: CUDAKernel] = [:]
  private var scratch: [String: DeviceBuffer] = [:]

  /// Opens cuBLAS in the session's context, on a device whose tensor cores know bfloat16 or do not.
  init(
    _ blas: CUDABLAS, _ session: CUDASession, _ memory: CUDAMemory, _ programs: CUDAPrograms, hasBrainProducts: Bool,
    radialBasisFrom: Int
  ) throws(DeviceError) {
    _ = try session.enter("open cuBLAS")
    var handle: CUDABLASHandle?
    try CUDAProducts.check(blas.create(&handle), "open cuBLAS", "a handle")
    guard let handle else {
      throw DeviceError(.driver, operation: "open cuBLAS", expected: "a handle", got: "nothing")
    }
    self.blas = blas
    self.handle = handle
    self.session = session
    self.memory = memory
    self.programs = programs
    self.radialBasisFrom = radialBasisFrom
    self.hasBrainProducts = hasBrainProducts
    try CUDAProducts.check(blas.setStream(handle, session.compute), "open cuBLAS", "its stream")
  }

  deinit {
    session.enterToRelease()
    _ = blas.destroy(handle)
  }

  // MARK: Products

  /// The unit roundoff of the weights' type, squared where the rest of the rounding is multiplied as well.
  func activationRoundoff(withWeights type: ElementType, precision: ProductPrecision) -> Double {
    let unit =
      switch type {
      case .bfloat16 where hasBrainProducts: 0x1p-8
      case .float16: 0x1p-11
      default: 0.0
      }
    return precision == .fast ? unit : unit * unit
  }

  /// bfloat16 has the range of `float32`, so that activations need no scale and other kernels can round them.
  func activationType(withWeights type: ElementType, precision: ProductPrecision) -> ElementType {
    type == .bfloat16 && hasBrainProducts && precision == .fast ? .bfloat16 : .float32
  }

  func multiply(
    _ a: Matrix, transposed weights: Matrix, precision: ProductPrecision, adding: Bool, into out: Matrix
  ) throws(DeviceError) -> Bool {
    let check = try session.enter("multiply")
    guard weights.elementType != .bfloat16 || hasBrainProducts else { return false }
    if a.elementType == weights.elementType {
      let compute = a.elementType == .float32 ? CUDABLASComputeFloat32Pedantic : CUDABLASComputeFloat32
      try product(a, weights, into: out, adding: adding, scalars: nil, compute, check)
      return true
    }
    let scalars = weights.elementType == .float16 ? try scale(of: a, check) : nil
    let parts = try precisionParts(precision).map { name throws(DeviceError) in
      try Matrix(
        memory(for: name, byteCount: a.count * 2), rows: a.rows, columns: a.columns, elementType: weights.elementType)
    }
    let name = (parts.count == 1 ? "narrowTo" : "splitTo") + (scalars == nil ? "Brain" : "Half")
    try narrow(
      name, over: a.count,
      [.matrix(a)] + parts.map { .matrix($0) } + (scalars.map { [.matrix($0)] } ?? []) + [.uint64(UInt64(a.count))])
    for (index, part) in parts.enumerated() {
      try product(
        part, weights, into: out, adding: adding || index > 0, scalars: scalars, CUDABLASComputeFloat32, check)
    }
    return true
  }

  /// The scratch for activations in 16 bits, and for what their rounding leaves.
  private func precisionParts(_ precision: ProductPrecision) -> [String] {
    precision == .fast ? ["activations"] : ["activations", "activations' rest"]
  }

  /// What `narrowToHalf` and `cublasGemmEx` scale by: four floats, the largest magnitude, 1 / scale, 0 and 1.
  private func scale(of a: Matrix, _ check: CUDAStatusCheck) throws(DeviceError) -> Matrix {
    let scalars = try floats("scalars", rows: 1, columns: 4)
    try memory.use(scalars, check)
    try check(session.driver.fill(scalars.address, 0, scalars.byteCount, session.compute), "scalars set to 0")
    memory.computeStreamMoved()
    try narrow("largestMagnitude", over: a.count, [.matrix(a), .matrix(scalars), .uint64(UInt64(a.count))])
    return scalars
  }

  /// In float32 throughout: what a linear system is made of loses its digits otherwise.
  func multiply(
    _ a: MatrixBlock, _ b: MatrixBlock, scale: Float, keeping share: Float, into out: MatrixBlock
  ) throws(DeviceError) -> Bool {
    let check = try session.enter("multiplyBlocks")
    try withUnsafePointers(scale, share) { scale, share throws(DeviceError) in
      try product(
        a, b, into: out, factor: scale, share: share, onDevice: false, CUDABLASComputeFloat32Pedantic, check)
    }
    return true
  }

  /// `out = alpha · a · weightsᵀ`, added to what `out` holds if asked for.
  private func product(
    _ a: Matrix, _ weights: Matrix, into out: Matrix, adding: Bool = false, scalars: Matrix?,
    _ compute: CUDABLASCompute, _ check: CUDAStatusCheck
  ) throws(DeviceError) {
    if let scalars {
      guard let address = UnsafeRawPointer(bitPattern: UInt(scalars.address)) else {
        preconditionFailure("device memory has an address")
      }
      try product(
        a.block, weights.transposed, into: out.block, factor: address + 4, share: address + (adding ? 12 : 8),
        onDevice: true, compute, check)
    } else {
      try withUnsafePointers(1, adding ? 1 : 0) { one, share throws(DeviceError) in
        try product(
          a.block, weights.transposed, into: out.block, factor: one, share: share, onDevice: false, compute, check)
      }
    }
  }

  private func withUnsafePointers(
    _ x: Float, _ y: Float, _ body: (UnsafeRawPointer, UnsafeRawPointer) throws(DeviceError) -> Void
  ) throws(DeviceError) {
    try withUnsafePointer(to: x) { x throws(DeviceError) in
      try withUnsafePointer(to: y) { y throws(DeviceError) in try body(UnsafeRawPointer(x), UnsafeRawPointer(y)) }
    }
  }

  /// `out = share · out + factor · a · b`, with scalars on the host or on the device.
  ///
  /// Row major matrices are their own transposes in column major, so cuBLAS computes `outᵀ[m, n] = bᵀ[m, k] · aᵀ[k, n]`.
  private func product(
    _ a: MatrixBlock, _ b: MatrixBlock, into out: MatrixBlock, factor: UnsafeRawPointer, share: UnsafeRawPointer,
    onDevice: Bool, _ compute: CUDABLASCompute, _ check: CUDAStatusCheck
  ) throws(DeviceError) {
    let (left, right, result) = (try a.extent, try b.extent, try out.extent)
    for matrix in [left, right, result] { try memory.use(matrix, check) }
    guard let rows = Int32(exactly: out.rows), let columns = Int32(exactly: out.columns),
      let depth = Int32(exactly: a.columns), let leftStride = Int32(exactly: a.stride),
      let rightStride = Int32(exactly: b.stride), let stride = Int32(exactly: out.stride)
    else {
      throw DeviceError(
        .unsupported, operation: check.operation, expected: "fewer than 2³¹ rows and columns",
        got: "[\(a.rows), \(a.columns)] · [\(b.rows), \(b.columns)]")
    }
    guard let leftAddress = UnsafeRawPointer(bitPattern: UInt(left.address)),
      let rightAddress = UnsafeRawPointer(bitPattern: UInt(right.address)),
      let resultAddress = UnsafeMutableRawPointer(bitPattern: UInt(result.address))
    else { preconditionFailure("device memory has an address") }
    let mode = onDevice ? CUDABLASDeviceScalars : CUDABLASHostScalars
    try CUDAProducts.check(blas.setPointerMode(handle, Int32(mode.rawValue)), check.operation, "its scalars")
    let status = blas.multiply(
      handle, b.transposition, a.transposition, columns, rows, depth, factor, rightAddress,
      b.matrix.elementType.blasType, rightStride, leftAddress, a.matrix.elementType.blasType, leftStride, share,
      resultAddress, out.matrix.elementType.blasType, stride, Int32(compute.rawValue),
      Int32(CUDABLASDefaultAlgorithm.rawValue))
    memory.computeStreamMoved()
    try CUDAProducts.check(status, check.operation, "a product enqueued")
  }

  // MARK: Radial basis functions

  /// The kernel matrix around a product, as `Kernels/CUDA/radial-basis.cu` explains; `false` for sizes that the portable
  /// kernel computes as fast.
  func radialBasisKernel(_ x: Matrix, _ y: Matrix, sigma: Float, into out: Matrix) throws(DeviceError) -> Bool {
    guard out.count * x.columns >= radialBasisFrom else { return false }
    let operation = "radialBasisKernel"
    let check = try session.enter(operation)
    let (width, file) = (UInt64(x.columns), "CUDA/radial-basis.cu")
    let shift = try floats("shift", rows: 1, columns: x.columns)
    let samples = UInt32(min(256, max(x.rows, y.rows)))
    try launch(
      "commonShift", in: file, groups: (x.columns + Self.groupSize - 1) / Self.groupSize,
      [
        .matrix(x), .matrix(y), .matrix(shift), .uint64(UInt64(x.rows)), .uint64(UInt64(y.rows)), .uint64(width),
        .uint32(samples),
      ], operation)
    let sides = try [("left", x), ("right", y)].map { name, side throws(DeviceError) in
      let centred = try floats("\(name) centred", rows: side.rows, columns: side.columns)
      let norms = try floats("\(name) norms", rows: side.rows, columns: 1)
      try launch(
        "centre", in: file, groups: side.rows,
        [.matrix(side), .matrix(shift), .matrix(centred), .matrix(norms), .uint64(width)], operation)
      return (centred: centred, norms: norms)
    }
    try product(sides[0].centred, sides[1].centred, into: out, scalars: nil, CUDABLASComputeFloat32Pedantic, check)
    try launch(
      "radialBasis", in: file, groups: (x.rows + 31) / 32 * ((y.rows + 63) / 64),
      [
        .matrix(x), .matrix(y), .matrix(sides[0].norms), .matrix(sides[1].norms), .matrix(out), .uint64(UInt64(x.rows)),
        .uint64(UInt64(y.rows)), .uint64(width), .float(sigma),
      ], operation)
    return true
  }

  // MARK: Kernels of its own

  private static let groupSize = 256

  /// All programs that surround the products.
  static let sources = ["CUDA/narrow.cu", "CUDA/radial-basis.cu"].map(source)

  private static func source(_ file: String) -> ProgramSource {
    ProgramSource(file: file, constants: ["GROUP_SIZE": groupSize])
  }

  private func narrow(_ entry: String, over count: Int, _ arguments: [KernelArgument]) throws(DeviceError) {
    // Four elements a work-item; a grid of some waves on any device, whose work-items stride on.
    let groups = min(1 << 14, (count + 4 * Self.groupSize - 1) / (4 * Self.groupSize))
    try launch(entry, in: "CUDA/narrow.cu", groups: groups, arguments, "multiply")
  }

  private func launch(
    _ entry: String, in file: String, groups: Int, _ arguments: [KernelArgument], _ operation: String
  ) throws(DeviceError) {
    try programs.launch(kernel(entry, in: file), groups: groups, arguments, operation: operation)
  }

  private func floats(_ purpose: String, rows: Int, columns: Int) throws(DeviceError) -> Matrix {
    try Matrix(
      memory(for: purpose, byteCount: rows * columns * 4), rows: rows, columns: columns, elementType: .float32)
  }

  private func kernel(_ entry: String, in file: String) throws(DeviceError) -> CUDAKernel {
    if let kernel = kernels[entry] { return kernel }
    let program = try programs.build(Self.source(file))
    let kernel = try programs.kernel(entry, of: program)
    kernels[entry] = kernel
    return kernel
  }

  /// Memory that grows to the largest size asked for and is kept; what was enqueued on it before is computed before.
  private func memory(for purpose: String, byteCount: Int) throws(DeviceError) -> DeviceBuffer {
    if let buffer = scratch[purpose], buffer.byteCount >= byteCount { return buffer }
    scratch[purpose] = nil
    let buffer = try memory.allocate(byteCount: byteCount)
    scratch[purpose] = buffer
    return buffer
  }

  private static func check(_ status: CUDABLASStatus, _ operation: String, _ expected: String) throws(DeviceError) {
    guard status != 0 else { return }
    // 3: no memory for cuBLAS' own workspace.
    throw DeviceError(
      status == 3 ? .outOfMemory : .driver, operation: operation, expected: expected, got: "a failure of cuBLAS",
      driverStatus: Int(status))
  }
}

extension MatrixBlock {
  fileprivate var transposition: Int32 {
    Int32((isTransposed ? CUDABLASTransposed : CUDABLASAsStored).rawValue)
  }
}

extension ElementType {
  fileprivate var blasType: Int32 {
    let type =
      switch self {
      case .float32: CUDABLASFloat32
      case .float16: CUDABLASFloat16
      case .bfloat16: CUDABLASBFloat16
      case .float64, .int32: preconditionFailure("no product has this type")
      }
    return Int32(type.rawValue)
  }
}
