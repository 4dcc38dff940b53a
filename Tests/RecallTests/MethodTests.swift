import Checkpoint
import Compute
import ComputeCPU
import JSON
import Recall
import TestSupport
import Testing

/// Distances, bandwidths, similarities and weights against float64 NumPy, given the same states.
@Suite struct MethodTests {
  private static let tolerance = 1e-6

  @Test(
    "distances, similarities and weights equal the float64 reference",
    arguments: ["siblings", "corners", "identical", "single-sample"])
  func reference(name: String) throws {
    let backend = try CPUBackend()
    let document = try Fixtures.json("method/expected.json")
    let expected = try #require(document["cases"]?[name])
    let states = try #require(try Fixtures.tensors("method/states.safetensors")[name])
    let anchor = try #require(expected["anchor"]?.integer)
    let (models, layers, samples, width) = (states.shape[0], states.shape[1], states.shape[2], states.shape[3])
    for measure in DistanceMeasure.allCases {
      var distances: [InterModelDistances] = []
      var own: [Double] = []
      for layer in 0..<layers {
        let values = (0..<models).flatMap { model in
          let start = (model * layers + layer) * samples * width
          return states.values[start..<start + samples * width]
        }
        let representations = try LayerRepresentations(
          backend.upload(values, columns: width), models: models, on: backend)
        distances.append(InterModelDistances(representations, measure: measure))
        own += try distancesBetweenSamples(of: representations[anchor], measure: measure, on: backend)
        let golden = try #require(expected["distance"]?[measure.rawValue]?.array?[layer])
        for i in 0..<models {
          for j in 0..<models {
            let row = try #require(golden.array?[i].array?[j].array).compactMap(\.double)
            #expect(isClose(Array(distances[layer].between(i, j)), row))
          }
        }
      }
      for rule in try #require(expected["rules"]?.array) where rule["distance"]?.string == measure.rawValue {
        try check(rule, measure, distances, own: own, width: width, anchor: anchor)
      }
    }
  }

  private func check(
    _ expected: JSONValue, _ measure: DistanceMeasure, _ distances: [InterModelDistances], own: [Double], width: Int,
    anchor: Int
  ) throws {
    let spelling = expected["sigma"]?.double.map { "\($0)" } ?? expected["bandwidth"]?.string ?? ""
    let bandwidth = try #require(BandwidthRule(name: spelling))
    let variants: [(key: String, anchor: Int?)] = [("withAnchor", anchor), ("withoutAnchor", nil)]
    for entry in try #require(expected["weights"]?.array) {
      let temperature = try #require(entry["temperature"]?.double)
      let rule = WeighingRule(distance: measure, bandwidth: bandwidth, temperature: temperature)
      for (key, anchor) in variants {
        for (layer, between) in distances.enumerated() {
          let decided = rule.weigh(
            .block(layer), distances: between, width: width, anchor: anchor, anchorMedian: medianBandwidth(of: own),
            globalMedian: medianBandwidth(of: distances.flatMap(\.all)))
          let similarity = try #require(expected["similarity"]?.array?[layer].array)
          for (row, golden) in zip(decided.similarity.values, similarity) {
            #expect(isClose(row, golden.array?.compactMap(\.double) ?? []))
          }
          let weights = try #require(entry[key]?.array?[layer].array).compactMap(\.double)
          #expect(isClose(decided.weights, weights))
          #expect(abs(decided.weights.reduce(0, +) - 1) < 1e-12)
        }
      }
    }
  }

  @Test("the cross kernel equals the float64 reference")
  func crossKernel() throws {
    let backend = try CPUBackend()
    let states = try Fixtures.tensors("method/states.safetensors")
    let kernel = try #require(try Fixtures.json("method/expected.json")["kernel"])
    let first = try #require(states["kernel.first"])
    let second = try #require(states["kernel.second"])
    let out = try backend.allocate(rows: first.shape[0], columns: second.shape[0])
    try backend.radialBasisKernel(
      backend.upload(first.values, columns: first.shape[1]), backend.upload(second.values, columns: second.shape[1]),
      sigma: Float(try #require(kernel["sigma"]?.double)), into: out)
    let expected = try #require(kernel["values"]?.array).flatMap { $0.array?.compactMap(\.double) ?? [] }
    #expect(isClose(try backend.download(out).map(Double.init), expected))
  }

  @Test("whole merges find the similarities and weights of the reference")
  func siblings() throws {
    let directory = try TemporaryDirectory()
    var recipe = siblingRecipe()
    recipe.typical = 6
    let report = try merge(recipe, into: directory("out"))
    let expected = try Fixtures.json("siblings/expected.json")
    for (number, layer) in report.layers.enumerated() {
      let similarity = try #require(expected["similarity"]?.array?[number].array)
      // The reference starts from the states of transformers, which differ in the sixth digit.
      for (row, golden) in zip(layer.similarity.values, similarity) {
        #expect(isClose(row, golden.array?.compactMap(\.double) ?? [], tolerance: 1e-5))
      }
      let weights = expected["weights"]?.array?[number].array?.compactMap(\.double) ?? []
      #expect(isClose(layer.weights, weights, tolerance: 1e-5))
    }
  }

  private func isClose(_ values: [Double], _ expected: [Double], tolerance: Double = MethodTests.tolerance) -> Bool {
    values.count == expected.count
      && zip(values, expected).allSatisfy { abs($0 - $1) <= tolerance * max(1, abs($1)) }
  }
}
