import Checkpoint
import Compute
import Conformance
import Diagnostics
import JSON
import Recall

/// What `recall bench` prints.
public struct BenchReport: Sendable {
  private let device: DeviceMeasurement
  private let storage: StorageMeasurement
  private let directory: String
  private let prediction: MergePrediction?
  /// How fast the blocks of these models came to the device, or what kept them.
  public let feed: Result<LayerFeed, any Error>?

  /// Collects the measurements of a device and of the storage below a directory.
  ///
  /// - Parameters:
  ///   - device: The device.
  ///   - storage: The storage.
  ///   - directory: Where it is.
  ///   - prediction: What a merge of some models would take.
  ///   - feed: How fast the blocks of these models came to the device, or what kept them.
  public init(
    _ device: DeviceMeasurement, storage: StorageMeasurement, in directory: String, prediction: MergePrediction?,
    feed: Result<LayerFeed, any Error>?
  ) {
    self.device = device
    self.storage = storage
    self.directory = directory
    self.prediction = prediction
    self.feed = feed
  }

  // MARK: For people

  /// Ceilings, stages and the prediction as tables.
  public var text: String {
    let stages = device.stages.map { stage in
      [
        stage.report.operation, stage.report.shape, stage.report.elementType, milliseconds(stage.report.time),
        stage.report.rateText, stage.share.map { "\(fixed(100 * $0, digits: 0)) %" } ?? "-", stage.bound,
      ]
    }
    let head = ["operation", "shape", "type", "ms", "rate", "share", "of"]
    let clock = device.copy.time?.clock == .device ? "the device's own events" : "the host's clock"
    return """
      \(device.device.name): \(device.device.description.name)
      \(device.device.description.details.joined(separator: ", "))

      ceilings, by \(clock)
      \(aligned(ceilings, labels: 2))

      stages of a merge, beside what bounds them
      \(aligned([head] + stages, labels: 3))
      """ + problems + cacheNote + (prediction.map { "\n\n" + text(of: $0) } ?? "")
        + ((try? feed?.get()).map { "\n" + text(of: $0) } ?? "")
  }

  /// What could not be measured, and why.
  private var problems: String {
    (device.products + [device.copy] + device.stages.map(\.report)).compactMap { report in
      report.problem.map { "\nnot measured: \(report.name): \($0)" }
    }.joined()
  }

  /// Why a share may exceed the whole.
  private var cacheNote: String {
    device.stages.contains { $0.share ?? 0 > 1.1 }
      ? "\nshares above 100 %: the data fit a cache, or more is read than written, unlike in a copy" : ""
  }

  private var ceilings: [[String]] {
    let products = device.products.map { ["product, \($0.weightType) weights", $0.shape, $0.rateText] }
    let size = byteText(storage.byteCount)
    let cold =
      storage.cachedShare == 0
      ? "cold" : "\(fixed(100 * storage.cachedShare, digits: 0)) % of it from memory, which the system kept"
    return products + [
      ["copy on the device", "\(byteText(device.copy.bytes)) read and written", device.copy.rateText],
      ["host to device", "pinned memory", transferText(device.upload)],
      ["device to host", "pinned memory", transferText(device.download)],
      ["storage write", "\(size) until fsync, in \(directory)", rateText(storage.writeRate)],
      ["storage read", "\(size), \(cold)", rateText(storage.readRate)],
      ["page cache read", size, rateText(storage.cachedReadRate)],
    ]
  }

  private func text(of prediction: MergePrediction) -> String {
    let costs = prediction.costs
    let rows = prediction.stages.map { stage in
      [stage.name] + stage.parts.map { fixed($0.seconds, digits: 1) } + [fixed(stage.bound.seconds, digits: 1)]
        + [stage.bound.name]
    }
    let head = ["seconds"] + (prediction.stages.first?.parts.map(\.name) ?? []) + ["stage", "bound by"]
    return """
      a merge of \(costs.models) models with \(costs.samples) samples, \(costs.typical) of them typical: reads \
      \(byteText(costs.sum(\.read))), computes \
      \(significant(Double(costs.sum(\.flops)) / 1e12)) TFLOP, writes \(byteText(costs.sum(\.written)))
      a block of these models: \(milliseconds(prediction.block.time)) ms for \(prediction.block.shape), \
      \(prediction.block.rateText)
      \(aligned([head] + rows))
      predicted, from all parts of a stage at once to one after the other: \(rangeText(prediction.seconds)) with the \
      models on the storage, \(rangeText(prediction.cachedSeconds)) with them in the page cache
      """
  }

  private func text(of feed: LayerFeed) -> String {
    let share = device.upload.map { ", \(fixed(100 * feed.rate / $0, digits: 0)) % of host to device" } ?? ""
    return "their blocks brought to the device: \(byteText(feed.bytes)) in \(fixed(feed.seconds, digits: 2)) s, "
      + rateText(feed.rate) + share
  }

  private func rangeText(_ range: ClosedRange<Double>) -> String {
    "\(fixed(range.lowerBound, digits: 1)) to \(fixed(range.upperBound, digits: 1)) s"
  }

  private func milliseconds(_ time: DeviceTime?) -> String { time.map { significant(1000 * $0.seconds) } ?? "-" }

  private func rateText(_ rate: Double) -> String { CaseReport.text(rate: rate, isArithmetic: false) }

  private func transferText(_ rate: Double?) -> String {
    rate.map(rateText) ?? "none: it computes in the host's memory"
  }

  // MARK: For programs

  /// Everything, in seconds, bytes, operations and bytes or operations per second.
  public var json: JSONValue {
    let stages = device.stages.map { stage -> JSONValue in
      [
        "case": stage.report.json, "rate": number(stage.report.rate), "bound": .string(stage.bound),
        "share": number(stage.share), "model": stage.model ?? .null,
      ]
    }
    return [
      "device": .string(device.device.name), "name": .string(device.device.description.name),
      "details": .array(device.device.description.details.map(JSONValue.string)),
      "ceilings": [
        "products": .array(device.products.map { ["case": $0.json, "rate": number($0.rate)] }),
        "copy": ["case": device.copy.json, "rate": number(device.copy.rate)],
        "upload": number(device.upload), "download": number(device.download),
      ],
      "storage": [
        "directory": .string(directory), "bytes": .integer(storage.byteCount), "write": .double(storage.writeRate),
        "read": .double(storage.readRate), "cachedShare": .double(storage.cachedShare),
        "pageCacheRead": .double(storage.cachedReadRate),
      ],
      "stages": .array(stages), "prediction": prediction.map(json(of:)) ?? .null,
      "feed": (try? feed?.get()).map(json(of:)) ?? .null,
    ]
  }

  private func json(of prediction: MergePrediction) -> JSONValue {
    let stages = prediction.stages.map { stage -> JSONValue in
      [
        "stage": .string(stage.name), "bound": .string(stage.bound.name), "seconds": .double(stage.bound.seconds),
        "parts": .object(JSONObject(stage.parts.map { ($0.name, .double($0.seconds)) })),
      ]
    }
    let costs = prediction.costs
    return [
      "models": .integer(costs.models), "samples": .integer(costs.samples), "typical": .integer(costs.typical),
      "read": .integer(costs.sum(\.read)), "flops": .integer(costs.sum(\.flops)),
      "written": .integer(costs.sum(\.written)),
      "block": prediction.block.json, "stages": .array(stages), "seconds": json(of: prediction.seconds),
      "secondsFromPageCache": json(of: prediction.cachedSeconds),
    ]
  }

  private func json(of feed: LayerFeed) -> JSONValue {
    ["bytes": .integer(feed.bytes), "seconds": .double(feed.seconds), "rate": .double(feed.rate)]
  }

  private func json(of range: ClosedRange<Double>) -> JSONValue {
    ["overlapped": .double(range.lowerBound), "oneAfterTheOther": .double(range.upperBound)]
  }

  private func number(_ value: Double?) -> JSONValue { value.map(JSONValue.double) ?? .null }
}

extension MergeCosts {
  /// One cost of all walks.
  fileprivate func sum(_ cost: KeyPath<Walk, Int>) -> Int { walks.reduce(0) { $0 + $1.walk[keyPath: cost] } }
}
