import Diagnostics
import JSON

/// One of several processes that write an output together.
public struct Part: Hashable, Sendable {
  /// Which one, from 1.
  public let number: Int
  /// How many there are.
  public let count: Int

  /// The whole output.
  public static let whole = Part(number: 1, count: 1)

  /// The most parts of one output.
  public static let mostParts = 10_000

  private init(number: Int, count: Int) {
    self.number = number
    self.count = count
  }

  /// Reads `K/N`.
  ///
  /// - Returns: `nil` unless 1 ≤ K ≤ N ≤ 10000.
  public init?(_ text: String) {
    let numbers = text.split(separator: "/", omittingEmptySubsequences: false)
    guard numbers.count == 2, let number = Int(numbers[0]), let count = Int(numbers[1]),
      (1...Part.mostParts).contains(count), (1...count).contains(number)
    else { return nil }
    self.init(number: number, count: count)
  }

  /// All parts of an output.
  static func all(_ count: Int) -> [Part] { (1...count).map { Part(number: $0, count: count) } }
}

extension Part: CustomStringConvertible {
  /// `K of N`.
  public var description: String { "\(number) of \(count)" }
}

/// Which part writes which tensors; every process finds the same.
///
/// Where there are at least as many files as parts, a part writes whole files, so that no two machines write into one; else
/// it writes whole tensors. Files or tensors are dealt out from the largest to the smallest, each to the part that has the
/// fewest bytes so far, and of those to the first; so there may be parts without any when there are more parts than tensors.
struct PartAssignment {
  private var numbers: [ExactString: Int] = [:]

  init(_ shards: [SafetensorsHeader], parts: Int) {
    let tensors = shards.map(\.tensors)
    let units = parts <= shards.count ? tensors : tensors.joined().map { [$0] }
    let sizes = units.map { $0.reduce(0) { $0 + $1.byteRange.count } }
    let largestFirst = units.indices.sorted { (sizes[$0], $1) > (sizes[$1], $0) }
    var loads = [Int](repeating: 0, count: parts)
    for unit in largestFirst {
      let part = loads.indices.min { (loads[$0], $0) < (loads[$1], $1) } ?? 0
      loads[part] += sizes[unit]
      for tensor in units[unit] { numbers[ExactString(tensor.name)] = part + 1 }
    }
  }

  /// The number of the part that writes a tensor.
  func part(of tensor: String) -> Int? { numbers[ExactString(tensor)] }
}
