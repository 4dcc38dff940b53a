import Checkpoint
import Diagnostics
import JSON
import Synchronization

/// Finds the digest of a model from the bytes that a merge reads anyway.
public final class ModelDigester: Sendable {
  private let model: ModelDirectory
  /// The digest, where an earlier run left it in the user's cache.
  let known: Digest?
  private let collector: CheckpointDigest
  /// The tensors that have been read, with their digests where these were needed.
  private let recorded = Mutex<[ExactString: Digest?]>([:])

  /// Starts with what an earlier run left in the user's cache.
  ///
  /// - Parameters:
  ///   - model: The model.
  ///   - usesCache: Whether a digest that is known already spares computing those of the tensors.
  public init(_ model: ModelDirectory, usesCache: Bool = true) {
    self.model = model
    known = usesCache ? CheckpointDigestCache.standard.digest(of: model.checkpoint) : nil
    collector = CheckpointDigest(of: model.checkpoint.tensors)
  }

  /// Whether digests of tensors are needed at all.
  var isWanted: Bool { known == nil }

  /// Notes the digest of one tensor's bytes, which is computed only when it is needed; may be called from any thread.
  func record(_ tensor: TensorRecord, _ digest: @autoclosure () -> Digest) {
    let name = ExactString(tensor.name)
    let isNew = recorded.withLock { recorded in
      defer { recorded[name] = recorded[name] ?? .some(nil) }
      return recorded[name] == nil
    }
    guard isNew, known == nil else { return }
    let digest = digest()
    recorded.withLock { $0[name] = digest }
    collector.record(digest, of: tensor.name)
  }

  /// The digest of one tensor's bytes, where it was needed and computed.
  func digest(of tensor: TensorRecord) -> Digest? { recorded.withLock { $0[ExactString(tensor.name)] ?? nil } }

  /// The digest, after reading the tensors that nobody has read.
  ///
  /// - Throws: `Failure` when reading fails.
  public func finish() throws(Failure) -> Digest {
    if let known { return known }
    let recorded = recorded.withLock { $0 }
    for tensor in model.checkpoint.tensors where recorded[ExactString(tensor.name)] == nil {
      collector.record(try model.checkpoint.digest(of: tensor), of: tensor.name)
    }
    guard let digest = collector.digest else {
      throw Failure(
        .internalError, operation: "digest the model", subject: model.path, expected: "a digest of every tensor",
        got: "too few")
    }
    CheckpointDigestCache.standard.store(digest, of: model.checkpoint)
    return digest
  }
}
