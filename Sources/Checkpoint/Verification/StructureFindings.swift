import Diagnostics
import JSON

/// Everything that is wrong with the files of a checkpoint, as far as their heads and the index tell.
///
/// - Parameter directory: A model directory.
/// - Returns: The checkpoint, unless it cannot be opened, and what is wrong with it.
public func structureFindings(in directory: String) -> (checkpoint: Checkpoint?, findings: [Finding]) {
  let directory = absolutePath(directory)
  var findings: [Finding] = []
  do throws(Failure) {
    let checkpoint = try Checkpoint(directory: directory)
    for tensor in checkpoint.unindexedTensors {
      findings.append(Finding("\(directory), tensor \(excerpt(tensor))", "the index does not mention it"))
    }
    let index = "\(directory)/\(CheckpointIndex.fileName)"
    if checkpoint.shards.count > 1, PathKind(index) != .nothing {
      let total = try JSONValue(parsing: readFile(index), from: index)["metadata"]?["total_size"]
      if let total, total.integer != checkpoint.byteCount {
        findings.append(
          Finding(index, "says total_size \(total.compact), and the tensors have \(checkpoint.byteCount)"))
      }
    }
    let known = Set(checkpoint.shards.map(\.fileName))
    for name in try fileNames(in: directory) where name.hasSuffix(".safetensors") && !known.contains(name) {
      findings.append(Finding("\(directory)/\(excerpt(name))", "is no file of this checkpoint"))
    }
    return (checkpoint, findings)
  } catch {
    // The first problem stopped the opening; the other files may have theirs.
    findings.append(Finding(error))
    for name in (try? fileNames(in: directory)) ?? [] where name.hasSuffix(".safetensors") {
      do throws(Failure) {
        _ = try SafetensorsHeader.read(InputFile("\(directory)/\(name)"))
      } catch {
        let finding = Finding(error)
        if !findings.contains(finding) { findings.append(finding) }
      }
    }
    return (nil, findings)
  }
}
