/// Where one tensor lies in a safetensors file.
public struct TensorRecord: Equatable, Sendable {
  /// The name, unique within its checkpoint by its exact bytes.
  public let name: String
  /// The type of every element.
  public let type: StoredType
  /// The extent of each dimension, row-major; empty for a single element.
  public let shape: [Int]
  /// The bytes of the elements, counted from the start of the file.
  public let byteRange: Range<Int>

  /// Describes a tensor; `byteRange` must have the bytes that `type` and `shape` ask for.
  public init(name: String, type: StoredType, shape: [Int], byteRange: Range<Int>) {
    self.name = name
    self.type = type
    self.shape = shape
    self.byteRange = byteRange
  }

  /// The number of elements.
  public var elementCount: Int { byteRange.count * 8 / type.bitWidth }
}
