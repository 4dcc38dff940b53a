import Checkpoint
import Compute
import Diagnostics
import JSON
import Tokenization

/// A model directory that has been opened and understood.
///
/// Configuration and tokenizer are read and every tensor is checked by name, shape and type; no element has been read yet.
public final class Model: Sendable {
  /// The files, without what they mean.
  public let directory: ModelDirectory
  /// The shape and arithmetic.
  public let configuration: ModelConfiguration
  /// The tokenizer; `nil` when the directory has no tokenizer.json.
  public let tokenizer: Tokenizer?

  /// Opens a model directory, or an adapter with its base.
  ///
  /// - Parameters:
  ///   - path: The directory of the model or of the adapter.
  ///   - base: The directory of the base; needed for an adapter.
  /// - Throws: `Failure` that names the file, key or tensor at fault.
  public init(directory path: String, base: String? = nil) throws(Failure) {
    let isAdapter = LowRankAdapter.isAdapter(path)
    let complete = isAdapter ? try ModelDirectory.base(base, of: path) : path
    let configurationPath = "\(absolutePath(complete))/config.json"
    let json = try JSONValue(parsing: readFile(configurationPath), from: configurationPath)
    configuration = try ModelConfiguration(json: json, path: configurationPath)
    let files = try ModelDirectory(complete, configuration: json)
    directory = isAdapter ? try ModelDirectory(adapter: path, base: files) : files
    tokenizer = try directory.file("tokenizer.json").map { path throws(Failure) in try Model.tokenizer(at: path) }
    try checkTensors()
  }

  /// Reads a tokenizer.json and the tokens that are declared beside it.
  ///
  /// - Throws: `Failure` that names the file and what is wrong with it.
  public static func tokenizer(at path: String) throws(Failure) -> Tokenizer {
    try Tokenizer(try TokenizerFiles(at: path).document())
  }

  /// The absolute path.
  public var path: String { directory.path }
  /// The tensors.
  public var checkpoint: Checkpoint { directory.checkpoint }

  /// The bytes of all blocks and the final norm, which is what a pass reads.
  var blockByteCount: Int {
    let stem = configuration.stem
    let outside = [stem.embedding.name, stem.head.name].compactMap(checkpoint.tensor(named:))
    return checkpoint.byteCount - outside.reduce(0) { $0 + $1.byteRange.count }
  }

  /// Every tensor that the family asks for is there in its shape, and no tensor is there that it does not know.
  private func checkTensors() throws(Failure) {
    let required = configuration.requiredTensors
    for spec in required {
      let (name, shape) = (spec.name, spec.shape)
      guard let tensor = checkpoint.tensor(named: name) else {
        throw failure(name, expected: "a tensor \(shape)", got: "no such tensor")
      }
      guard tensor.shape == shape else { throw failure(name, expected: "shape \(shape)", got: "\(tensor.shape)") }
      guard ElementType(tensor.type) != nil else {
        throw failure(
          name, expected: "F64, F32, F16 or BF16", got: tensor.type.rawValue,
          "Merge the model in its original precision and quantise the result.")
      }
    }
    var known = Set(required.map { ExactString($0.name) })
    // A tied head may be stored all the same.
    known.insert(ExactString(configuration.stem.head.name))
    for tensor in checkpoint.tensors
    where !known.contains(ExactString(tensor.name)) && tensor.type.isFloatingPoint
      && !LayerAssignment.isRotaryTable(tensor.name)
    {
      let modelType = configuration.modelType
      throw failure(
        tensor.name, expected: "only tensors of the architecture \(modelType)",
        got: "one that its forward pass does not know",
        "A model with other parts cannot be run as \(modelType), so its layers cannot be compared.")
    }
  }

  private func failure(_ tensor: String, expected: String, got: String, _ advice: String = "") -> Failure {
    Failure(
      .badData, operation: "open the model", subject: "\(path), tensor \(tensor)", expected: expected, got: got,
      advice: advice)
  }
}

extension ElementType {
  /// The element type that a stored floating point type becomes on a device; `nil` for the types that are not computed on.
  public init?(_ type: StoredType) {
    switch type {
    case .float64: self = .float64
    case .float32: self = .float32
    case .float16: self = .float16
    case .bfloat16: self = .bfloat16
    default: return nil
    }
  }

  /// How the type is stored in a checkpoint.
  public var storedType: StoredType {
    switch self {
    case .float64: .float64
    case .float32: .float32
    case .float16: .float16
    case .bfloat16: .bfloat16
    case .int32: .int32
    }
  }
}

extension StoredType {
  /// Whether elements are numbers with an exponent, of whatever width.
  var isFloatingPoint: Bool {
    switch self {
    case .bool, .uint8, .int8, .int16, .uint16, .int32, .uint32, .int64, .uint64: false
    default: true
    }
  }
}
