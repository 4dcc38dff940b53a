import Checkpoint
import Compute
import Diagnostics

/// A merge as stages for a scheduler: which commands run, after which others, over which files, and what each needs.
///
/// The commands give the bytes of the merge in one process. Nothing but headers, samples and tokenizers is read to plan them.
public struct StagePlan: Sendable {
  /// One command of a stage.
  public struct Task: Sendable {
    /// What follows `recall` on the command line.
    public let arguments: [String]
    /// The files and directories that are read.
    public let inputs: [String]
    /// The file or directory that is written.
    public let output: String?
    /// How many bytes are read, at most.
    public let bytesRead: Int
    /// How many bytes are written.
    public let bytesWritten: Int
    /// The floating-point operations of the forward pass, two per parameter and token.
    public let operations: Double
    /// How many bytes of memory are needed, about.
    public let memory: Int
  }

  /// Commands that may run at the same time, on as many machines.
  public struct Stage: Sendable {
    /// The name of the command: `select`, `extract`, `weigh`, `fuse` or `verify`.
    public let name: String
    /// The tasks, at least one.
    public let tasks: [Task]
    /// The command that every task can run, because it finds in the environment which one it is.
    public var shared: [String]?
  }

  /// The stages in order; each starts when the one before has succeeded.
  public let stages: [Stage]
  /// The number of models.
  public let modelCount: Int
  /// The number of parts that are fused.
  public let partCount: Int
  /// The file of the recipe.
  public let recipe: String
  /// The directory for what passes from stage to stage.
  public let work: String
  /// The directory to be created.
  public let output: String

  /// Plans a merge and checks everything that can be checked before the output is created.
  ///
  /// - Parameters:
  ///   - recipe: What is to be merged how.
  ///   - path: The file of the recipe, which the stages read again.
  ///   - parts: How many tasks fuse.
  ///   - work: The directory for typical samples, extracts and weights, on storage that all tasks share.
  ///   - output: The directory to be created, on the same kind of storage.
  ///   - backend: A device like those of the tasks, for the memory they need.
  /// - Throws: `Failure`, the same as the merge would.
  public init(
    _ recipe: MergeRecipe, from path: String, parts: Int, work: String, output: String,
    on backend: any ComputeBackend
  ) throws(Failure) {
    guard try MergeMethods.named(recipe.method).obstacleToStages == nil else {
      let staged = MergeMethods.all.filter { $0.obstacleToStages == nil }.map(\.name).joined(separator: ", ")
      throw Failure(
        .usage, operation: "plan the stages", subject: path, expected: "the method \(staged)",
        got: recipe.method, advice: "Other methods run in one process: recall merge --recipe \(path).")
    }
    let merge = try MergePlan(recipe, memoryBudget: nil, output: output, on: backend)
    let files = StageFiles(work: absolutePath(work), models: merge.inputs.experts.count)
    self.recipe = absolutePath(path)
    self.work = files.work
    self.output = absolutePath(output)
    modelCount = merge.inputs.experts.count
    partCount = parts
    let builder = StageBuilder(
      merge: merge, recipe: recipe, path: self.recipe, files: files, parts: parts, output: self.output,
      fusionMemory: try StreamMemory(for: merge.fusion, budget: nil, on: backend).peak, backend: backend)
    stages =
      (merge.isSelected ? [] : [builder.select]) + [builder.extract, builder.weigh, builder.fuse, builder.verify]
  }
}

/// Where the stages leave what the next ones read.
private struct StageFiles {
  let work: String
  let models: Int

  var typical: String { "\(work)/typical.jsonl" }
  var weights: String { "\(work)/recall.json" }
  func states(_ model: Int) -> String { "\(work)/states-\(model + 1).safetensors" }
}

/// Writes down the commands of each stage and counts what they cost.
private struct StageBuilder {
  let merge: MergePlan
  let recipe: MergeRecipe
  /// The file of the recipe.
  let path: String
  let files: StageFiles
  let parts: Int
  let output: String
  /// What a task that fuses keeps in memory, in bytes.
  let fusionMemory: Int
  /// A device like those of the tasks.
  let backend: any ComputeBackend

  private var reference: Model { merge.inputs.reference.model }
  private var samples: String { merge.isSelected ? merge.pool.file.path : files.typical }

  /// The lengths of the samples that are extracted; which ones will be typical is not known, so the longest bound them.
  private var extractedLengths: [Int] {
    let lengths = merge.pool.samples.map(\.tokens.count)
    return merge.isSelected ? lengths : Array(lengths.sorted(by: >).prefix(recipe.typical))
  }

  private var statesByteCount: Int {
    let configuration = reference.configuration
    let layers = Layer.all(blocks: configuration.blockCount).count
    return layers * extractedLengths.count * configuration.hiddenSize * ElementType.float32.byteCount
  }

  /// Two operations per parameter of the blocks and token.
  private func operations(of model: Model, tokens: Int) -> Double {
    let parameters = model.checkpoint.tensors.reduce(0) { $0 + $1.elementCount }
    let share = Double(model.blockByteCount) / Double(max(model.checkpoint.byteCount, 1))
    return 2 * Double(parameters) * share * Double(tokens)
  }

  private func memory(passOf model: Model, lengths: [Int]) -> Int {
    PassMemory(of: model, lengths: lengths, on: backend).peak(HierarchicalMerge.defaultStateBudget)
      + MemoryPlan.program
  }

  var select: StagePlan.Stage {
    let arguments = [
      "select", "--recipe", path, "--anchor", reference.path, "--output", files.typical, "--overwrite",
    ]
    let task = StagePlan.Task(
      arguments: arguments, inputs: [reference.path, merge.pool.file.path], output: files.typical,
      bytesRead: reference.checkpoint.byteCount, bytesWritten: 0,
      operations: operations(of: reference, tokens: merge.tokens),
      memory: memory(passOf: reference, lengths: merge.pool.samples.map(\.tokens.count)))
    return StagePlan.Stage(name: "select", tasks: [task])
  }

  var extract: StagePlan.Stage {
    let tasks = merge.inputs.experts.map { expert in
      let (model, number) = (expert.model, expert.place)
      return StagePlan.Task(
        arguments: [
          "extract", "--model", model.path, "--samples", samples, "--output", files.states(number), "--overwrite",
        ], inputs: [model.path, samples], output: files.states(number),
        bytesRead: model.checkpoint.byteCount, bytesWritten: statesByteCount,
        operations: operations(of: model, tokens: extractedLengths.reduce(0, +)),
        memory: memory(passOf: model, lengths: extractedLengths))
    }
    return StagePlan.Stage(name: "extract", tasks: tasks)
  }

  var weigh: StagePlan.Stage {
    let extracts = merge.inputs.experts.map { expert in
      [expert.role == .anchor ? "--anchor" : "--model", files.states(expert.place)]
    }
    let task = StagePlan.Task(
      arguments: ["weigh", "--recipe", path] + extracts.joined() + ["--output", files.weights, "--overwrite"],
      inputs: merge.inputs.experts.map { files.states($0.place) }, output: files.weights,
      bytesRead: modelCount * statesByteCount, bytesWritten: 0, operations: 0,
      memory: MemoryPlan.program + 2 * modelCount * statesByteCount)
    return StagePlan.Stage(name: "weigh", tasks: [task])
  }

  var fuse: StagePlan.Stage {
    let models = merge.inputs.experts.map(\.path)
    func arguments(part: String) -> [String] {
      ["fuse", "--weights", files.weights, "--output", output, "--part", part]
        + (recipe.allowsNonFinite ? ["--allow-non-finite"] : [])
    }
    let tasks = (1...parts).map { part in
      StagePlan.Task(
        arguments: arguments(part: "\(part)/\(parts)"), inputs: [files.weights] + models, output: output,
        bytesRead: shared(merge.fusion.inputByteCount), bytesWritten: shared(merge.fusion.outputByteCount),
        operations: 0, memory: fusionMemory)
    }
    return StagePlan.Stage(name: "fuse", tasks: tasks, shared: arguments(part: "auto"))
  }

  var verify: StagePlan.Stage {
    let task = StagePlan.Task(
      arguments: ["verify", output], inputs: [output], output: nil, bytesRead: merge.fusion.outputByteCount,
      bytesWritten: 0, operations: 0, memory: fusionMemory)
    return StagePlan.Stage(name: "verify", tasks: [task])
  }

  private var modelCount: Int { merge.inputs.experts.count }

  /// What one part has of a number of bytes that are dealt out evenly.
  private func shared(_ bytes: Int) -> Int { (bytes + parts - 1) / parts }
}
