import Checkpoint
import Compute
import Diagnostics
import Foundation
import JSON

/// Typical samples and hidden states that were computed before, in a directory of bounded size.
///
/// An entry is a file named after the digest of everything that decides its content: for hidden states model, samples,
/// pooling and max tokens; for typical samples the model that selects, the pool and the options of the selection. When the
/// directory grows beyond its bound, the entries that were not used for the longest time go. Entries are written whole or
/// not at all, so several processes may share a cache.
public struct ExtractCache: Sendable {
  /// The version of the entries; raised whenever the same inputs would give other entries.
  public static let format = "recall-extracts/1"
  /// The bound where none is given, in bytes.
  public static let defaultByteLimit = 8 << 30

  private let directory: String
  private let byteLimit: Int

  private static let markerName = "cache.json"

  /// Opens a cache, or creates one in a directory that is empty or not there.
  ///
  /// - Parameters:
  ///   - directory: Where the entries are. Nothing else may be in it, because entries are removed.
  ///   - byteLimit: The most bytes of all entries together.
  /// - Throws: `Failure` of category `usage` for a directory with other files, of category `badData` for a cache of another
  ///   version, of category `cannotCreate` when it cannot be created.
  public init(directory: String, byteLimit: Int) throws(Failure) {
    self.directory = absolutePath(directory)
    self.byteLimit = byteLimit
    do {
      try FileManager.default.createDirectory(atPath: self.directory, withIntermediateDirectories: true)
    } catch {
      throw Failure(
        .cannotCreate, operation: "open the cache", subject: self.directory,
        expected: "a directory that may be created",
        got: error.localizedDescription)
    }
    let marker = "\(self.directory)/\(ExtractCache.markerName)"
    guard FileManager.default.fileExists(atPath: marker) else {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: self.directory)) ?? []
      guard names.isEmpty else {
        throw Failure(
          .usage, operation: "open the cache", subject: self.directory, expected: "a cache or an empty directory",
          got: "a directory with \(names.sorted()[0])",
          advice: "Entries are removed from a cache; give it its own place.")
      }
      let document: JSONValue = ["format": .string(ExtractCache.format)]
      try writeFile(Array((document.formatted + "\n").utf8), to: marker, overwrite: true)
      return
    }
    let found = try JSONValue(parsing: readFile(marker), from: marker, operation: "open the cache")["format"]?.string
    guard found == ExtractCache.format else {
      throw Failure(
        .badData, operation: "open the cache", subject: marker, expected: "format \"\(ExtractCache.format)\"",
        got: found ?? "none", advice: "It is of another version; remove the directory or choose another.")
    }
  }

  // MARK: Entries

  /// The path of typical samples in the cache, whether they are there or not.
  ///
  /// - Parameters:
  ///   - selector: The path of the model that selects, which the samples name, and its digest.
  ///   - pool: The digest of the pool's file.
  ///   - recipe: The options of the selection.
  /// - Returns: The path.
  func typicalSamplesPath(selector: (path: String, digest: Digest), pool: Digest, recipe: MergeRecipe) -> String {
    path(
      [
        SelectionHeader.format, selector.path, "\(selector.digest)", "\(pool)", "\(recipe.typical)",
        recipe.clusterLayer.name, recipe.poolingOrDefault.rawValue, "\(recipe.maxTokensOrDefault)", "\(recipe.seed)",
      ], ending: "jsonl")
  }

  /// The path of hidden states in the cache, whether they are there or not.
  func statesPath(model: Digest, samples: Digest, pooling: Pooling, maxTokens: Int) -> String {
    path(
      [HiddenStateFile.format, "\(model)", "\(samples)", pooling.rawValue, "\(maxTokens)"], ending: "safetensors")
  }

  private func path(_ facts: [String], ending: String) -> String {
    // A path may hold any character but this one.
    "\(directory)/\(Digest(of: facts.joined(separator: "\0"))).\(ending)"
  }

  /// Whether an entry is there; it then counts as used.
  func has(_ path: String) -> Bool {
    guard FileManager.default.fileExists(atPath: path) else { return false }
    try? FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: path)
    return true
  }

  /// What to say of an entry that is not what its name promises.
  func damaged(_ path: String, _ expected: String, got: String) -> Failure {
    Failure(
      .badData, operation: "use the cache", subject: path, expected: expected, got: got,
      advice: "The entry was damaged or written by another version; remove the file.")
  }

  /// Makes room by removing the entries that were not used for the longest time, but not those of the merge at work.
  func trim(keeping inUse: [String]) {
    var entries: [(path: String, used: Date, bytes: Int)] = []
    for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] {
      let stem = name.split(separator: ".").first.map(String.init) ?? ""
      let path = "\(directory)/\(name)"
      guard Digest(stem) != nil, !inUse.contains(path),
        let facts = try? FileManager.default.attributesOfItem(atPath: path),
        let used = facts[.modificationDate] as? Date, let bytes = facts[.size] as? Int
      else { continue }
      entries.append((path, used, bytes))
    }
    let kept = inUse.compactMap { (try? FileManager.default.attributesOfItem(atPath: $0))?[.size] as? Int }
    var excess = (kept + entries.map(\.bytes)).reduce(0, +) - byteLimit
    for entry in entries.sorted(by: { $0.used < $1.used }) where excess > 0 {
      try? FileManager.default.removeItem(atPath: entry.path)
      excess -= entry.bytes
    }
  }
}
