import Diagnostics
import JSON

/// What the head of a safetensors file says about its tensors.
///
/// The format is an 8-byte little-endian length, that many bytes of JSON, then the elements. A header that was parsed has
/// been proven: every type is known, every size follows from its shape, and the tensors tile the rest of the file exactly.
public struct SafetensorsHeader: Sendable {
  /// The bytes of the length in front of the JSON text.
  static let lengthByteCount = 8
  /// The longest JSON text that any reader of the format accepts.
  public static let longestText = 100_000_000

  /// The tensors in the order of their bytes.
  public let tensors: [TensorRecord]
  /// The free-form `__metadata__`.
  public let metadata: [String: String]
  /// The bytes of the whole head, which is where the elements start.
  public let byteCount: Int
}

extension SafetensorsHeader {
  /// Reads the head of an open file.
  static func read(_ file: InputFile) throws(Failure) -> SafetensorsHeader {
    guard file.byteCount >= lengthByteCount else {
      throw headerFailure(
        file.path, expected: "at least \(lengthByteCount) bytes", got: "\(file.byteCount)")
    }
    let length = try file.bytes(0..<lengthByteCount).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= longestText else {
      throw headerFailure(
        file.path, expected: "a header of at most \(longestText) bytes", got: "a length field of \(length)")
    }
    let end = lengthByteCount + Int(length)
    guard end <= file.byteCount else {
      throw headerFailure(
        file.path, expected: "a header of \(length) bytes", got: "a file that ends after \(file.byteCount) bytes")
    }
    return try parse(file.bytes(lengthByteCount..<end), fileByteCount: file.byteCount, file: file.path)
  }

  /// Proves the JSON text of a header.
  ///
  /// As in the format's own reader, unknown keys in the entry of a tensor are ignored. Unlike it, a key that occurs twice
  /// is refused. Time and memory are linear in the length of the text, apart from sorting the tensors.
  ///
  /// - Parameters:
  ///   - text: The JSON text without the length in front of it; spaces around it are allowed.
  ///   - fileByteCount: The size of the whole file in bytes.
  ///   - file: The file, for errors.
  /// - Returns: The proven header.
  /// - Throws: `Failure` of category `badData` that names the file and the tensor.
  public static func parse(
    _ text: [UInt8], fileByteCount: Int, file: String
  ) throws(Failure) -> SafetensorsHeader {
    var reader = JSONReader(text, from: file, operation: operation)
    guard reader.nextKind() == .object else {
      throw headerFailure(file, expected: "a JSON object", got: try reader.kindText())
    }
    let byteCount = lengthByteCount + text.count
    var metadata: [String: String] = [:]
    var tensors: [TensorRecord] = []
    try reader.object { (key, reader) throws(Failure) in
      if key == metadataKey {
        metadata = try parseMetadata(&reader, file: file)
      } else {
        tensors.append(
          try parseTensor(
            key, &reader, from: byteCount, to: fileByteCount, subject: "\(file), tensor \(excerpt(key))"))
      }
    }
    try reader.end()
    tensors.sort {
      ($0.byteRange.lowerBound, $0.byteRange.upperBound) < ($1.byteRange.lowerBound, $1.byteRange.upperBound)
    }
    try requireTiling(tensors, from: byteCount, to: fileByteCount, file: file)
    return SafetensorsHeader(tensors: tensors, metadata: metadata, byteCount: byteCount)
  }

  /// The one key that names no tensor.
  static let metadataKey = "__metadata__"
  /// The most dimensions of a tensor; PyTorch has at most 64.
  private static let mostDimensions = 64
  /// The most entries of `__metadata__`; real ones have a handful.
  private static let mostMetadata = 10_000
  private static let operation = "read the safetensors header"

  private static func parseMetadata(_ reader: inout JSONReader, file: String) throws(Failure) -> [String: String] {
    guard reader.nextKind() == .object else {
      let kind = try reader.kindText()
      guard kind == JSONValue.null.kind else {
        throw headerFailure(file, expected: "an object of strings as \(metadataKey)", got: kind)
      }
      return [:]
    }
    var metadata: [String: String] = [:]
    try reader.object { (key, reader) throws(Failure) in
      guard reader.nextKind() == .string else {
        throw headerFailure(
          file, expected: "a string as \(metadataKey) value of \"\(excerpt(key))\"", got: try reader.kindText())
      }
      guard metadata.count < mostMetadata else {
        throw headerFailure(file, expected: "at most \(mostMetadata) entries in \(metadataKey)", got: "more")
      }
      metadata[key] = try reader.string()
    }
    return metadata
  }

  private static func parseTensor(
    _ name: String, _ reader: inout JSONReader, from start: Int, to end: Int, subject: @autoclosure () -> String
  ) throws(Failure) -> TensorRecord {
    guard reader.nextKind() == .object else {
      throw headerFailure(
        subject(), expected: "an object with dtype, shape and data_offsets", got: try reader.kindText())
    }
    var members: (type: StoredType?, shape: [Int]?, offsets: [Int]?)
    try reader.object { (key, reader) throws(Failure) in
      switch key {
      case "dtype": members.type = try parseType(&reader, subject: subject())
      case "shape": members.shape = try parseNaturals(&reader, key: key, most: mostDimensions, subject: subject())
      case "data_offsets": members.offsets = try parseNaturals(&reader, key: key, most: 2, subject: subject())
      default: try reader.skipValue()
      }
    }
    guard let type = members.type else { throw headerFailure(subject(), expected: "a string as dtype", got: "none") }
    guard let shape = members.shape else { throw headerFailure(subject(), expected: "an array as shape", got: "none") }
    guard let offsets = members.offsets else {
      throw headerFailure(subject(), expected: "an array as data_offsets", got: "none")
    }
    guard offsets.count == 2, offsets[0] <= offsets[1], offsets[1] <= end - start else {
      throw headerFailure(
        subject(), expected: "data_offsets [begin, end] with begin ≤ end ≤ \(end - start)", got: "\(offsets)")
    }
    guard let byteCount = type.byteCount(shape: shape) else {
      throw headerFailure(
        subject(), expected: "a shape whose elements fill a countable number of whole bytes",
        got: "\(type.rawValue) \(shape)")
    }
    guard offsets[1] - offsets[0] == byteCount else {
      throw headerFailure(
        subject(), expected: "\(byteCount) bytes for \(type.rawValue) \(excerpt("\(shape)"))",
        got: "data_offsets \(offsets)")
    }
    return TensorRecord(name: name, type: type, shape: shape, byteRange: start + offsets[0]..<start + offsets[1])
  }

  private static func parseType(
    _ reader: inout JSONReader, subject: @autoclosure () -> String
  ) throws(Failure) -> StoredType {
    guard reader.nextKind() == .string else {
      throw headerFailure(subject(), expected: "a string as dtype", got: try reader.kindText())
    }
    let tag = try reader.string()
    guard let type = StoredType(rawValue: tag) else {
      throw headerFailure(
        subject(), expected: "a dtype of the safetensors format", got: "\"\(tag)\"",
        advice: "Known are \(StoredType.allCases.map(\.rawValue).joined(separator: ", ")).")
    }
    return type
  }

  private static func parseNaturals(
    _ reader: inout JSONReader, key: String, most: Int, subject: @autoclosure () -> String
  ) throws(Failure) -> [Int] {
    guard reader.nextKind() == .array else {
      throw headerFailure(subject(), expected: "an array as \(key)", got: try reader.kindText())
    }
    var naturals: [Int] = []
    try reader.array { (reader) throws(Failure) in
      let expected = "whole numbers from 0 in \(key)"
      guard reader.nextKind() == .other else {
        throw headerFailure(subject(), expected: expected, got: try reader.kindText())
      }
      let element = try reader.value()
      guard let natural = element.integer, natural >= 0 else {
        throw headerFailure(subject(), expected: expected, got: element.compact)
      }
      guard naturals.count < most else {
        throw headerFailure(subject(), expected: "at most \(most) numbers in \(key)", got: "more")
      }
      naturals.append(natural)
    }
    return naturals
  }

  /// Requires that no byte between head and end of the file is claimed twice or by nobody, so that nothing can hide there.
  private static func requireTiling(
    _ tensors: [TensorRecord], from start: Int, to end: Int, file: String
  ) throws(Failure) {
    var position = start
    for tensor in tensors {
      guard tensor.byteRange.lowerBound == position else {
        throw headerFailure(
          "\(file), tensor \(excerpt(tensor.name))", expected: "data that starts at offset \(position - start)",
          got: "offset \(tensor.byteRange.lowerBound - start), "
            + (tensor.byteRange.lowerBound < position ? "which overlaps another tensor" : "which leaves a hole"))
      }
      position = tensor.byteRange.upperBound
    }
    guard position == end else {
      throw headerFailure(file, expected: "a file of \(position) bytes", got: "\(end - position) bytes more")
    }
  }

  private static func headerFailure(
    _ subject: String, expected: String, got: String,
    advice: String = "Download or write the file again; it is cut short, damaged or not a safetensors file."
  ) -> Failure {
    Failure(.badData, operation: operation, subject: subject, expected: expected, got: excerpt(got), advice: advice)
  }
}
