import Diagnostics

/// A file without a name for what does not fit memory; nothing of it is left however the process ends.
public final class ScratchFile: Sendable {
  private let file: OutputFile

  /// Creates the file.
  ///
  /// - Parameter directory: On whose disk it is.
  /// - Throws: `Failure` of category `cannotCreate`.
  public init(in directory: String) throws(Failure) { file = try OutputFile(namelessIn: directory) }

  /// Writes all of the bytes from an offset on.
  ///
  /// - Throws: `Failure` of category `inputOutput` when the disk does not take them.
  public func write(_ bytes: RawSpan, at offset: Int) throws(Failure) { try file.write(bytes, at: offset) }

  /// Reads a part of what was written into the first bytes of a buffer, which must have room for it.
  ///
  /// - Throws: `Failure` of category `inputOutput` when the system cannot read or so much was not written.
  public func read(_ range: Range<Int>, into destination: inout MutableRawSpan) throws(Failure) {
    try file.read(range, into: &destination)
  }
}
