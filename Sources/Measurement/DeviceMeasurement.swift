import Compute
import Conformance
import Diagnostics
import JSON
import Recall

/// What a device reaches: its ceilings, and the stages of a merge beside them.
public struct DeviceMeasurement: Sendable {
  /// A part of a merge, and how near it comes to what bounds it.
  public struct Stage: Sendable {
    /// What was timed.
    public let report: CaseReport
    /// What bounds it, in words.
    public let bound: String
    /// Its share of that bound, 1 for all of it; `nil` for a stage that did not run.
    public let share: Double?
    /// The configuration of the model that it ran, with the number and the length of its texts; `nil` for one operation.
    public var model: JSONValue?
  }

  /// The device, as `--device` names it.
  public let device: BackendCatalog.NamedDevice
  /// Large products, one for each type of weights.
  public let products: [CaseReport]
  /// A large copy.
  public let copy: CaseReport
  /// Bytes per second to the device; `nil` where it computes in the host's memory.
  public let upload: Double?
  /// Bytes per second back; `nil` where it computes in the host's memory.
  public let download: Double?
  /// The stages.
  public let stages: [Stage]

  private static let repetitions = 3

  /// Measures a device.
  ///
  /// - Parameters:
  ///   - device: The device's name and description.
  ///   - backend: The device.
  ///   - isQuick: Whether smaller sizes and fewer bytes will do.
  ///   - progress: Told how many of how many measurements are done.
  /// - Throws: `DeviceError`; `Failure` for a fault of this program.
  public init(
    _ device: BackendCatalog.NamedDevice, on backend: any ComputeBackend, isQuick: Bool, progress: (Int, Int) -> Void
  ) throws {
    self.device = device
    let scale = try BenchmarkScale.suiting(backend, isQuick: isQuick)
    let products = OperationCase.products(scale, on: backend)
    let benchmarks = OperationCase.benchmarks(scale)
    let total = products.count + benchmarks.count + 4
    var done = 0
    func time(_ operationCase: OperationCase) -> CaseReport {
      let report = operationCase.time(on: backend, repetitions: Self.repetitions)
      done += 1
      progress(done, total)
      return report
    }

    self.products = products.map(time)
    copy = time(.largeCopy(scale))
    let transfers = try Transfers(on: backend, isQuick: isQuick)
    (upload, download) = (transfers.upload, transfers.download)

    let ceilings = Ceilings(products: self.products, copy: copy)
    var stages = benchmarks.map { ceilings.stage(time($0)) }
    let similarity = OperationCase.similarity(scale)
    let (kernel, product) = (time(similarity.kernel), time(similarity.product))
    stages.append(
      Stage(report: kernel, bound: "its float32 product alone", share: Self.ratio(product.time, kernel.time)))
    stages.append(try Self.extraction(scale, ceilings, on: backend))
    progress(total, total)
    self.stages = stages
  }

  /// The rate of the sum that fuses bfloat16 tensors, in bytes per second.
  var fusionRate: Double? {
    stages.first { $0.report.operation == "weightedSum" }?.report.rate
  }

  private static func extraction(
    _ scale: BenchmarkScale, _ ceilings: Ceilings, on backend: any ComputeBackend
  ) throws -> Stage {
    let length = BenchmarkScale.textLength
    let lengths = [Int](repeating: length, count: scale.texts)
    let pass = try DecoderPass(ModelConfiguration(scale), lengths: lengths, on: backend)
    let time = try pass.time(mostBlocks: scale.blocks)
    var stage = ceilings.stage(time.best)
    var model = scale.llama
    model["num_hidden_layers"] = .integer(time.blocks)
    model["texts"] = .integer(scale.texts)
    model["tokens"] = .integer(length)
    stage.model = .object(model)
    return stage
  }

  private static func ratio(_ part: DeviceTime?, _ whole: DeviceTime?) -> Double? {
    guard let part, let whole, whole.seconds > 0 else { return nil }
    return part.seconds / whole.seconds
  }
}

extension CaseReport {
  /// The type of a product's weights, which stands behind that of its activations where these have 16 bits as well.
  var weightType: String { elementType.split(separator: " ").last.map(String.init) ?? elementType }
}

/// The rates that nothing on a device exceeds.
private struct Ceilings {
  let products: [CaseReport]
  let copy: CaseReport

  /// Compares a stage with the ceiling that it meets first.
  func stage(_ report: CaseReport) -> DeviceMeasurement.Stage {
    guard report.isArithmetic else { return stage(report, bound: "copy", ceiling: copy.rate) }
    let product = products.first { $0.weightType == report.weightType } ?? products[0]
    return stage(report, bound: "\(product.weightType) product", ceiling: product.rate)
  }

  private func stage(_ report: CaseReport, bound: String, ceiling: Double?) -> DeviceMeasurement.Stage {
    let share = report.rate.flatMap { rate in ceiling.map { rate / $0 } }
    return DeviceMeasurement.Stage(report: report, bound: bound, share: share)
  }
}
