import Compute

/// What a driver has to offer so that the portable kernels run on its device.
///
/// Memory, programs and launches, as one in-order stream. `KernelBackend` makes a `ComputeBackend` of it.
package protocol KernelDevice: AnyObject {
  /// A compiled program.
  associatedtype Program
  /// An entry of a program, ready to be launched.
  associatedtype Kernel

  /// What this device is.
  var description: DeviceDescription { get }
  /// What the launches have to fit in.
  var limits: KernelLimits { get }
  /// Whether the groups of a kernel multiply matrices of bfloat16 by tensor cores, in CUDA's words.
  var hasTensorCores: Bool { get }
  /// Matrix products by a library of the vendor's; `nil` where the portable kernels compute them.
  var products: (any MatrixProducts)? { get }

  /// As in `ComputeBackend`.
  func allocate(byteCount: Int) throws(DeviceError) -> DeviceBuffer
  /// As in `ComputeBackend`.
  func allocateHost(byteCount: Int) throws(DeviceError) -> HostBuffer
  /// As in `ComputeBackend`.
  func upload(_ host: HostBuffer) throws(DeviceError) -> DeviceBuffer
  /// As in `ComputeBackend`; the host memory is large enough.
  func enqueueDownload(_ matrix: Matrix, into host: HostBuffer) throws(DeviceError) -> Transfer
  /// Enqueues a copy between matrices of the same size.
  func enqueueCopy(_ source: Matrix, into destination: Matrix) throws(DeviceError)
  /// As in `ComputeBackend`.
  func synchronize() throws(DeviceError)
  /// As in `ComputeBackend`, by events of the device.
  func time(_ operations: () throws(DeviceError) -> Void) throws(DeviceError) -> DeviceTime

  /// Compiles a program, or takes it from the cache on disk.
  ///
  /// - Throws: `DeviceError.Code.buildFailed` with the build log.
  func build(_ source: ProgramSource) throws(DeviceError) -> Program
  /// Looks up an entry.
  func kernel(_ entry: String, of program: Program) throws(DeviceError) -> Kernel
  /// Enqueues so many groups of a kernel, of the size that its program was built for.
  func launch(_ kernel: Kernel, groups: Int, _ arguments: [KernelArgument], operation: String) throws(DeviceError)
}

/// What a device grants a work-group.
package struct KernelLimits: Sendable, Equatable {
  /// The most work-items of a group.
  package var groupSize: Int
  /// The local memory of a group in bytes.
  package var localMemory: Int
  /// The units that run groups at the same time.
  package var computeUnits: Int

  /// Describes limits.
  package init(groupSize: Int, localMemory: Int, computeUnits: Int) {
    self.groupSize = groupSize
    self.localMemory = localMemory
    self.computeUnits = computeUnits
  }
}

/// One argument of a launch.
package enum KernelArgument {
  /// Two parameters: the memory, and the element at which the matrix starts, as an unsigned 64-bit number.
  case matrix(Matrix)
  /// A signed 32-bit number.
  case int32(Int32)
  /// An unsigned 32-bit number.
  case uint32(UInt32)
  /// An unsigned 64-bit number.
  case uint64(UInt64)
  /// A `float32`.
  case float(Float)
}

extension KernelArgument {
  /// A count or an index as an unsigned 64-bit number.
  static func count(_ value: Int) -> KernelArgument { .uint64(UInt64(value)) }

  /// A number of heads, tiles or elements of a head, as an unsigned 32-bit number.
  static func size(_ value: Int) -> KernelArgument { .uint32(UInt32(clamping: value)) }

  /// Whether something is the case, as an unsigned 32-bit number.
  static func flag(_ value: Bool) -> KernelArgument { .uint32(value ? 1 : 0) }

  /// The number that the kernels know a floating point format by.
  static func format(of matrix: Matrix) -> KernelArgument { .uint32(UInt32(matrix.elementType.kernelFormat)) }
}

extension ElementType {
  /// The number that the kernels know a floating point format by: see `Kernels/portable/elements.h`.
  package var kernelFormat: Int {
    switch self {
    case .float64: 0
    case .float32: 1
    case .float16: 2
    case .bfloat16: 3
    case .int32: preconditionFailure("whole numbers have no floating point format")
    }
  }
}

extension Matrix {
  /// The element at which the matrix starts in its buffer.
  package var elementOffset: Int { byteOffset / elementType.byteCount }
}

/// A vendor's matrix products, on the device's own stream.
package protocol MatrixProducts: AnyObject {
  /// `out = a · weightsᵀ`, or that added to it: a `[n, k]` in `float32` or the 16 bits of the weights, weights `[m, k]` of any
  /// weight type, out `float32 [n, m]`.
  ///
  /// - Returns: Whether it did; `false` leaves the product to the portable kernel.
  func multiply(
    _ a: Matrix, transposed weights: Matrix, precision: ProductPrecision, adding: Bool, into out: Matrix
  ) throws(DeviceError) -> Bool
  /// As in `ComputeBackend`.
  func activationType(withWeights type: ElementType, precision: ProductPrecision) -> ElementType
  /// `out = share · out + scale · a · b` of `float32` rectangles, rounded nowhere but in the sums.
  ///
  /// - Returns: Whether it did; `false` leaves the product to the portable kernel.
  func multiply(
    _ a: MatrixBlock, _ b: MatrixBlock, scale: Float, keeping share: Float, into out: MatrixBlock
  ) throws(DeviceError) -> Bool
  /// As in `ComputeBackend`.
  func activationRoundoff(withWeights type: ElementType, precision: ProductPrecision) -> Double
  /// `out = exp(−|x_a − y_b|² / 2σ²)` within the error bound of `ComputeBackend.radialBasisKernel`.
  ///
  /// - Returns: Whether it did; `false` leaves the matrix to the portable kernel.
  func radialBasisKernel(_ x: Matrix, _ y: Matrix, sigma: Float, into out: Matrix) throws(DeviceError) -> Bool
}
