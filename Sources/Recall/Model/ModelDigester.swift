import Checkpoint
import Diagnostics
import JSON
import Synchronization

/// Finds the digest of a model from the bytes that a merge reads anyway.
public final class ModelDigester: Sendable {
  private let model: ModelDirectory
  private let known: Digest?
  private let collector: CheckpointDigest
  private let recorded = Mutex<Set<ExactString>>([])

  /// Starts with what an earlier run left in the user's cache.
  public init(_ model: ModelDirectory) {
    self.model = model
    known = CheckpointDigestCache.standard.digest(of: model.checkpoint)
    collector = CheckpointDigest(of: model.checkpoint.tensors)
  }

  /// Whether digests of tensors are needed at all.
  var isWanted: Bool { known == nil }

  /// Notes the digest of one tensor's bytes, which is computed only when it is needed; may be called from any thread.
  func record(_ tensor: TensorRecord, _ digest: @autoclosure () -> Digest) {
    let isNew = recorded.withLock { $0.insert(ExactString(tensor.name)).inserted }
    guard isNew, known == nil else { return }
    collector.record(digest(), of: tensor.name)
  }

  /// The digest, after reading the tensors that nobody has read.
  ///
  /// - Throws: `Failure` when reading fails.
  public func finish() throws(Failure) -> Digest {
    if let known { return known }
    let recorded = recorded.withLock { $0 }
    for tensor in model.checkpoint.tensors where !recorded.contains(ExactString(tensor.name)) {
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
