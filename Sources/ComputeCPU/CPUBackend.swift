import CBLAS
import CVector
import Compute

/// The processor as a compute backend: every operation is finished when its call returns.
///
/// It computes in host memory on all cores, in the widest vectors the processor has. Large matrix products go to a CBLAS
/// where one loads, all others to loops of its own. With its own loops a row of a product does not depend on the other
/// rows, the number of threads or the other texts of a batch; a CBLAS promises none of that.
public final class CPUBackend: ComputeBackend {
  /// What can be chosen about the processor.
  public struct Options: Sendable {
    /// The number of threads; `nil` for one per core that this process may use.
    public var threads: Int?
    /// Whether matrix products may go to a CBLAS.
    public var usesBLAS: Bool
    /// A number of `CPUBackend.instructionSets`.
    public var instructionSet: Int

    /// Describes a choice.
    public init(threads: Int? = nil, usesBLAS: Bool = true, instructionSet: Int = 0) {
      self.threads = threads
      self.usesBLAS = usesBLAS
      self.instructionSet = instructionSet
    }
  }

  /// What this processor is: threads, instruction set and CBLAS, or why there is none, in `details`.
  public let device: DeviceDescription
  private let options: Options
  let loops: VectorLoops
  let workers: Workers
  let blas: BLASLibrary?
  let widenedWeights = Scratch()
  let packedActivations = Scratch()
  let turnedBlocks = [Scratch(), Scratch()]
  let workerScratch: [Scratch]

  /// The instruction sets with loops of their own that this processor can run, best first.
  public static var instructionSets: [String] {
    (0...).lazy.map { VectorLoopsAt($0) }.prefix { $0 != nil }.compactMap { loops in
      loops.map { String(cString: $0.pointee.name) }
    }
  }

  /// Opens the processor.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for a number of threads below 1, `DeviceError.Code.unavailable` for an
  ///   instruction set that this processor lacks.
  public init(_ options: Options = Options()) throws(DeviceError) {
    let threads = options.threads ?? AvailableCores()
    guard threads >= 1 else {
      throw DeviceError(
        .invalidArgument, operation: "open the processor", expected: "at least 1 thread", got: "\(threads)")
    }
    guard options.instructionSet >= 0, let loops = VectorLoopsAt(options.instructionSet)?.pointee else {
      throw DeviceError(
        .unavailable, operation: "open the processor", expected: "one of the instruction sets it can run, best first",
        got: "number \(options.instructionSet)")
    }
    let search = options.usesBLAS ? BLASSearch.run() : BLASSearch(library: nil, explanation: "CBLAS not used by choice")
    self.options = options
    self.loops = loops
    workers = Workers(count: threads)
    blas = search.library
    workerScratch = (0..<threads).map { _ in Scratch() }
    device = DeviceDescription(
      backend: "cpu", name: Processor.name, kind: .processor, memory: HostMemory.total, freeMemory: HostMemory.free,
      nativeTypes: [.float64, .float32],
      details: [threads == 1 ? "1 thread" : "\(threads) threads", String(cString: loops.name), search.explanation])
  }

  /// One thread each, in the same instruction set and without a CBLAS, whose threads would be shared; none where this one
  /// computes with a single thread already.
  public var threadBackends: ThreadBackends? {
    guard workers.count > 1 else { return nil }
    let single = Options(threads: 1, usesBLAS: false, instructionSet: options.instructionSet)
    return ThreadBackends(count: workers.count) { () throws(DeviceError) in try CPUBackend(single) }
  }

  /// Returns at once: every operation was finished when its call returned.
  public func synchronize() throws(DeviceError) {}
}
