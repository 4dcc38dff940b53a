import Diagnostics

extension InputFile {
  /// The digest of a part of the file, read in pieces.
  func digest(of range: Range<Int>) throws(Failure) -> Digest {
    var digester = Digester()
    try forEachPiece(of: range) { digester.update($0) }
    return digester.digest
  }
}

/// The digest that stands for a file in a report.
///
/// For a name that ends in `.safetensors` it is the digest of a text: the digest of the head of the file (length, JSON and
/// padding), then the digest of each tensor in the order of their bytes, each as 32 hexadecimal digits and a line feed. So
/// a writer that fills the tensors in any order knows it without reading the file back. For every other file it is the
/// digest of the bytes. Reads the whole file once, in pieces of 4 MiB.
///
/// - Throws: `Failure` of category `missingInput`, `inputOutput`, or `badData` for a safetensors file with a bad header.
public func fileDigest(_ path: String) throws(Failure) -> Digest {
  let file = try InputFile(path)
  guard path.hasSuffix(".safetensors") else { return try file.digest(of: 0..<file.byteCount) }
  let header = try SafetensorsHeader.read(file)
  var parts = [try file.digest(of: 0..<header.byteCount)]
  for tensor in header.tensors { parts.append(try file.digest(of: tensor.byteRange)) }
  return safetensorsDigest(parts)
}

/// The digest of a safetensors file from the digests of its head and of its tensors, in this order.
func safetensorsDigest(_ parts: [Digest]) -> Digest {
  Digest(of: parts.map { "\($0)\n" }.joined())
}
