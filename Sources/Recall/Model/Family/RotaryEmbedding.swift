import Foundation

/// How the position of a token becomes the angles by which its queries and keys are turned (RoFormer, arXiv 2104.09864).
public struct RotaryEmbedding: Sendable, Hashable {
  /// How frequencies are stretched for texts longer than those of pre-training.
  public enum Scaling: Sendable, Hashable {
    /// Not at all.
    case none
    /// All frequencies are divided by a factor.
    case linear(factor: Double)
    /// Llama 3.1: long wavelengths are divided by a factor, short ones kept, those between blended.
    case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalPositions: Double)
  }

  /// The first elements of a head, which are turned in pairs `i` and `i + dimension / 2`; the others stay as they are.
  public var dimension: Int
  /// θ: pair `i` turns by `position · θ^(−2i / dimension)`.
  public var base: Double
  /// The stretching.
  public var scaling: Scaling

  /// Describes a rotary embedding.
  public init(dimension: Int, base: Double, scaling: Scaling = .none) {
    self.dimension = dimension
    self.base = base
    self.scaling = scaling
  }

  /// The angle per position of each pair: `dimension / 2` numbers.
  public var frequencies: [Double] {
    (0..<dimension / 2).map { pair in
      stretched(pow(base, -Double(2 * pair) / Double(dimension)))
    }
  }

  /// Cosines and sines of all angles, each `[positions, dimension / 2]`, row major.
  public func tables(positions: Int) -> (cosines: [Float], sines: [Float]) {
    // The models were trained with angles rounded to single precision, so the product is rounded before the cosine.
    let frequencies = frequencies.map(Float.init)
    let angles = (0..<positions).flatMap { position in frequencies.map { Float(position) * $0 } }
    return (angles.map { Float(cos(Double($0))) }, angles.map { Float(sin(Double($0))) })
  }

  private func stretched(_ frequency: Double) -> Double {
    switch scaling {
    case .none: return frequency
    case .linear(let factor): return frequency / factor
    case .llama3(let factor, let low, let high, let originalPositions):
      let turns = originalPositions * frequency / (2 * .pi)
      if turns < low { return frequency / factor }
      if turns > high { return frequency }
      let blend = (turns - low) / (high - low)
      return (1 - blend) * frequency / factor + blend * frequency
    }
  }
}

extension RotaryEmbedding: CustomStringConvertible {
  /// The embedding in the words of config.json.
  public var description: String {
    let kind =
      switch scaling {
      case .none: "default"
      case .linear(let factor): "linear by \(factor)"
      case .llama3(let factor, let low, let high, let positions): "llama3 by \(factor), \(low), \(high), \(positions)"
      }
    return "rope_theta \(base), rope_type \(kind)"
  }
}
