import Checkpoint
import Compute
import ComputeCPU
import Diagnostics
import Foundation
import JSON
import Recall
import TestSupport
import Testing

/// Adapters as PEFT saves them, against the models that PEFT's merge_and_unload makes of them.
@Suite struct AdapterTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// An adapter with the merged tensors beside it, and its base.
  struct Case: CustomStringConvertible, Sendable {
    let name: String
    let base: String

    var adapter: String { "\(Fixtures.root)/adapters/\(name)" }
    var description: String { name }
  }

  static let cases = [
    Case(name: "llama-plain", base: Fixtures.checkpoint("llama-3.1")),
    Case(name: "llama-patterns", base: Fixtures.checkpoint("llama-2")),
    Case(name: "llama-some-blocks", base: Fixtures.checkpoint("llama-3.1")),
    Case(name: "llama-embedding", base: Fixtures.checkpoint("llama-3.1")),
    Case(name: "llama-saved", base: Fixtures.checkpoint("llama-2")),
    Case(name: "qwen2-biases", base: Fixtures.checkpoint("qwen2")),
    Case(name: "qwen2-tied", base: Fixtures.checkpoint("qwen2")),
    Case(name: "family-sentiment", base: family("base")),
  ]

  static func family(_ name: String) -> String {
    URL(fileURLWithPath: Fixtures.root).deletingLastPathComponent().deletingLastPathComponent().path
      + "/Benchmarks/continual/family/\(name)"
  }

  private func samples() throws -> String {
    try directory.write(
      (0..<4).map { "{\"input_ids\": [\((1..<9 + $0).map { "\($0 * 7 % 90)" }.joined(separator: ","))]}\n" }.joined(),
      to: "samples.jsonl")
  }

  /// What the shapes of a model's tensors are when PEFT has merged the adapter: the base with PEFT's tensors in place.
  private func merged(_ adapter: Case) throws -> String {
    let copy = try directory.copy(of: adapter.base, as: "merged")
    let base = try Checkpoint(directory: adapter.base)
    let changed = try Checkpoint(directory: goldens(adapter))
    let path = "\(copy)/model.safetensors"
    var data = try Data(contentsOf: URL(fileURLWithPath: path))
    for tensor in changed.tensors {
      // The head of a tied model is in PEFT's dictionary and not in the file.
      guard let place = base.tensor(named: tensor.name) else { continue }
      #expect(place.type == tensor.type && place.shape == tensor.shape)
      data.replaceSubrange(place.byteRange, with: try changed.bytes(of: tensor))
    }
    try data.write(to: URL(fileURLWithPath: path))
    return copy
  }

  /// The merged tensors in a directory of their own.
  private func goldens(_ adapter: Case) throws -> String {
    let path = directory("goldens")
    guard !FileManager.default.fileExists(atPath: path) else { return path }
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try FileManager.default.copyItem(
      atPath: "\(adapter.adapter)/merged.safetensors", toPath: "\(path)/model.safetensors")
    return path
  }

  /// A recipe that merges an adapter with a copy of itself, so that the result is the adapted model.
  private func alone(_ adapter: Case) throws -> MergeRecipe {
    var recipe = MergeRecipe()
    recipe.anchor = try self.adapter(adapter, as: "a")
    recipe.models = [try self.adapter(adapter, as: "b")]
    recipe.base = adapter.base
    recipe.samples = try samples()
    recipe.typical = 2
    return recipe
  }

  /// A copy of an adapter without what is beside it.
  private func adapter(_ adapter: Case, as name: String) throws -> String {
    let copy = try directory.copy(of: adapter.adapter, as: name)
    try? FileManager.default.removeItem(atPath: "\(copy)/merged.safetensors")
    return copy
  }

  @Test("adapted tensors are those of PEFT, to one rounding of the base's type", arguments: cases)
  func tensors(adapter: Case) throws {
    try merge(alone(adapter), into: directory("out"))
    let (out, base) = (try Checkpoint(directory: directory("out")), try Checkpoint(directory: adapter.base))
    let changed = try Checkpoint(directory: goldens(adapter))
    #expect(out.tensors.map(\.name) == base.tensors.map(\.name))
    for tensor in out.tensors {
      let original = try #require(base.tensor(named: tensor.name))
      #expect(tensor.type == original.type && tensor.shape == original.shape)
      let before = try base.values(of: original)
      let after = try out.values(of: tensor)
      guard let golden = changed.tensor(named: tensor.name) else {
        // Of the family one block is kept.
        if adapter.name != "family-sentiment" { #expect(after == before, "\(tensor.name)") }
        continue
      }
      let expected = try changed.values(of: golden)
      // PEFT rounds s·B·A to the base's type, adds, and rounds again: half a unit each, of the larger of the summands and
      // the sum. In float32 the product of up to four terms adds as many roundings.
      let unit: Float = tensor.type == .bfloat16 ? 0x1p-7 : tensor.type == .float16 ? 0x1p-10 : 0x1p-20
      var differing = 0
      for (index, value) in after.enumerated() {
        let largest = max(abs(before[index]), abs(expected[index]), abs(expected[index] - before[index]))
        #expect(abs(value - expected[index]) <= unit * largest, "\(tensor.name)[\(index)]")
        if value != before[index] { differing += 1 }
      }
      #expect(differing > after.count / 2, "\(tensor.name) is changed")
    }
  }

  @Test("hidden states are those of PEFT's merged model", arguments: cases.filter { $0.name != "family-sentiment" })
  func states(adapter: Case) throws {
    var recipe = MergeRecipe()
    recipe.samples = try samples()
    recipe.base = adapter.base
    let backend = try CPUBackend()
    let adapted = try HierarchicalMerge(recipe, on: backend).extract(model: self.adapter(adapter, as: "adapter"))
    let expected = try HierarchicalMerge(recipe, on: backend).extract(model: merged(adapter))
    let plain = try HierarchicalMerge(recipe, on: backend).extract(model: adapter.base)
    for (index, (layer, other)) in zip(adapted.layers, expected.layers).enumerated() {
      let largest = other.values.map(abs).max() ?? 0
      let farthest = zip(layer.values, other.values).map { abs($0 - $1) }.max() ?? 0
      // Weights that differ by a unit of bfloat16 in places move states of this width by a few percent at most.
      let bound: Float = adapter.base.hasSuffix("llama-2") ? 1e-5 : 0.03
      #expect(farthest <= bound * largest, "\(layer.layer.name): \(farthest) of \(largest)")
      guard index == adapted.layers.count - 1 else { continue }
      let change = zip(layer.values, plain.layers[index].values).map { abs($0 - $1) }.max() ?? 0
      #expect(change > 3 * bound * largest, "the adapter does something: \(change) of \(largest)")
    }
    #expect(adapted.source.digest != expected.source.digest && adapted.source.digest != plain.source.digest)
    #expect(adapted.source.base?.digest == plain.source.digest)
  }

  @Test("stages give the bytes of the merge, where whole maps are adapted and where pieces are", arguments: cases)
  func stages(adapter: Case) throws {
    let recipe = try alone(adapter)
    let whole = try merge(recipe, into: directory("out"))
    let again = try HierarchicalMerge(MergeRecipe(), on: CPUBackend()).fuse(
      whole, from: directory("out/recall.json"), moved: [], into: directory("again"), overwrite: false)
    #expect(again.report.models.map { $0.base?.path } == [adapter.base, adapter.base])
    for name in try FileManager.default.contentsOfDirectory(atPath: directory("out")) where name != "recall.json" {
      #expect(FileManager.default.contentsEqual(atPath: directory("out/\(name)"), andPath: directory("again/\(name)")))
    }
  }
}

extension Checkpoint {
  /// The elements of a tensor of 16 or 32 bits.
  fileprivate func values(of tensor: TensorRecord) throws -> [Float] {
    let bytes = try bytes(of: tensor)
    func word(_ index: Int) -> UInt32 { UInt32(bytes[2 * index]) | UInt32(bytes[2 * index + 1]) << 8 }
    return switch tensor.type {
    case .bfloat16: (0..<tensor.elementCount).map { Float(bitPattern: word($0) << 16) }
    case .float16: (0..<tensor.elementCount).map { Float(Float16(bitPattern: UInt16(word($0)))) }
    default: (0..<tensor.elementCount).map { Float(bitPattern: word(2 * $0) | word(2 * $0 + 1) << 16) }
    }
  }
}
