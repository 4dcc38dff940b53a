import Checkpoint
import Diagnostics
import JSON
import Synchronization

/// Finds the digest of a model from the bytes that a merge reads anyway.
///
/// The digest of an adapter with its base is that of both digests, one after the other.
public final class ModelDigester: Sendable {
  private let model: ModelDirectory
  /// The digest of the checkpoint, where an earlier run left it in the user's cache.
  private let knownCheckpoint: Digest?
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
    knownCheckpoint = usesCache ? CheckpointDigestCache.standard.digest(of: model.checkpoint) : nil
    collector = CheckpointDigest(of: model.checkpoint.tensors)
  }

  /// The digest of the model, where the cache knows what of it is large.
  ///
  /// - Throws: `Failure` when an adapter cannot be read.
  func known() throws(Failure) -> Digest? {
    try knownCheckpoint.map { digest throws(Failure) in try withAdapter(digest) }
  }

  /// Whether digests of tensors are needed at all.
  var isWanted: Bool { knownCheckpoint == nil }

  /// Notes the digest of one tensor's bytes, which is computed only when it is needed; may be called from any thread.
  func record(_ tensor: TensorRecord, _ digest: @autoclosure () -> Digest) {
    // What the adapter has of its own is no part of the base.
    guard model.adapter?.replacement(of: tensor.name) == nil else { return }
    let name = ExactString(tensor.name)
    let isNew = recorded.withLock { recorded in
      defer { recorded[name] = recorded[name] ?? .some(nil) }
      return recorded[name] == nil
    }
    guard isNew, knownCheckpoint == nil else { return }
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
    try withAdapter(checkpointDigest())
  }

  private func withAdapter(_ checkpoint: Digest) throws(Failure) -> Digest {
    guard let adapter = model.adapter else { return checkpoint }
    return Digest(of: "\(checkpoint)\n\(try adapter.digest())")
  }

  /// The digest of the checkpoint, which for an adapter is its base.
  ///
  /// - Throws: `Failure` when reading fails.
  func checkpointDigest() throws(Failure) -> Digest {
    if let knownCheckpoint { return knownCheckpoint }
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
