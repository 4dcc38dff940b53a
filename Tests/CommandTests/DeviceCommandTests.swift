import Foundation
import TestSupport
import Testing

/// The choice of a device, and what the commands about devices print.
@Suite struct DeviceCommandTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func extract(_ more: [String]) throws -> RecallProcess.Outcome {
    try RecallProcess.run(
      [
        "extract", "--model", Fixtures.sibling("first"), "--samples", Fixtures.siblingSamples, "--output",
        directory("states.safetensors"),
      ] + more)
  }

  @Test("devices lists the processor with what it can do, as a table and as JSON")
  func devices() throws {
    let table = try RecallProcess.run(["devices"])
    #expect(table.code == 0)
    for word in ["device", "cpu", "processor", "float32", "GB", "thread", "auto: "] {
      #expect(table.output.contains(word), "\(word)")
    }
    let outcome = try RecallProcess.run(["devices", "--json"])
    #expect(outcome.code == 0)
    let json = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
    let devices = try #require(json?["devices"] as? [[String: Any]])
    let processor = try #require(devices.first { $0["device"] as? String == "cpu" })
    #expect(processor["kind"] as? String == "processor")
    #expect((processor["memory"] as? Int ?? 0) > 1 << 28)
    #expect(processor["problem"] is NSNull)
    let reasons = try #require(json?["notAvailable"] as? [[String: Any]])
    #expect(reasons.allSatisfy { ($0["reason"] as? String)?.isEmpty == false })
  }

  @Test("a name that no device can have is a wrong command line", arguments: ["gpu", "cuda:", "opencl:-1", "cpu:1"])
  func malformed(name: String) throws {
    let outcome = try extract(["--device", name])
    #expect(outcome.code == 64)
    #expect(outcome.diagnostics.contains("--device"))
    #expect(outcome.diagnostics.contains("auto|cpu"))
    #expect(outcome.diagnostics.contains("\"\(name)\""))
  }

  @Test("a device that is not here: the error says what is, and why", arguments: ["opencl:99", "cuda:99"])
  func notHere(name: String) throws {
    let outcome = try extract(["--device", name])
    #expect(outcome.code == 64)
    for word in [name, "cpu"] { #expect(outcome.diagnostics.contains(word), "\(outcome.diagnostics)") }
    #expect(outcome.diagnostics.split(separator: "\n").count == 1)
    #expect(!FileManager.default.fileExists(atPath: directory("states.safetensors")))
  }

  @Test("the device is said on stderr, in the style of the progress, and not at all without progress")
  func saysTheDevice() throws {
    let plain = try extract(["--device", "cpu", "--progress", "plain"])
    #expect(plain.code == 0)
    #expect(plain.diagnostics.hasPrefix("device: cpu, "))
    #expect(!plain.output.contains("device"))
    let json = try extract(["--device", "cpu", "--progress", "json", "--overwrite"])
    let first = try #require(json.diagnostics.split(separator: "\n").first)
    let event = try JSONSerialization.jsonObject(with: Data(first.utf8)) as? [String: Any]
    #expect(event?["stage"] as? String == "device")
    #expect(event?["device"] as? String == "cpu")
    #expect(try extract(["--device", "cpu", "--progress", "none", "--overwrite"]).diagnostics.isEmpty)
  }

  @Test("recall.json has the device among the timings, the only part that is no function of the inputs")
  func recorded() throws {
    let outcome = try RecallProcess.run([
      "merge", "--anchor", Fixtures.sibling("third"), "--model", Fixtures.sibling("first"), "--samples",
      Fixtures.siblingSamples, "--typical", "2", "--device", "cpu", "--output", directory("out"),
    ])
    #expect(outcome.code == 0)
    let data = try Data(contentsOf: URL(fileURLWithPath: directory("out/recall.json")))
    let json = try JSONSerialization.jsonObject(with: data) as? [String: Any]
    let timings = try #require(json?["timings"] as? [String: Any])
    #expect((timings["device"] as? String)?.hasPrefix("cpu: ") == true)
    #expect((json?["recipe"] as? [String: Any])?["device"] == nil)
  }

  @Test("conform prints a table of all cases of an operation, the counts, and exits with 0")
  func conform() throws {
    let outcome = try RecallProcess.run(["conform", "--device", "cpu", "--operation", "attention"])
    #expect(outcome.code == 0)
    for word in ["operation", "attention", "GFLOP/s", "ok", "0 failed, 0 skipped"] {
      #expect(outcome.output.contains(word), "\(word)")
    }
    #expect(!outcome.output.contains("multiply"))
    let all = try RecallProcess.run(
      ["conform", "--device", "all", "--operation", "add", "--json", "--progress", "none"])
    #expect(all.code == 0)
    let json = try JSONSerialization.jsonObject(with: Data(all.output.utf8)) as? [String: Any]
    let devices = try #require(json?["devices"] as? [[String: Any]])
    let processor = try #require(devices.first { $0["device"] as? String == "cpu" })
    #expect(processor["failed"] as? Int == 0)
    #expect((processor["cases"] as? [[String: Any]])?.isEmpty == false)
  }

  @Test("conform refuses an operation that no backend has and names the nearest")
  func unknownOperation() throws {
    let outcome = try RecallProcess.run(["conform", "--operation", "multply"])
    #expect(outcome.code == 64)
    #expect(outcome.diagnostics.contains("Did you mean multiply?"))
  }

  @Test("bench measures device and storage, predicts a merge, and leaves no file behind")
  func bench() throws {
    let outcome = try RecallProcess.run([
      "bench", "--device", "cpu", "--quick", "--json", "--progress", "none", "--directory", directory.path,
      "--model", Fixtures.sibling("third"), "--model", Fixtures.sibling("first"), "--samples",
      Fixtures.siblingSamples, "--typical", "3",
    ])
    #expect(outcome.code == 0, "\(outcome.diagnostics)")
    let json = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    let ceilings = try #require(json["ceilings"] as? [String: Any])
    let products = try #require(ceilings["products"] as? [[String: Any]])
    #expect(products.count == 3)
    #expect(products.allSatisfy { ($0["rate"] as? Double ?? 0) > 0 })
    #expect(((ceilings["copy"] as? [String: Any])?["rate"] as? Double ?? 0) > 0)
    #expect(ceilings["upload"] is NSNull, "the processor computes in the host's memory")
    let storage = try #require(json["storage"] as? [String: Any])
    #expect((storage["write"] as? Double ?? 0) > 0 && (storage["read"] as? Double ?? 0) > 0)
    let stages = try #require(json["stages"] as? [[String: Any]])
    #expect(stages.contains { ($0["case"] as? [String: Any])?["operation"] as? String == "extraction" })
    #expect(stages.allSatisfy { ($0["share"] as? Double ?? 0) > 0 })
    let prediction = try #require(json["prediction"] as? [String: Any])
    #expect(prediction["models"] as? Int == 2)
    #expect(prediction["typical"] as? Int == 3)
    let seconds = try #require(prediction["seconds"] as? [String: Double])
    let (least, most) = (try #require(seconds["overlapped"]), try #require(seconds["oneAfterTheOther"]))
    #expect(0 < least && least <= most)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).isEmpty)
  }

  @Test("bench brings the blocks of models to the device, writes its document, and keeps what it reads")
  func feed() throws {
    let lines = try Data(contentsOf: URL(fileURLWithPath: Fixtures.siblingSamples))
    let samples = try directory.write(String(decoding: lines, as: UTF8.self), to: "samples")
    let arguments = [
      "bench", "--device", "cpu", "--quick", "--json", "--progress", "none", "--directory", directory.path, "--feed",
      "--model", Fixtures.sibling("third"), "--model", Fixtures.sibling("first"), "--samples", samples, "--typical",
      "3",
    ]
    let outcome = try RecallProcess.run(arguments + ["--output", directory("bench.json")])
    #expect(outcome.code == 0, "\(outcome.diagnostics)")
    let written = try Data(contentsOf: URL(fileURLWithPath: directory("bench.json")))
    #expect(String(decoding: written, as: UTF8.self) == outcome.output)
    let json = try #require(try JSONSerialization.jsonObject(with: written) as? [String: Any])
    let feed = try #require(json["feed"] as? [String: Double])
    #expect(feed["bytes"] ?? 0 > 50_000 && feed["rate"] ?? 0 > 0)
    let refusal = try RecallProcess.run(arguments + ["--output", samples, "--overwrite"])
    #expect(refusal.code == 73 || refusal.code == 64, "\(refusal.diagnostics)")
    #expect(try Data(contentsOf: URL(fileURLWithPath: samples)) == lines)
  }

  @Test("bench refuses what it cannot predict or measure")
  func badBench() throws {
    for (arguments, code, word) in [
      (["--tokens", "5"], 64, "--model"), (["--model", Fixtures.sibling("first")], 64, "at least one model"),
      (["--model", directory("nothing"), "--model", Fixtures.sibling("first")], 66, "nothing"),
      (["--directory", directory("nothing")], 73, "nothing"), (["--quick=1"], 64, "no value"),
      (["--overwrite"], 64, "--output"),
      (["--model", Fixtures.sibling("first"), "--model", Fixtures.sibling("third"), "--tokens", "0"], 64, "--tokens"),
      (
        [
          "--model", Fixtures.sibling("first"), "--model", Fixtures.sibling("third"), "--tokens", "9", "--samples",
          Fixtures.siblingSamples,
        ], 64, "both"
      ),
    ] as [([String], Int32, String)] {
      let outcome = try RecallProcess.run(["bench", "--device", "cpu"] + arguments)
      #expect(outcome.code == code, "\(arguments): \(outcome.diagnostics)")
      #expect(outcome.diagnostics.contains(word), "\(outcome.diagnostics)")
    }
  }
}
