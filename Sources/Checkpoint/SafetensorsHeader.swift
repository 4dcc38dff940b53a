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
    let document = try JSONValue(parsing: text, from: file, operation: operation)
    guard let entries = document.object?.members else {
      throw headerFailure(file, expected: "a JSON object", got: document.kind)
    }
    let byteCount = lengthByteCount + text.count
    var metadata: [String: String] = [:]
    var tensors: [TensorRecord] = []
    tensors.reserveCapacity(entries.count)
    for entry in entries {
      if entry.key == metadataKey {
        metadata = try parseMetadata(entry.value, file: file)
      } else {
        tensors.append(
          try parseTensor(
            entry.key, entry.value, from: byteCount, to: fileByteCount,
            subject: "\(file), tensor \(excerpt(entry.key))"))
      }
    }
    tensors.sort {
      ($0.byteRange.lowerBound, $0.byteRange.upperBound) < ($1.byteRange.lowerBound, $1.byteRange.upperBound)
    }
    try requireTiling(tensors, from: byteCount, to: fileByteCount, file: file)
    return SafetensorsHeader(tensors: tensors, metadata: metadata, byteCount: byteCount)
  }

  /// The one key that names no tensor.
  static let metadataKey = "__metadata__"
  private static let operation = "read the safetensors header"

  private static func parseMetadata(_ value: JSONValue, file: String) throws(Failure) -> [String: String] {
    guard !value.isNull else { return [:] }
    guard let members = value.object?.members else {
      throw headerFailure(file, expected: "an object of strings as \(metadataKey)", got: value.kind)
    }
    var metadata: [String: String] = [:]
    for member in members {
      guard let text = member.value.string else {
        throw headerFailure(
          file, expected: "a string as \(metadataKey) value of \"\(excerpt(member.key))\"", got: member.value.kind)
      }
      metadata[member.key] = text
    }
    return metadata
  }

  private static func parseTensor(
    _ name: String, _ entry: JSONValue, from start: Int, to end: Int, subject: String
  ) throws(Failure) -> TensorRecord {
    guard let members = entry.object else {
      throw headerFailure(subject, expected: "an object with dtype, shape and data_offsets", got: entry.kind)
    }
    let type = try parseType(members["dtype"], subject: subject)
    let shape = try parseNaturals(members["shape"], key: "shape", subject: subject)
    let offsets = try parseNaturals(members["data_offsets"], key: "data_offsets", subject: subject)
    guard offsets.count == 2, offsets[0] <= offsets[1], offsets[1] <= end - start else {
      throw headerFailure(
        subject, expected: "data_offsets [begin, end] with begin ≤ end ≤ \(end - start)", got: "\(offsets)")
    }
    guard let byteCount = type.byteCount(shape: shape) else {
      throw headerFailure(
        subject, expected: "a shape whose elements fill a countable number of whole bytes",
        got: "\(type.rawValue) \(shape)")
    }
    guard offsets[1] - offsets[0] == byteCount else {
      throw headerFailure(
        subject, expected: "\(byteCount) bytes for \(type.rawValue) \(excerpt("\(shape)"))",
        got: "data_offsets \(offsets)")
    }
    return TensorRecord(name: name, type: type, shape: shape, byteRange: start + offsets[0]..<start + offsets[1])
  }

  private static func parseType(_ value: JSONValue?, subject: String) throws(Failure) -> StoredType {
    guard let tag = value?.string else {
      throw headerFailure(subject, expected: "a string as dtype", got: value?.kind ?? "none")
    }
    guard let type = StoredType(rawValue: tag) else {
      throw headerFailure(
        subject, expected: "a dtype of the safetensors format", got: "\"\(tag)\"",
        advice: "Known are \(StoredType.allCases.map(\.rawValue).joined(separator: ", ")).")
    }
    return type
  }

  private static func parseNaturals(_ value: JSONValue?, key: String, subject: String) throws(Failure) -> [Int] {
    guard let elements = value?.array else {
      throw headerFailure(subject, expected: "an array as \(key)", got: value?.kind ?? "none")
    }
    var naturals: [Int] = []
    for element in elements {
      guard let natural = element.integer, natural >= 0 else {
        throw headerFailure(subject, expected: "whole numbers from 0 in \(key)", got: element.compact)
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
