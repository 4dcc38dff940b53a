import Checkpoint
import Diagnostics
import Foundation
import JSON

/// Whether a model directory is what a merge wrote, and can be used: everything that can be found by reading it once.
public struct OutputVerification: Sendable {
  /// The directory.
  public let directory: String
  /// What is wrong, in the order of the checks; empty for a sound directory.
  public private(set) var findings: [Finding] = []
  /// What could not be checked, and why; no fault of the directory.
  public private(set) var notes: [String] = []
  /// The tensors that were read.
  public private(set) var tensorCount = 0
  /// The bytes of these tensors.
  public private(set) var byteCount = 0
  /// The files whose digests are as recorded.
  public private(set) var matchingFiles = 0

  /// Reads the directory, which takes as long as reading takes.
  ///
  /// Looks at every head, the index, the shapes that config.json asks for, every value, and recall.json with the digests it
  /// records.
  ///
  /// - Parameters:
  ///   - directory: A model directory.
  ///   - progress: Told the bytes read.
  /// - Throws: `Failure` when there is no such directory.
  public init(of directory: String, progress: MergeProgress = .unwatched) throws(Failure) {
    self.directory = absolutePath(directory)
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: self.directory, isDirectory: &isDirectory), isDirectory.boolValue
    else {
      throw Failure(
        .missingInput, operation: "verify the output", subject: self.directory, expected: "a model directory",
        got: "none")
    }
    let (checkpoint, structure) = structureFindings(in: self.directory)
    findings += structure
    if checkpoint != nil { checkModel() }
    let report = checkReport()
    guard let checkpoint else {
      checkOtherFiles(report, read: [])
      return
    }
    tensorCount = checkpoint.tensors.count
    byteCount = checkpoint.byteCount
    let read = Tally()
    do throws(Failure) {
      let contents = try checkpoint.readAll { [byteCount] bytes in
        progress("verify", read.add(bytes), of: byteCount, unit: "bytes")
      }
      check(contents, against: report)
      checkOtherFiles(report, read: contents.shards.map(\.fileName))
    } catch {
      findings.append(Finding(error))
    }
  }

  /// The findings, for programs.
  public var json: JSONValue {
    [
      "directory": .string(directory), "sound": .bool(findings.isEmpty), "tensors": .integer(tensorCount),
      "bytes": .integer(byteCount), "matchingFiles": .integer(matchingFiles),
      "findings": .array(
        findings.map { ["subject": .string($0.subject), "problem": .string($0.problem)] }),
      "notes": .array(notes.map(JSONValue.string)),
    ]
  }

  // MARK: Checks

  /// The tensors are those that the configuration asks for, where the architecture is known.
  private mutating func checkModel() {
    let path = "\(directory)/config.json"
    do throws(Failure) {
      guard FileManager.default.fileExists(atPath: path) else {
        findings.append(Finding(path, "is missing"))
        return
      }
      let type = try JSONValue(parsing: readFile(path), from: path)["model_type"]?.string
      guard let type, Family.named(type) != nil else {
        notes.append("shapes were not checked: the architecture \(type ?? "of config.json") is not known")
        return
      }
      _ = try Model(directory: directory)
    } catch {
      findings.append(Finding(error))
    }
  }

  /// recall.json is sound in itself: its seal, and weights that sum to 1.
  private mutating func checkReport() -> RecordedOutput? {
    let path = "\(directory)/\(MergeReport.fileName)"
    guard FileManager.default.fileExists(atPath: path) else {
      notes.append("digests were not checked: there is no \(MergeReport.fileName)")
      return nil
    }
    do throws(Failure) {
      let json = try JSONValue(parsing: readFile(path), from: path)
      do throws(Failure) {
        _ = try MergeReport(mergeAt: path)
      } catch {
        findings.append(Finding(error))
      }
      return RecordedOutput(json)
    } catch {
      findings.append(Finding(error))
      return nil
    }
  }

  /// Values are finite, or were let through by name, and the digests of the weights are those recorded.
  private mutating func check(_ contents: CheckpointContents, against report: RecordedOutput?) {
    let recorded = report?.nonFinite ?? 0
    let found = contents.nonFinite.reduce(0) { $0 + $1.count }
    if report?.allowsNonFinite != true || found != recorded {
      for (tensor, count) in contents.nonFinite {
        findings.append(Finding("\(directory), tensor \(tensor)", "holds \(count) values that are NaN or infinite"))
      }
    } else if found > 0 {
      notes.append("\(found) values that are NaN or infinite were let through when the output was written")
    }
    guard let report else { return }
    for (name, byteCount, digest) in contents.shards {
      guard let file = report.files.first(where: { $0.name == name }) else {
        findings.append(Finding("\(directory)/\(name)", "is not among the files of \(MergeReport.fileName)"))
        continue
      }
      compare(file, byteCount: byteCount, digest: digest)
    }
    if let digest = report.digest, digest != contents.digest.map({ "\($0)" }) {
      findings.append(
        Finding(directory, "its tensors have another digest than \(MergeReport.fileName) records, \(digest)"))
    }
  }

  /// Every other file that the report lists is there and as it was written.
  private mutating func checkOtherFiles(_ report: RecordedOutput?, read: [String]) {
    for file in report?.files ?? [] where !read.contains(file.name) {
      let path = "\(directory)/\(file.name)"
      guard !file.name.contains("/"), FileManager.default.fileExists(atPath: path) else {
        findings.append(Finding(path, "is missing"))
        continue
      }
      do throws(Failure) {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        let byteCount = (attributes?[.size] as? NSNumber)?.intValue ?? file.byteCount
        compare(file, byteCount: byteCount, digest: try fileDigest(path))
      } catch {
        let finding = Finding(error)
        if !findings.contains(finding) { findings.append(finding) }
      }
    }
  }

  private mutating func compare(_ file: RecordedOutput.File, byteCount: Int, digest: Digest) {
    let path = "\(directory)/\(file.name)"
    if file.byteCount != byteCount {
      findings.append(Finding(path, "has \(byteCount) bytes, and \(file.byteCount) are recorded"))
    } else if file.digest != "\(digest)" {
      findings.append(Finding(path, "has the digest \(digest), and \(file.digest) is recorded"))
    } else {
      matchingFiles += 1
    }
  }
}

/// What recall.json says about the files beside it.
private struct RecordedOutput {
  struct File {
    let name: String
    let byteCount: Int
    let digest: String
  }

  let files: [File]
  let digest: String?
  let allowsNonFinite: Bool
  let nonFinite: Int

  init(_ json: JSONValue) {
    files = (json["files"]?.array ?? []).compactMap { entry in
      guard let name = entry["name"]?.string, let digest = entry["digest"]?.string, let size = entry["bytes"]?.integer
      else { return nil }
      return File(name: name, byteCount: size, digest: digest)
    }
    digest = json["digest"]?.string
    allowsNonFinite = json["recipe"]?["allowNonFinite"]?.bool ?? false
    nonFinite = json["tensors"]?["nonFinite"]?.integer ?? 0
  }
}
