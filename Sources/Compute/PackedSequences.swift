/// Texts of different lengths laid end to end without padding.
///
/// `starts[i]..<starts[i + 1]` are the rows of text `i` in every matrix `[tokens, …]`.
public struct PackedSequences {
  /// Where each text starts, and the number of tokens as the last element.
  public let starts: [Int]
  /// `starts` on the device: `int32 [texts + 1, 1]`.
  public let deviceStarts: Matrix
  /// The place of each token inside its text: `int32 [tokens, 1]`.
  public let positions: Matrix

  /// The number of texts.
  public var count: Int { starts.count - 1 }
  /// The number of tokens in all texts.
  public var tokens: Int { starts[starts.count - 1] }

  /// Lays out texts of the given lengths and puts the layout on a device.
  ///
  /// - Throws: `DeviceError` when the device has no memory for it.
  public init(lengths: [Int], on backend: any ComputeBackend) throws(DeviceError) {
    var starts = [0]
    var positions: [Int32] = []
    for length in lengths {
      starts.append(positions.count + length)
      positions.append(contentsOf: (0..<length).map(Int32.init))
    }
    self.starts = starts
    self.deviceStarts = try backend.upload(starts.map(Int32.init), columns: 1)
    self.positions = try backend.upload(positions, columns: 1)
  }
}
