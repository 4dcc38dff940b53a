import Checkpoint
import Diagnostics
import Foundation
import Recall
import TestSupport

/// A tensor to be written into a small checkpoint of no known architecture.
struct StrangeTensor {
  var name: String
  var type: StoredType
  var shape: [Int]
  /// Numbers that the type holds exactly.
  var values: [Double]

  var layout: TensorLayout { TensorLayout(name: name, type: type, shape: shape) }

  /// The bytes as stored.
  var bytes: [UInt8] {
    values.flatMap { value -> [UInt8] in
      func raw(_ bits: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: bits.littleEndian) { Array($0) } }
      switch type {
      case .float64: return raw(value.bitPattern)
      case .float32: return raw(Float(value).bitPattern)
      case .float16: return raw(Float16(value).bitPattern)
      case .bfloat16: return raw(UInt16(Float(value).bitPattern >> 16))
      default: return raw(Int64(value))
      }
    }
  }
}

/// Writes a checkpoint of an architecture that nobody knows, one shard for each list of tensors.
@discardableResult
func writeStrangeModel(
  _ shards: [[StrangeTensor]], to path: String, configuration: String? = "{\"model_type\": \"stranger\"}",
  tokenizer: String? = nil
) throws -> String {
  let layouts = shards.enumerated().map { number, tensors in
    ShardLayout(
      fileName: shards.count == 1 ? "model.safetensors" : "model-\(number + 1)-of-\(shards.count).safetensors",
      tensors: tensors.map(\.layout))
  }
  let writer = try CheckpointWriter(output: path, shards: layouts)
  for tensor in shards.joined() {
    let bytes = tensor.bytes
    try writer.write(tensor.name, at: 0, bytes: bytes.span.bytes)
    try writer.finish(tensor.name, inputs: [], nonFinite: 0)
  }
  if let configuration { try writer.addFile("config.json", bytes: Array(configuration.utf8)) }
  if let tokenizer { try writer.addFile("tokenizer.json", bytes: Array(tokenizer.utf8)) }
  try writer.finish()
  return path
}

/// A value rounded to a stored type, nearest with ties to even, by arithmetic on integers.
///
/// A reference that shares nothing with the loops it checks. The value must be a quarter of a whole number, small enough to
/// be exact.
func rounded(_ value: Double, to type: StoredType) -> Double {
  let digits = type == .bfloat16 ? 8 : type == .float16 ? 11 : 24
  var quarters = Int(value * 4)
  let isNegative = quarters < 0
  quarters = abs(quarters)
  var scale = 1
  while quarters / scale >= 1 << digits { scale *= 2 }
  let (quotient, remainder) = quarters.quotientAndRemainder(dividingBy: scale)
  let roundsUp = 2 * remainder > scale || 2 * remainder == scale && !quotient.isMultiple(of: 2)
  let result = Double((quotient + (roundsUp ? 1 : 0)) * scale) / 4
  return isNegative ? -result : result
}

/// The numbers of a tensor of a floating type.
func numbers(_ bytes: [UInt8], _ type: StoredType) -> [Double] {
  bytes.withUnsafeBytes { raw in
    switch type {
    case .float64: raw.bindMemory(to: Double.self).map { $0 }
    case .float32: raw.bindMemory(to: Float.self).map { Double($0) }
    case .float16: raw.bindMemory(to: Float16.self).map { Double($0) }
    default: raw.bindMemory(to: UInt16.self).map { Double(Float(bitPattern: UInt32($0) << 16)) }
    }
  }
}
