import Diagnostics
import JSON

/// What is to be written as one tensor.
public struct TensorLayout: Equatable, Sendable {
  /// The name, unique in the checkpoint.
  public var name: String
  /// The type of every element.
  public var type: StoredType
  /// The extent of each dimension, row-major; empty for a single element.
  public var shape: [Int]

  /// Describes a tensor to be written.
  public init(name: String, type: StoredType, shape: [Int]) {
    self.name = name
    self.type = type
    self.shape = shape
  }
}

/// What is to be written as one safetensors file.
public struct ShardLayout: Equatable, Sendable {
  /// The name of the file inside its directory.
  public var fileName: String
  /// The tensors in the order of their bytes.
  public var tensors: [TensorLayout]
  /// The `__metadata__`; several readers refuse a model file that does not name the format `pt`.
  public var metadata: [String: String]

  /// Describes a file to be written.
  public init(fileName: String, tensors: [TensorLayout], metadata: [String: String] = ["format": "pt"]) {
    self.fileName = fileName
    self.tensors = tensors
    self.metadata = metadata
  }
}

extension Checkpoint {
  /// The same files with the same tensors in the same order, to be written anew: what a merge gives to its output.
  ///
  /// A single file is named `model.safetensors`, whatever it was called, because that name needs no index.
  public var layout: [ShardLayout] {
    shards.map { shard in
      ShardLayout(
        fileName: shards.count == 1 ? "model.safetensors" : shard.fileName,
        tensors: shard.header.tensors.map { TensorLayout(name: $0.name, type: $0.type, shape: $0.shape) })
    }
  }
}

extension ShardLayout {
  /// Places the tensors and spells the head of the file: length, JSON in the order of the tensors, and the spaces that align
  /// the elements to 8 bytes.
  ///
  /// - Throws: `Failure` of category `internalError` for a name given twice, a shape that cannot be counted, or a head that
  ///   no reader would accept.
  func head() throws(Failure) -> (header: SafetensorsHeader, bytes: [UInt8]) {
    var entries = JSONObject()
    if !metadata.isEmpty {
      let ordered = metadata.sorted { $0.key < $1.key }
      entries[SafetensorsHeader.metadataKey] = .object(JSONObject(ordered.map { ($0.key, .string($0.value)) }))
    }
    var ends: [Int] = []
    for tensor in tensors {
      let start = ends.last ?? 0
      guard let byteCount = tensor.type.byteCount(shape: tensor.shape),
        case (let end, false) = start.addingReportingOverflow(byteCount)
      else {
        throw failure(tensor.name, "a shape whose bytes can be counted", "\(tensor.type.rawValue) \(tensor.shape)")
      }
      guard tensor.name != SafetensorsHeader.metadataKey, entries[tensor.name] == nil else {
        throw failure(tensor.name, "a name of its own for every tensor", "the name again")
      }
      entries[tensor.name] = [
        "dtype": .string(tensor.type.rawValue), "shape": .array(tensor.shape.map { .integer($0) }),
        "data_offsets": [.integer(start), .integer(end)],
      ]
      ends.append(end)
    }

    var text = Array(JSONValue.object(entries).compact.utf8)
    text += repeatElement(UInt8(ascii: " "), count: -text.count & 7)
    guard text.count <= SafetensorsHeader.longestText else {
      throw failure(nil, "a header of at most \(SafetensorsHeader.longestText) bytes", "\(text.count)")
    }
    let byteCount = SafetensorsHeader.lengthByteCount + text.count
    let starts = [0] + ends.dropLast()
    let records = zip(tensors, zip(starts, ends)).map { tensor, range in
      TensorRecord(
        name: tensor.name, type: tensor.type, shape: tensor.shape,
        byteRange: byteCount + range.0..<byteCount + range.1)
    }
    let length = (0..<SafetensorsHeader.lengthByteCount).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
    return (SafetensorsHeader(tensors: records, metadata: metadata, byteCount: byteCount), length + text)
  }

  private func failure(_ tensor: String?, _ expected: String, _ got: String) -> Failure {
    Failure(
      .internalError, operation: "lay out the safetensors file",
      subject: tensor.map { "\(fileName), tensor \($0)" } ?? fileName, expected: expected, got: got)
  }
}
