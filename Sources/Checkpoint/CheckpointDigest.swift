import Diagnostics
import JSON
import Synchronization

/// Gathers the digests of tensors, in any order and from any thread, into the digest of a model.
///
/// The digest of a model is that of a text with one line per tensor, sorted by the bytes of the names:
/// `name dtype shape digest`, such as `model.norm.weight BF16 [4096] 0123…`, each ended by a line feed. It does not depend on
/// the shards, their order or their metadata.
public final class CheckpointDigest: Sendable {
  private let tensors: [TensorRecord]
  private let digests = Mutex<[ExactString: Digest]>([:])

  /// Starts with no digest of any of these tensors.
  public init(of tensors: [TensorRecord]) {
    self.tensors = tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  /// Notes the digest of all bytes of one tensor; noting it again changes nothing.
  public func record(_ digest: Digest, of tensor: String) {
    digests.withLock { $0[ExactString(tensor)] = digest }
  }

  /// The digest of the model; `nil` while a tensor is missing.
  public var digest: Digest? {
    let digests = digests.withLock { $0 }
    var digester = Digester()
    for tensor in tensors {
      guard let digest = digests[ExactString(tensor.name)] else { return nil }
      let line = Array("\(tensor.name) \(tensor.type.rawValue) \(tensor.shape.compact) \(digest)\n".utf8)
      digester.update(line.span.bytes)
    }
    return digester.digest
  }
}

extension [Int] {
  /// The numbers as a JSON array without spaces.
  fileprivate var compact: String { "[\(map(String.init).joined(separator: ","))]" }
}

extension Checkpoint {
  /// The digest of the model, from the cache, else by reading every tensor once on the calling thread.
  ///
  /// - Throws: `Failure` as `read` does.
  public func digest(cache: CheckpointDigestCache = .standard) throws(Failure) -> Digest {
    if let known = cache.digest(of: self) { return known }
    let collector = CheckpointDigest(of: tensors)
    for tensor in tensors { collector.record(try digest(of: tensor), of: tensor.name) }
    guard let digest = collector.digest else {
      throw Failure(
        .internalError, operation: "digest the checkpoint", subject: directory, expected: "a digest of every tensor",
        got: "too few")
    }
    cache.store(digest, of: self)
    return digest
  }
}
