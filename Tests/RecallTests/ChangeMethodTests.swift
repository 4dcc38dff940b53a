import Checkpoint
import Compute
import ComputeCPU
import Diagnostics
import Foundation
import JSON
import Recall
import TestSupport
import Testing

/// Methods that add what is kept of the models' changes from a base, on checkpoints of an architecture that nobody knows.
@Suite(.serialized) struct ChangeMethodTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Quarters in a narrow range, so that most magnitudes of changes are met many times, 0 among them.
  private func values(_ count: Int, model: Int) -> [Double] {
    (0..<count).map { element in
      let mixed = (element &* 2_654_435_761 &+ model &* 40_503) >> 7
      return Double(mixed % 9 - 4) / 4
    }
  }

  private func tensors(model: Int) -> [StrangeTensor] {
    [
      StrangeTensor(name: "a.kernel", type: .bfloat16, shape: [71, 1009], values: values(71 * 1009, model: model)),
      StrangeTensor(name: "b.long", type: .float16, shape: [1, 300_007], values: values(300_007, model: 3 * model)),
      StrangeTensor(name: "c.equal", type: .float32, shape: [1021], values: values(1021, model: 0)),
      StrangeTensor(
        name: "d.shifted", type: .float32, shape: [1021], values: values(1021, model: 0).map { $0 + Double(model) }),
      StrangeTensor(name: "e.scale", type: .bfloat16, shape: [], values: [Double(model + 1)]),
      StrangeTensor(name: "f.nothing", type: .float32, shape: [0, 3], values: []),
    ]
  }

  private func models() throws -> [String] {
    try (0..<4).map { model in
      let path = directory("model-\(model)")
      if !FileManager.default.fileExists(atPath: path) { try writeStrangeModel([tensors(model: model)], to: path) }
      return path
    }
  }

  /// A recipe with model 0 as base.
  private func recipe(_ method: String, _ change: (inout MergeRecipe) -> Void = { _ in }) throws -> MergeRecipe {
    var recipe = MergeRecipe()
    recipe.method = method
    let paths = try models()
    recipe.base = paths[0]
    recipe.models = Array(paths[1...])
    recipe.weights = [0.5, 0.25, -0.75]
    recipe.elementType = .float32
    change(&recipe)
    return recipe
  }

  /// Every way to keep and add changes, and slerp, whose coefficients come from sums over whole tensors.
  private func recipes() throws -> [(name: String, recipe: MergeRecipe)] {
    [
      ("sums", try recipe("task-arithmetic") { $0.scale = 0.7 }), ("ties", try recipe("ties") { $0.density = 0.3 }),
      ("dare", try recipe("dare-linear") { $0.density = 0.4 }),
      (
        "dare-ties",
        try recipe("dare-ties") {
          $0.density = 0.4
          $0.rescale = .norm
          $0.seed = 5
        }
      ),
      (
        "slerp",
        try recipe("slerp") {
          $0.models.removeLast()
          $0.weights = []
          $0.t = 0.25
        }
      ),
    ]
  }

  @discardableResult
  private func merge(
    _ recipe: MergeRecipe, into name: String, memory: Int? = nil, on backend: (any ComputeBackend)? = nil
  ) throws -> MergeReport {
    try MergeMethods.named(recipe.method).merge(
      recipe, into: MergeTarget(directory(name)), memoryBudget: memory, on: backend ?? CPUBackend(),
      progress: .unwatched
    ).report
  }

  private func merged(_ name: String) throws -> [String: [Float]] {
    let checkpoint = try Checkpoint(directory: directory(name))
    return Dictionary(
      uniqueKeysWithValues: try checkpoint.tensors.map {
        ($0.name, numbers(try checkpoint.bytes(of: $0), $0.type).map { Float($0) })
      })
  }

  private func bytes(_ name: String) throws -> [UInt8] { try readFile("\(directory(name))/model.safetensors") }

  @Test("neither threads, nor memory, nor the order of the models changes a byte")
  func sameBytes() throws {
    for (name, recipe) in try recipes() {
      let report = try merge(recipe, into: name)
      let expected = try bytes(name)
      for threads in [1, 3] {
        try merge(recipe, into: "\(name)-\(threads)", on: CPUBackend(.init(threads: threads)))
        #expect(try bytes("\(name)-\(threads)") == expected, "\(name), \(threads) threads")
      }
      try merge(recipe, into: "\(name)-small", memory: 101 << 20)
      #expect(try bytes("\(name)-small") == expected, "\(name), little memory")
      var turned = recipe
      turned.models.reverse()
      turned.weights.reverse()
      turned.t = 1 - turned.t
      let other = try merge(turned, into: "\(name)-turned")
      #expect(try bytes("\(name)-turned") == expected, "\(name), another order")
      #expect(other.recipe.json.compact == report.recipe.json.compact, "\(name)")
    }
  }

  @Test("the same bytes on OpenCL as on the processor", arguments: OpenCLDevices.numbers)
  func openCL(number: Int) throws {
    let backend = try OpenCLDevices.open(number)
    for (name, recipe) in try recipes() {
      try merge(recipe, into: name)
      try merge(recipe, into: "\(name)-opencl", on: backend)
      #expect(try bytes("\(name)-opencl") == bytes(name), "\(name)")
    }
  }

  @Test("of equally large changes the first ones are kept", arguments: [1e-9, 0.001, 0.37, 0.9999, 1])
  func ties(density: Double) throws {
    let recipe = try recipe("ties") {
      $0.density = density
      $0.scale = 1.5
    }
    try merge(recipe, into: "out")
    let output = try merged("out")
    for (number, tensor) in tensors(model: 0).enumerated() {
      let base = tensor.values.map { Float($0) }
      let kept = zip(1...3, [0.5, 0.25, -0.75] as [Float]).map { model, weight -> [Float] in
        let changes = zip(tensors(model: model)[number].values, base).map { Float($0) - $1 }
        let count = density < 1 ? max(1, Int(density * Double(changes.count))) : changes.count
        let largest = Set(changes.indices.sorted { (-abs(changes[$0]), $0) < (-abs(changes[$1]), $1) }.prefix(count))
        return changes.indices.map { largest.contains($0) ? weight * changes[$0] : 0 }
      }
      let expected = base.indices.map { element -> Float in
        let terms = kept.map { $0[element] }
        let sign: Float = terms[0] + terms[1] + terms[2] >= 0 ? 1 : -1
        let agreeing = terms.indices.filter { terms[$0] * sign > 0 }
        let divisor = agreeing.reduce(Float(0)) { $0 + [0.5, 0.25, -0.75][$1] }
        let sum = agreeing.reduce(Float(0)) { $0 + terms[$1] }
        return base[element] + 1.5 * sum / (divisor == 0 ? 1 : divisor)
      }
      let wrong = zip(output[tensor.name] ?? [], expected).filter { abs($0 - $1) > 1e-6 * max(1, abs($1)) }.count
      #expect(output[tensor.name]?.count == expected.count && wrong == 0, "\(tensor.name)")
    }
  }

  @Test("of random elements as many are kept as the density says, and they make up for the others")
  func dare() throws {
    let density = 0.3
    let recipe = try recipe("dare-linear") {
      $0.models.removeLast(2)
      $0.weights = [1]
      $0.density = density
    }
    try merge(recipe, into: "out")
    let output = try #require(try merged("out")["d.shifted"])
    let long = try #require(try merged("out")["b.long"])
    let shifted = zip(output, tensors(model: 0)[3].values).map { Double($0) - $1 }
    #expect(shifted.allSatisfy { $0 == 0 || abs($0 - 1 / density) < 1e-5 })
    let changes = zip(tensors(model: 1)[1].values, tensors(model: 0)[1].values).map { $0 - $1 }
    let changed = zip(zip(long, tensors(model: 0)[1].values), changes).filter { $0.1 != 0 }
    let kept = Double(changed.filter { Double($0.0.0) != $0.0.1 }.count)
    let expected = density * Double(changed.count)
    // Five standard deviations of so many independent choices.
    #expect(abs(kept - expected) < 5 * (expected * (1 - density)).squareRoot())
    var other = recipe
    other.seed = 1
    try merge(other, into: "other")
    #expect(try bytes("other") != bytes("out"))
  }

  @Test("random words are those of Philox4x32-10", arguments: [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8])
  func knownAnswers(word: UInt32) throws {
    // The published words of counter 0 and key 0, which decide about elements 0 to 3.
    let element = try #require([0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8].firstIndex(of: word))
    let backend = try CPUBackend()
    let (x, base) = (
      try backend.upload([1, 1, 1, 1] as [Float], columns: 4), try backend.upload([0, 0, 0, 0] as [Float], columns: 4)
    )
    let out = try backend.allocate(rows: 1, columns: 4)
    for (threshold, expected) in [(word, Float(0)), (word + 1, 1)] {
      try backend.sparseChange(
        of: x, from: base, first: 0, keeping: .random(key: 0, threshold: threshold), factor: 1, into: out)
      #expect(try backend.download(out)[element] == expected)
    }
  }

  @Test("a base that is one of the models changes nothing, and a scale of 0 gives the base")
  func baseAmongModels() throws {
    for (name, recipe) in try recipes() where name != "slerp" && name != "dare" && name != "dare-ties" {
      var with = recipe
      with.models.append(try #require(recipe.base))
      with.weights.append(1)
      try merge(recipe, into: name)
      try merge(with, into: "\(name)-with")
      for (tensor, values) in try merged(name) {
        let others = try merged("\(name)-with")[tensor] ?? []
        #expect(zip(values, others).allSatisfy { abs($0 - $1) <= 1e-6 }, "\(name), \(tensor)")
      }
      var nothing = recipe
      nothing.scale = 0
      try merge(nothing, into: "\(name)-nothing")
      #expect(try merged("\(name)-nothing")["a.kernel"] == tensors(model: 0)[0].values.map { Float($0) })
    }
  }

  @Test("a NaN in the base is the base's, one in a model the model's")
  func nonFinite() throws {
    for (place, name) in [(0, "model-0"), (2, "model-2")] {
      let recipe = try recipe("ties") { $0.density = 0.5 }
      var damaged = tensors(model: place)
      damaged[2].values[7] = .nan
      try FileManager.default.removeItem(atPath: directory(name))
      try writeStrangeModel([damaged], to: directory(name))
      let refusal = try #require(failure { try merge(recipe, into: "out") })
      #expect(refusal.category == .badData && refusal.subject.contains(name), "\(refusal)")
      for model in 0..<4 { try FileManager.default.removeItem(atPath: directory("model-\(model)")) }
    }
  }

  @Test("the fused change of a RECALL merge is scaled, in one pass and in stages")
  func scaledRecall() throws {
    var recipe = siblingRecipe()
    recipe.elementType = .float32
    recipe.models = [Fixtures.sibling("first")]
    recipe.base = Fixtures.sibling("second")
    try merge(recipe, into: "plain")
    recipe.scale = 1.5
    let report = try merge(recipe, into: "scaled")
    let (plain, scaled) = (try merged("plain"), try merged("scaled"))
    let base = try Checkpoint(directory: Fixtures.sibling("second"))
    for (name, values) in plain {
      let record = try #require(base.tensor(named: name))
      let origin = numbers(try base.bytes(of: record), record.type)
      let expected = zip(values, origin).map { $1 + 1.5 * (Double($0) - $1) }
      let wrong = zip(scaled[name] ?? [], expected).filter { abs(Double($0) - $1) > 1e-6 * max(1, abs($1)) }.count
      #expect(wrong == 0 && scaled[name]?.count == expected.count, "\(name)")
    }
    _ = try HierarchicalMerge(MergeRecipe(), on: CPUBackend()).fuse(
      report, from: "recall.json", moved: [], into: directory("fused"), overwrite: false)
    #expect(try bytes("fused") == bytes("scaled"))
  }
}
