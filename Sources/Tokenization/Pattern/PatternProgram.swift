import Diagnostics

/// One step of a compiled pattern.
enum PatternInstruction: Sendable {
  /// Takes one scalar of a set.
  case scalar(set: Int)
  /// Takes as many scalars of a set as there are, up to a maximum, and gives back down to a minimum.
  case run(set: Int, minimum: Int, maximum: Int, givesBack: Bool)
  /// Goes on at the first and, should that fail, at the second.
  case fork(first: Int, second: Int)
  /// Goes on elsewhere.
  case jump(Int)
  /// Tries the instructions up to an `accept` without taking text, then goes on behind it.
  case lookahead(isNegative: Bool, next: Int)
  /// Takes what the instructions up to an `accept` match first, then goes on behind it.
  case atomic(next: Int)
  /// Goes on only at such a place.
  case position(PatternPosition)
  /// The end of the pattern or of the instructions of a look-ahead or atomic group.
  case accept
}

/// Turns the tree of a pattern into instructions.
struct PatternCompiler {
  private(set) var instructions: [PatternInstruction] = []
  private(set) var sets: [ScalarSet] = []
  private var setNumbers: [ScalarSet: Int] = [:]
  private let component: Component

  /// Nested intervals multiply; no tokenizer's pattern comes near this.
  private static let mostInstructions = 5000

  /// Compiles a whole pattern; the component is named in failures.
  init(_ syntax: PatternSyntax, in component: Component) throws(Failure) {
    self.component = component
    try emit(syntax)
    instructions.append(.accept)
  }

  private mutating func emit(_ syntax: PatternSyntax) throws(Failure) {
    guard instructions.count < Self.mostInstructions else {
      throw component.unsupported("a longer one", known: "a pattern of at most \(Self.mostInstructions) steps")
    }
    switch syntax {
    case .scalar(let set): instructions.append(.scalar(set: number(of: set)))
    case .sequence(let parts):
      for part in parts { try emit(part) }
    case .alternatives(let choices): try emitAlternatives(choices)
    case .repetition(let body, let minimum, let maximum, let greed):
      try emitRepetition(body, minimum, maximum, greed)
    case .lookahead(let body, let isNegative):
      try emitNested(body) { .lookahead(isNegative: isNegative, next: $0) }
    case .atomic(let body):
      try emitNested(body) { .atomic(next: $0) }
    case .position(let position): instructions.append(.position(position))
    }
  }

  private mutating func emitAlternatives(_ choices: [PatternSyntax]) throws(Failure) {
    var jumps: [Int] = []
    for choice in choices.dropLast() {
      let fork = reserve()
      try emit(choice)
      jumps.append(reserve())
      instructions[fork] = .fork(first: fork + 1, second: instructions.count)
    }
    for choice in choices.suffix(1) { try emit(choice) }
    for jump in jumps { instructions[jump] = .jump(instructions.count) }
  }

  private mutating func emitRepetition(
    _ body: PatternSyntax, _ minimum: Int, _ maximum: Int?, _ greed: PatternGreed
  ) throws(Failure) {
    if case .scalar(let set) = body, greed != .lazy {
      let run = PatternInstruction.run(
        set: number(of: set), minimum: minimum, maximum: maximum ?? .max, givesBack: greed == .greedy)
      instructions.append(run)
    } else if greed == .possessive {
      try emit(.atomic(.repetition(body, minimum: minimum, maximum: maximum, .greedy)))
    } else {
      for _ in 0..<minimum { try emit(body) }
      try emitOptional(body, maximum.map { $0 - minimum }, isLazy: greed == .lazy)
    }
  }

  /// A body that may match once more, and then again.
  private mutating func emitOptional(_ body: PatternSyntax, _ most: Int?, isLazy: Bool) throws(Failure) {
    var forks: [Int] = []
    for _ in 0..<(most ?? 1) {
      forks.append(reserve())
      try emit(body)
    }
    if most == nil { instructions.append(.jump(forks[0])) }
    let end = instructions.count
    for fork in forks {
      instructions[fork] = isLazy ? .fork(first: end, second: fork + 1) : .fork(first: fork + 1, second: end)
    }
  }

  private mutating func emitNested(
    _ body: PatternSyntax, _ instruction: (Int) -> PatternInstruction
  ) throws(Failure) {
    let start = reserve()
    try emit(body)
    instructions.append(.accept)
    instructions[start] = instruction(instructions.count)
  }

  /// A place for an instruction whose target is not known yet.
  private mutating func reserve() -> Int {
    instructions.append(.accept)
    return instructions.count - 1
  }

  private mutating func number(of set: ScalarSet) -> Int {
    if let number = setNumbers[set] { return number }
    sets.append(set)
    setNumbers[set] = sets.count - 1
    return sets.count - 1
  }
}
